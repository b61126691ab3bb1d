"""Odd rows that some upstream might answer: among app messages, instances, nodes and statistics.

`SimServer(world, odd=True)` adds them. Each must leave the rows around it untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from fluxtracker.simnet.history import FLUX, digest
from fluxtracker.simnet.records import Answer

if TYPE_CHECKING:
    from tests.simnet.world import World

OWNER = "1HsodCjRyFSbbtYVXCSTYYX8DJkUKVQd64"
SPECIFICATIONS: dict[str, Any] = {
    "no term": {"name": "OddNoTerm"},
    "a term in words": {"name": "OddWords", "expire": "soon"},
    "a term as text": {"name": "OddText", "expire": "88000"},
    "a negative term": {"name": "OddNegative", "expire": -5},
    "a term of true": {"name": "OddTrue", "expire": True},
    "a term beyond all sense": {"name": "OddHuge", "expire": 10**30},
    "a version to come": {"name": "OddVersion", "version": 12, "expire": 88_000},
    "a version in words": {"name": "OddEight", "version": "eight", "expire": 88_000},
    "an owner that is no address": {"name": "OddOwner", "owner": "somebody", "expire": 88_000},
    "no owner": {"name": "OddNobody", "owner": None, "expire": 88_000},
    "an owner that is a number": {"name": "OddFive", "owner": 5, "expire": 88_000},
    "negative instances": {"name": "OddInstances", "instances": -3, "expire": 88_000},
    "instances in words": {"name": "OddThree", "instances": "three", "expire": 88_000},
    "no name": {"name": None, "expire": 88_000},
    "a name that is no text": {"name": ["Odd"], "expire": 88_000},
    "a name that is empty": {"name": "", "expire": 88_000},
    "a name of great length": {"name": "Odd" * 1000, "expire": 88_000},
}
"""What is odd of a specification, and what it says other than usual."""
TEXTS = ("Hetzner Online GmbH", "AS", "", "24940", "ASxyz Nowhere", None, 5)
"""What the statistics say instead of an AS number, in turns, of one node in ten."""


def odd_messages(world: World) -> list[Any]:
    """Rows of permanentmessages that make no sense, or not all of it. None is of an app that exists."""
    tip = world.tip_height
    rows: list[Any] = [
        _message(
            what, {"version": 8, "owner": OWNER, "compose": [], "instances": 3, "enterprise": "x"} | spec, tip - 500
        )
        for what, spec in SPECIFICATIONS.items()
    ]
    usual = {"version": 8, "name": "OddTwice", "owner": OWNER, "compose": [], "instances": 3, "expire": 88_000}
    twice = _message("two with one hash", usual, tip - 400)
    rows += [twice, twice | {"height": tip - 300, "txid": digest("another payment")}]
    rows.append(_message("a type to come", usual | {"name": "OddType"}, tip - 500) | {"type": "fluxappretire"})
    rows.append(_message("a block to come", usual | {"name": "OddFuture"}, tip + 100_000))
    rows.append(_message("a negative block", usual | {"name": "OddPast"}, -5))
    rows.append(_message("a block in words", usual | {"name": "OddBlock"}, tip) | {"height": "high"})
    rows.append(_message("a value in words", usual | {"name": "OddValue"}, tip - 500) | {"valueSat": "much"})
    rows.append(_message("a clock in words", usual | {"name": "OddClock"}, tip - 500) | {"timestamp": "noon"})
    rows.append(_message("no hash", usual | {"name": "OddHash"}, tip - 500) | {"hash": "not 64 characters"})
    rows.append(_message("no specification", None, tip - 500))
    return [*rows, None, "row", 7, []]


def _message(what: str, spec: Any, height: int) -> dict[str, Any]:
    message_hash = digest("odd message", what)
    return {
        "type": "fluxappregister",
        "version": 1,
        "appSpecifications": spec,
        "hash": message_hash,
        "timestamp": 1_790_797_017_517,
        "signature": "H",
        "txid": digest("odd payment", what),
        "height": height,
        "valueSat": 10 * FLUX,
    }


def odd_instances() -> list[Any]:
    """Instances of apps that nobody knows, and rows that make no sense."""
    usual = {
        "ip": "192.0.2.1:16127",
        "name": "OddStranger",
        "hash": digest("odd"),
        "broadcastedAt": "2026-09-30T18:55:16.430Z",
        "expireAt": "2026-09-30T21:00:16.430Z",
    }
    return [
        usual,
        usual | {"name": None},
        usual | {"name": 5},
        usual | {"ip": None, "name": "OddPlace"},
        usual | {"broadcastedAt": "yesterday", "name": "OddTime"},
        {"name": "OddBare"},
        None,
        "row",
        [],
    ]


def odd_nodes(rows: list[Any]) -> list[Any]:
    """The list with some nodes twice, and with rows that make no sense."""
    again = [row | {"ip": "192.0.2.9"} for row in rows[:3]] + rows[3:5]
    bare = {"txhash": digest("odd node"), "outidx": "one", "tier": "TITANIC", "payment_address": None}
    return [*rows, *again, bare, {"ip": "192.0.2.7"}, None, "row", []]


def odd_statistics(rows: list[Any]) -> list[Any]:
    for number, row in enumerate(rows):
        if number % 10 == 0 and "asn" in row.get("geolocation", {}):
            row["geolocation"]["asn"] = TEXTS[number // 10 % len(TEXTS)]
    return rows


def with_odd_rows(world: World, path: str, query: Mapping[str, str], answer: Answer) -> Answer:
    """The same answer with odd rows in it, where its path has any."""
    changes: dict[str, Callable[[list[Any]], list[Any]]] = {
        "/apps/permanentmessages": lambda told: [*told, *_wanted(odd_messages(world), query.get("hash"))],
        "/apps/locations": lambda told: [*told, *odd_instances()],
        "/daemon/viewdeterministicfluxnodelist": odd_nodes,
        "/fluxinfo": odd_statistics,
    }
    if path not in changes:
        return answer
    whole = orjson.loads(answer.body if isinstance(answer.body, bytes) else b"".join(answer.body))
    body = orjson.dumps(whole | {"data": [_big(row) for row in changes[path](whole["data"])]})
    return Answer(body.replace(b'"%d"' % BIG, b"%d" % BIG), answer.status, dict(answer.headers))


def _wanted(rows: list[Any], message_hash: str | None) -> list[Any]:
    return [row for row in rows if message_hash is None or (isinstance(row, dict) and row["hash"] == message_hash)]


BIG = 10**30  # more than orjson writes


def _big(row: Any) -> Any:
    spec = row.get("appSpecifications") if isinstance(row, dict) else None
    if isinstance(spec, dict) and spec.get("expire") == BIG:
        return row | {"appSpecifications": spec | {"expire": str(BIG)}}
    return row
