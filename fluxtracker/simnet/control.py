"""The door through which other processes steer a simulated network.

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
    POST /_sim/forget  {}                start the list of requests anew

A payment takes the arguments of `World.payment`; `outputs` is a list of [address, satoshi]. `mine` with a `source`
mines on the branch of that source.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from fluxtracker.simnet.answers import Answer, json, whole

if TYPE_CHECKING:
    from fluxtracker.simnet.server import SimServer

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
    return json({"error": f"no such door: {method} {path}"}, 404)


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
