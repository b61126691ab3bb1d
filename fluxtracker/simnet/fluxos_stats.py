"""The answers of stats.runonflux.io (docs/upstream.md#statistics).

Only what the clients of the project ask is served: of a node's row in `/fluxinfo`, the fields that they name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from fluxtracker.simnet.network import Container, FluxNode
from fluxtracker.simnet.operators import NOWHERE, Facts, facts, geolocation, programs
from fluxtracker.simnet.records import Answer, success
from fluxtracker.simnet.world import World

OVERHEAD_GB = 12  # that a component takes beyond what it asks for (docs/upstream.md#statistics)
HISTORY_STEP, HISTORY_DAYS = 870, 30  # seconds between two points of the history of node counts
KEPT, KEPT_BYTES = 12, 6_000_000  # answers that are kept, and the size of the largest one


class Rows:
    """The rows of the current round of statistics."""

    def __init__(self, world: World) -> None:
        self.world, self.network, self.began = world, world.network, world.network.began()

    def row(self, node: FluxNode, fields: Collection[str] = ()) -> dict[str, Any]:
        """Return a node's row. The large fields are left out unless `fields` names them or nothing."""
        makers = {
            "benchmark": self._benchmark,
            "apps": self._apps,
            "geolocation": self._geolocation,
            "flux": self._flux,
            "daemon": self._daemon,
        }
        row: dict[str, Any] = {name: make(node) for name, make in makers.items() if not fields or name in fields}
        one = node.machine
        row |= {
            "ip": one.ip,
            "tier": one.tier,
            "paymentAddress": self._facts(node).payment_address,
            "activeSince": str(int(one.joined)),
            "collateralHash": one.collateral,
            "collateralIndex": one.outidx,
            "roundTime": self.began * 1000,
            "dataCollectedAt": self.began * 1000 + one.number,
        }
        return row if node.is_reachable else row | {"error": {}}

    def _facts(self, node: FluxNode) -> Facts:
        return facts(self.world.seed, node.machine.collateral)

    def _geolocation(self, node: FluxNode) -> dict[str, Any]:
        if not node.is_reachable:
            return NOWHERE | {"lat": 0, "lon": 0, "org": ""}
        return geolocation(self._facts(node), node.machine.ip.split(":")[0])

    def _flux(self, node: FluxNode) -> dict[str, Any]:
        if not node.is_reachable:
            return {"version": "", "ip": "", "zelid": "", "timezone": "", "dos": {"dosState": 0, "dosMessage": None}}
        return programs(self._facts(node), node.machine.ip)

    def _daemon(self, node: FluxNode) -> dict[str, Any]:
        return {"info": {"version": self._facts(node).daemon if node.is_reachable else 0}}

    def _benchmark(self, node: FluxNode) -> dict[str, Any]:
        """All numbers are 0 during a benchmark, after a failed one and for an unreachable node."""
        one = node.machine
        numbers = {
            "cores": one.cores,
            "ram": one.ram,
            "ssd": one.ssd,
            "ddwrite": one.ddwrite,
            "eps": one.eps,
            "download_speed": one.download,
            "upload_speed": one.upload,
        }
        state = one.tier if node.is_good else node.state if node.is_reachable else "0"
        version = self._facts(node).benchmark if node.is_reachable else "0"
        bench = {"status": state} | (numbers if node.is_good else dict.fromkeys(numbers, 0))
        return {"info": {"version": version}, "bench": bench}

    def _apps(self, node: FluxNode) -> dict[str, Any]:
        running = [self.network.row(node, container) for container in node.containers if container.running]
        return {"runningapps": running, "resources": _resources(node.containers)}


def _resources(containers: list[Container]) -> dict[str, Any]:
    """Return what the apps on a node hold: cores, MB and GB."""
    parts = [container.part for container in containers if container.is_app]
    return {
        "appsCpusLocked": round(sum(p.cpu for p in parts), 1),
        "appsRamLocked": sum(p.ram for p in parts),
        "appsHddLocked": sum(p.hdd + OVERHEAD_GB for p in parts),
    }


def fluxinfo(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """Answer one row per node, with the fields of the projection. Kept until the next round or registry change."""
    nodes, projection = world.network.nodes(), query.get("projection", "")
    body = world.network.bodies.get(projection)
    if body is None:
        rows, tree = Rows(world), _tree(projection)
        pieces = (orjson.dumps(_picked(rows.row(node, tree), tree)) for node in nodes)
        body = b'{"status":"success","data":[' + b",".join(pieces) + b"]}"
        if len(body) <= KEPT_BYTES and len(world.network.bodies) < KEPT:
            world.network.bodies[projection] = body
    return Answer(body)


def _tree(projection: str) -> dict[str, Any]:
    """Return the paths of a projection as nested keys, `a.b,a.c` as `{"a": {"b": {}, "c": {}}}`."""
    tree: dict[str, Any] = {}
    for path in filter(None, projection.split(",")):
        place = tree
        for key in path.split("."):
            place = place.setdefault(key, {})
    return tree


def _picked(value: Any, tree: dict[str, Any]) -> Any:
    """Return what a Mongo projection keeps, with the nesting around it; everything where the tree ends."""
    if not tree:
        return value
    if isinstance(value, list):
        return [_picked(item, tree) for item in value]
    return {key: _picked(value[key], branch) for key, branch in tree.items() if key in value}


def history(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """Answer node counts about every 14.5 minutes of the last 30 days, newest first."""
    last = int(world.now()) // HISTORY_STEP
    points = range(last, last - HISTORY_DAYS * 86_400 // HISTORY_STEP - 1, -1)
    return success({str(n * HISTORY_STEP * 1000 + 779): world.network.counts_at(n * HISTORY_STEP) for n in points})
