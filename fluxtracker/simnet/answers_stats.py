"""stats.runonflux.io (docs/upstream.md#statistics): `/fluxinfo` with projections and `/fluxhistorystats`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fluxtracker.simnet.answers import Answer, failure, success
from fluxtracker.simnet.statistics_rows import Rows
from fluxtracker.simnet.world import World

HISTORY_STEP, HISTORY_DAYS = 870, 30  # seconds between two points of the history of node counts
GEO = ["ip", "countryCode", "country", "lat", "lon"]  # what the word `geo` stands for
KEPT, KEPT_BYTES = 12, 6_000_000  # answers that are kept, and how long one may be
NOTHING = object()


def fluxinfo(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """One row a node; a projection may be the query or the rest of the path."""
    wanted = [part for part in (query.get("projection") or path).split(",") if part]
    if "geo" in wanted:
        wanted = [p for p in wanted if p != "geo"] + [f"geolocation.{name}" for name in GEO]
    if any(a != b and f"{b}.".startswith(f"{a}.") for a in wanted for b in wanted):
        return failure("Internal error. Try again later")
    if "flux" in wanted[:-1]:
        answer = failure("Internal error")
        answer.status = 500
        return answer
    return Answer(_body(world, wanted))


def _body(world: World, wanted: list[str]) -> bytes:
    """The whole answer; a projection is kept until the next round or change of the registry."""
    nodes, key = world.network.nodes(), ",".join(wanted)
    body = world.network.bodies.get(key)
    if body is None:
        rows, tops = Rows(world), {path.partition(".")[0] for path in wanted}
        made = (rows.row(node, tops) for node in nodes)
        pieces = (orjson.dumps(_project(row, wanted) if wanted else row) for row in made)
        body = b'{"status":"success","data":[' + b",".join(pieces) + b"]}"
        if len(body) <= KEPT_BYTES and len(world.network.bodies) < KEPT:
            world.network.bodies[key] = body
    return body


def _project(row: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in paths:
        picked = _pick(row, path.split("."))
        if picked is not NOTHING:
            _merge(found, picked)
    return found


def _pick(value: Any, keys: list[str]) -> Any:
    """What a Mongo projection of one path keeps, with the nesting around it."""
    if not keys:
        return value
    if isinstance(value, list):
        return [{} if (kept := _pick(item, keys)) is NOTHING else kept for item in value]
    if not isinstance(value, dict) or keys[0] not in value:
        return NOTHING
    kept = _pick(value[keys[0]], keys[1:])
    if kept is NOTHING:
        return {keys[0]: {}} if isinstance(value[keys[0]], dict) else NOTHING
    return {keys[0]: kept}


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, list) and isinstance(into.get(key), list):
            for mine, theirs in zip(into[key], value, strict=True):
                _merge(mine, theirs)
        else:
            into[key] = value


def history(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """Node counts about every 14.5 minutes for 30 days, ending at those of now; newest first, as the real ones."""
    last = int(world.now()) // HISTORY_STEP
    points = range(last, last - HISTORY_DAYS * 86_400 // HISTORY_STEP - 1, -1)
    return success({str(n * HISTORY_STEP * 1000 + 779): world.network.counts_at(n * HISTORY_STEP) for n in points})
