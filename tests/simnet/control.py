"""The HTTP interface through which other processes control a simulated network.

    GET  /_sim/state                     {"tip", "tipHash", "now", "payments", "requests"}
    GET  /_sim/truth?min_confirmations=8 {"rows": [[txid, vout, address, amount_sat, height, from, hash]]}
    GET  /_sim/daily?min_confirmations=8 {"days": [[date, address, satoshi, payments]]}
    GET  /_sim/requests?prefix=/daemon   {"count", "last": [[path, query]]} (the last 100)
    GET  /_sim/metrics                   what a collection should find: `World.expected_metrics`
    GET  /_sim/expiring?limit=10         {"expiring": [[name, end height]]}
    GET  /_sim/deployed?hours=24         {"deployed": [name]}
    POST /_sim/advance {"seconds": 600}  move the clock on; blocks that are due come      {"tip", "now"}
    POST /_sim/nodes   {"nodes": 500}    let nodes come or go                             {"nodes"}
    POST /_sim/mine    {"blocks": 1, "payments": [{"sat": 5, "app": "name", ...}]}   {"tip", "txids"}
    POST /_sim/reorg   {"depth": 10, "drop": [txid] or 0.3, "move": ..., "keep": ..., "blocks": 10}
    POST /_sim/branch  {"sources": ["blockbook"], "depth": 120, "drop": ...}  let them leave the chain  {"tip"}
    POST /_sim/rejoin  {}                all follow the chain again
    POST /_sim/fault   {"kind": "http500", "path": "^/daemon", "times": 3, "probability": 1.0,
                        "seconds": 5, "blocks": 10, "retry_after": "2", "share": 0.3} {"faults"}
    POST /_sim/clear   {}                end all faults
    POST /_sim/reveal  {"hashes": []}    let the registry know messages, all when none is named
    POST /_sim/forget  {}                clear the list of requests

A payment takes the arguments of `World.payment`; `outputs` is a list of [address, satoshi]. `mine` with a `source`
mines on the branch of that source.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

from fluxtracker.simnet.records import Answer, json, whole

if TYPE_CHECKING:
    from tests.simnet.server import SimServer

SHOWN = 100  # requests that are listed


def answer(sim: SimServer, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    name = path.removeprefix("/_sim/")
    readers: dict[str, Callable[[SimServer, Mapping[str, str]], Any]] = {
        "state": _state,
        "truth": _truth,
        "daily": _daily,
        "requests": _requests,
        "metrics": _metrics,
        "expiring": _expiring,
        "deployed": _deployed,
    }
    writers: dict[str, Callable[[SimServer, dict[str, Any]], Any]] = {
        "mine": _mine,
        "reorg": _reorg,
        "branch": _branch,
        "rejoin": _rejoin,
        "fault": _fault,
        "clear": _clear,
        "reveal": _reveal,
        "forget": _forget,
        "advance": _advance,
        "nodes": _nodes,
    }
    if method == "GET" and name in readers:
        return json(readers[name](sim, query))
    if method == "POST" and name in writers:
        return _write(sim, writers[name], body)
    return json({"error": f"not found: {method} {path}"}, 404)


def _write(sim: SimServer, writer: Callable[[SimServer, dict[str, Any]], Any], body: bytes) -> Answer:
    try:
        return json(writer(sim, orjson.loads(body or b"{}")))
    except (TypeError, ValueError, KeyError) as error:
        return json({"error": str(error)}, 400)


def _state(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    world = sim.world
    world.catch_up()
    state = {"tip": world.tip_height, "tipHash": world.tip_hash, "now": world.now()}
    return state | {"payments": len(world.chain.by_txid), "requests": len(sim.requests)}


def _truth(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    rows = sim.world.truth(whole(query, "min_confirmations", 8))
    return {"tip": sim.world.tip_height, "rows": [list(row) for row in rows]}


def _daily(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    days = sim.world.expected_daily(whole(query, "min_confirmations", 8))
    return {"days": [[day.isoformat(), address, *sums] for (day, address), sums in sorted(days.items())]}


def _requests(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    prefix = query.get("prefix", "")
    found = [request for request in list(sim.requests) if request.path.startswith(prefix)]
    return {"count": len(found), "last": [list(request) for request in found[-SHOWN:]]}


def _metrics(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    sim.world.catch_up()
    return asdict(sim.world.expected_metrics())


def _expiring(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    sim.world.catch_up()
    return {"expiring": [list(row) for row in sim.world.expected_expiring(whole(query, "limit", 10))]}


def _deployed(sim: SimServer, query: Mapping[str, str]) -> dict[str, Any]:
    sim.world.catch_up()
    return {"deployed": sim.world.expected_deployed(whole(query, "hours", 24))}


def _advance(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    return {"tip": sim.world.advance(float(wishes["seconds"])), "now": sim.world.now()}


def _nodes(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    sim.world.set_nodes(int(wishes["nodes"]))
    return {"nodes": sim.world.nodes}


def _mine(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    world = sim.sides.get(wishes.get("source", ""), sim.world)
    payments = [world.payment(**_arguments(payment)) for payment in wishes.get("payments", [])]
    tip = world.mine(int(wishes.get("blocks", 1)), payments)
    return {"tip": tip, "txids": [tx.txid for tx in payments]}


def _arguments(payment: dict[str, Any]) -> dict[str, Any]:
    """JSON has no bytes: `data` is text."""
    if "data" in payment:
        return payment | {"data": str(payment["data"]).encode()}
    return payment


def _fates(wishes: dict[str, Any]) -> dict[str, Any]:
    return {name: wishes[name] for name in ("drop", "move", "keep", "blocks") if name in wishes}


def _branch(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    return {"tip": sim.branch(*wishes["sources"], depth=int(wishes["depth"]), **_fates(wishes)).tip_height}


def _rejoin(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    sim.sides.clear()
    return {"tip": sim.world.tip_height}


def _reorg(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    found = sim.world.reorg(int(wishes["depth"]), **_fates(wishes))
    changed = {"dropped": found.dropped, "moved": found.moved, "kept": found.kept}
    return {"tip": sim.world.tip_height, **changed}


def _fault(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    sim.faults.add(**wishes)
    return {"faults": [{"kind": f.kind, "path": f.path, "hits": f.hits} for f in sim.faults]}


def _clear(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    sim.faults.clear()
    return {"faults": []}


def _reveal(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    sim.world.reveal(*wishes.get("hashes", []))
    return {"known": len(sim.world.expected_names())}


def _forget(sim: SimServer, wishes: dict[str, Any]) -> dict[str, Any]:
    sim.requests.clear()
    return {"requests": 0}


class Kind(StrEnum):
    HTTP_500 = "http500"
    HTTP_503_HTML = "http503html"  # a proxy's page
    HTTP_429 = "http429"
    HTML_200 = "html200"
    STATUS_ERROR_200 = "status_error200"
    TRUNCATED = "truncated"  # ends in the middle of the body
    MALFORMED = "malformed"
    EMPTY_SUCCESS = "empty_success"
    EMPTY_WITH_TOTAL = "empty_with_total"  # no transactions, and the true number of them
    TIMEOUT = "timeout"
    SLOW = "slow"  # the right answer, late
    DRIP = "drip"  # a byte at a time
    REPEAT_PAGE = "repeat_page"  # the answer before, again
    HEIGHT_BACKWARDS = "height_backwards"
    DROP_CONNECTION = "drop_connection"
    FLOOD = "flood"  # an answer without end
    REDIRECT = "redirect"  # to another host
    BAD_ROWS = "bad_rows"  # a share of the rows is missing numbers, or has null, text, -1 or true for them
    FEW_ROWS = "few_rows"  # a third of the rows
    ZERO_ROWS = "zero_rows"  # every number is 0, as if every benchmark ran
    EMPTY_NAMES = "empty_names"  # containers without a name
    ABSURD_PRICE = "absurd_price"  # a thousand times the price: now, or of the middle day of a history
    OLD_CANDLE = "old_candle"  # the last candle is of 200 days ago, and so is CoinGecko's price
    NO_TRADES = "no_trades"  # candles without trades and volume, and points without a price
    BAD_RESOURCES = "bad_resources"  # bad_rows, of what apps take alone
    BAD_BENCHMARKS = "bad_benchmarks"  # bad_rows, of the benchmark alone
    REPEATED_ROWS = "repeated_rows"  # a share of the rows comes again, by turns as it is and as an unreachable node's
    LAGGING = "lagging"  # a share of the rows, or of each count, is missing
    STOPPED = "stopped"  # a share of the containers does not run, and tells so


OF_PRICES = (Kind.ABSURD_PRICE, Kind.OLD_CANDLE, Kind.NO_TRADES)
OF_ROWS = (
    Kind.BAD_ROWS,
    Kind.FEW_ROWS,
    Kind.ZERO_ROWS,
    Kind.EMPTY_NAMES,
    Kind.BAD_RESOURCES,
    Kind.BAD_BENCHMARKS,
    Kind.REPEATED_ROWS,
    Kind.LAGGING,
    Kind.STOPPED,
    *OF_PRICES,
)
"""What goes wrong with prices and the rows of statistics, counts and lists; a ledger sees it in no payment's amount."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong for the paths that match `path` (a regular expression, searched).

    `times` requests long (None: until cleared), each with `probability`. `seconds` is how long a timeout
    hangs and a slow answer takes; `blocks` how far a height goes backwards; `retry_after` the header of a 429;
    `share` how many rows (or containers) are bad, missing or there again.
    """

    kind: Kind
    path: str = ""
    times: int | None = None
    probability: float = 1.0
    seconds: float = 3600.0
    blocks: int = 10
    retry_after: str | None = None
    share: float = 0.3
    hits: int = field(default=0, init=False)

    def wants(self, path: str, draw: float) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        return draw < self.probability and re.search(self.path, path) is not None


class Faults:
    """The faults that are on, asked in the order in which they were added."""

    def __init__(self, seed: int = 1) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self.released = threading.Event()
        """Set while hanging answers should end at once."""

    def add(
        self,
        kind: Kind | str,
        path: str = "",
        *,
        times: int | None = None,
        probability: float = 1.0,
        seconds: float = 3600.0,
        blocks: int = 10,
        retry_after: str | None = None,
        share: float = 0.3,
    ) -> Fault:
        fault = Fault(Kind(kind), path, times, probability, seconds, blocks, retry_after, share)
        with self._lock:
            self.released.clear()
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """End all faults, the hanging answers too."""
        with self._lock:
            self._faults.clear()
            self.released.set()

    def pick(self, path: str) -> Fault | None:
        """The fault that hits a request for `path`, counted."""
        with self._lock:
            for fault in self._faults:
                draw = self._random.random() if fault.probability < 1 else 0.0
                if fault.wants(path, draw):
                    fault.hits += 1
                    return fault
        return None

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._faults))
