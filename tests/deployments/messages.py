"""Make app messages for tests: as the registry tells them, and as they are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fluxtracker.block_times import Timeline
from fluxtracker.upstream.messages import PermanentMessage
from fluxtracker.upstream.records import Block, Term, Unit
from tests.factories import digest

OWNER, STRANGER = "1OwnerOwnerOwnerOwnerOwnerOwner1", "1StrangerStrangerStrangerStranger"
START = 2_900_000
START_AT = datetime(2026, 8, 28, 12, tzinfo=UTC)
CLOCK = Timeline.of([Block(START, START_AT)])
MONTH = 88_000
MESSAGE = PermanentMessage(
    hash=digest("message", 0),
    is_registration=True,
    name="Shop",
    owner=OWNER,
    version=8,
    term=Term(MONTH, Unit.BLOCKS),
    instances=3,
    cpu_tenths=10,
    ram_mb=1000,
    hdd_gb=10,
    encrypted=False,
    images=("acme/shop:1",),
    height=START,
    sent_at=None,
    txid=digest("tx", 0),
    value_sat=10**9,
)


def at(height: int) -> datetime:
    return START_AT + timedelta(seconds=30) * (height - START)


def register(height: int = START, term: int | None = MONTH, **values: Any) -> PermanentMessage:
    """A registration that runs for so many blocks; None: for a time that it does not tell."""
    words = (height, term, *values.items())
    told = {"hash": digest("message", *words), "txid": digest("tx", *words), "height": height}
    return replace(MESSAGE, **(told | {"term": None if term is None else Term(term, Unit.BLOCKS)} | values))


def update(height: int, term: int | None = MONTH, **values: Any) -> PermanentMessage:
    return register(height, term, is_registration=False, **values)


def record(message_hash: str = MESSAGE.hash, height: int = START, **values: Any) -> dict[str, Any]:
    """A record of permanentmessages; `values` of the specification, those of the record with an underscore before."""
    specification = {
        "version": 8, "name": "Shop", "owner": OWNER, "instances": 3, "expire": MONTH, "enterprise": "",
        "compose": [{"name": "web", "repotag": "acme/shop:1", "cpu": 0.5, "ram": 500, "hdd": 5}],
    }  # fmt: skip
    told = {
        "type": "fluxappregister", "version": 1, "hash": message_hash, "timestamp": 1_790_797_017_517,
        "txid": digest("tx", message_hash), "height": height, "valueSat": 10**9,
    }  # fmt: skip
    told |= {key[1:]: value for key, value in values.items() if key.startswith("_")}
    specification |= {key: value for key, value in values.items() if not key.startswith("_")}
    return {"appSpecifications": specification} | told
