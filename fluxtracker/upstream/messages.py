"""Read the stored facts of permanent app messages (docs/upstream.md#app-messages).

Only facts: never a specification, an environment parameter or a contact.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fluxtracker.block_times import scheduled
from fluxtracker.images import parse_image
from fluxtracker.upstream.fluxos import AppRegistry, clean_name, version_of
from fluxtracker.upstream.parsing import MAX_TIME, amount, is_hash, or_none, satoshi, whole
from fluxtracker.upstream.records import LONGEST_S, Term, Unit, end_height, read_term

TYPES = {"fluxappregister": True, "zelappregister": True, "fluxappupdate": False, "zelappupdate": False}
"""Message types: whether each is a registration."""
KNOWN_VERSIONS = range(1, 10)
LEAST_SAT = ((1_004_000, 1_000_000), (983_000, 10_000_000), (0, 100_000_000))
"""Lowest price of a message by height, the newest first (docs/upstream.md#app-messages)."""
DEFAULT_INSTANCES, MOST_INSTANCES = 3, 10_000
MOST_IMAGES = 20
MOST_CORES, MOST_MB, MOST_GB = 1e5, 1e8, 1e7  # per component; more is absurd
is_owner = re.compile(r"[0-9A-Za-z]{20,64}").fullmatch  # a ZelID, or 0x and 40 hex digits


@dataclass(frozen=True, slots=True)
class PermanentMessage:
    """A registration or an update of an app. None: missing or invalid in the message."""

    hash: str
    is_registration: bool
    name: str
    owner: str | None
    version: int
    """0 where it says none."""
    term: Term | None
    """Term of the app from the message's block on."""
    instances: int | None
    cpu_tenths: int | None
    """Tenths of a core, all components together; None where they are encrypted."""
    ram_mb: int | None
    hdd_gb: int | None
    encrypted: bool
    images: tuple[str, ...]
    """Public images of the components, with their tags, in order."""
    height: int
    sent_at: datetime | None
    """By the signer's clock."""
    txid: str
    value_sat: int | None
    """Amount of its payment, as FluxOS counted it."""
    applied: bool = True
    """False where it is proved that the network ignored it."""

    @property
    def app_key(self) -> str:
        return self.name.lower()


def read_messages(registry: AppRegistry, left_out: Counter[str]) -> Iterator[PermanentMessage]:
    """Yield all messages from a stream; unusable ones are counted by reason."""
    for record in registry.all_message_records():
        if message := read_message(record, left_out):
            yield message


def find_message(registry: AppRegistry, message_hash: str, left_out: Counter[str]) -> PermanentMessage | None:
    """Return the first message with this hash, None while not known."""
    messages = [read_message(record, left_out) for record in registry.message_records(message_hash)]
    return min(filter(None, messages), key=lambda message: (message.height, message.txid), default=None)


def read_message(record: object, left_out: Counter[str]) -> PermanentMessage | None:
    """Return the message of a record, or None, counted by reason, without hash, app, kind or block."""
    try:
        return _read(record)
    except NotUsable as error:
        left_out[str(error)] += 1
        return None


class NotUsable(ValueError):
    """The record is not usable; the reason is a key of the coverage."""


def _read(record: object) -> PermanentMessage:
    if not isinstance(record, dict):
        raise NotUsable("noObject")
    specification = record.get("appSpecifications") or record.get("zelAppSpecifications")
    if not isinstance(specification, dict):
        raise NotUsable("noSpecification")
    message_hash, txid, name = record.get("hash"), record.get("txid"), clean_name(specification.get("name"))
    if not isinstance(message_hash, str) or not is_hash(message_hash):
        raise NotUsable("noHash")
    if not name:
        raise NotUsable("noName")
    if not isinstance(record.get("type"), str) or record["type"] not in TYPES:
        raise NotUsable("unknownType")
    height = or_none(whole, record.get("height"), "it", 1)
    if height is None:
        raise NotUsable("noHeight")
    value_sat = None if record.get("valueSat") is None else or_none(satoshi, record["valueSat"])
    owner, version, encrypted = (
        specification.get("owner"),
        version_of(specification),
        bool(specification.get("enterprise")),
    )
    cpu, ram, hdd = (None, None, None) if encrypted else _resources(specification)
    return PermanentMessage(
        hash=message_hash,
        is_registration=TYPES[record["type"]],
        name=name,
        owner=owner if isinstance(owner, str) and is_owner(owner) else None,
        version=version,
        term=_term(specification, version, height),
        instances=_instances(specification),
        cpu_tenths=None if cpu is None else round(cpu * 10),
        ram_mb=None if ram is None else round(ram),
        hdd_gb=None if hdd is None else round(hdd),
        encrypted=encrypted,
        images=_images(specification),
        height=height,
        sent_at=_instant(record.get("timestamp")),
        txid=txid if isinstance(txid, str) and is_hash(txid) else "",
        value_sat=value_sat,
        applied=value_sat is None or value_sat >= least_sat(height),
    )


def least_sat(height: int) -> int:
    """Return the minimum payment for a message of this height, below which FluxOS ignores it."""
    return next(sat for since, sat in LEAST_SAT if height >= since)


def _term(specification: dict[str, Any], version: int, height: int) -> Term | None:
    """Return its term of at most three years, None if not known."""
    term = read_term(version, specification.get("expire"), specification.get("ttl"), height)
    if term is None or term.unit == Unit.SECONDS:
        return term
    is_plausible = scheduled(end_height(height, term.amount)) - scheduled(height) <= LONGEST_S
    return term if is_plausible else None


def _instances(specification: dict[str, Any]) -> int | None:
    """Return the number ordered, by default three."""
    if specification.get("instances") is None:
        return DEFAULT_INSTANCES
    return or_none(whole, specification["instances"], "it", 1, MOST_INSTANCES)


def _parts(specification: dict[str, Any]) -> list[dict[str, Any]]:
    components = specification.get("compose")
    parts = components if isinstance(components, list) else [specification]
    return [part for part in parts if isinstance(part, dict)]


def _resources(specification: dict[str, Any]) -> tuple[float | None, float | None, float | None]:
    """Return cores, MB and GB of all components, None if any is missing."""
    parts = _parts(specification)
    highest = {"cpu": MOST_CORES, "ram": MOST_MB, "hdd": MOST_GB}
    columns = ([or_none(amount, part.get(key), key, high) for part in parts] for key, high in highest.items())
    cpu, ram, hdd = (_sum(numbers) for numbers in columns)
    return cpu, ram, hdd


def _sum(numbers: list[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if numbers and len(known) == len(numbers) else None


def _images(specification: dict[str, Any]) -> tuple[str, ...]:
    references = filter(None, (parse_image(part.get("repotag")) for part in _parts(specification)))
    return tuple(dict.fromkeys(references))[:MOST_IMAGES]


def _instant(value: object) -> datetime | None:
    """Return an instant from milliseconds."""
    milliseconds = or_none(whole, value, "a time", 1, MAX_TIME * 1000)
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
