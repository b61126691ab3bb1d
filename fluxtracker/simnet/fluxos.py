"""The app registry through FluxOS (docs/upstream.md#apps), and stats.runonflux.io (docs/upstream.md#statistics).

Of statistics only what the clients of the project ask is served: of a node's row in `/fluxinfo`, the fields that they
name.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import orjson

from fluxtracker.simnet import records
from fluxtracker.simnet.app_registry import specification
from fluxtracker.simnet.catalogue import RARE, TEMPLATES
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.network import FluxNode
from fluxtracker.simnet.operators import NOWHERE, Facts, facts, geolocation, programs
from fluxtracker.simnet.records import MAIN, Answer, Message, failure, success
from fluxtracker.simnet.scenarios import ENFORCED, newest_at
from fluxtracker.simnet.world import World

LINGERS = 7_500  # seconds for which an instance stays listed after its node's report
HOUR = 3_600  # seconds between two reports
OLD_VERSION = 0.02  # share of the instances that run the previous version

PRICE_KEYS = ("height", "cpu", "ram", "hdd", "minPrice", "port", "scope", "staticip")
PRICES = (
    (-1, 3, 1, 0.5, 1, 2, 6, 3),
    (983_000, 0.3, 0.1, 0.05, 0.1, 2, 6, 3),
    (1_004_000, 0.06, 0.02, 0.01, 0.01, 2, 6, 3),
    (1_288_000, 0.15, 0.05, 0.02, 0.01, 2, 6, 3),
    *((1_594_832, 0.15, 0.05, 0.02, 0.01, 1.5, 6, 3),) * 2,
    *((1_597_156, 0.03, 0.01, 0.004, 0.01, 0.4, 0.8, 0.4),) * 2,
)
"""FLUX per month by height; the last two stand twice in the real answer, too."""
DEPLOYMENT = {
    "price": [dict(zip(PRICE_KEYS, row, strict=True)) for row in PRICES],
    "appSpecsEnforcementHeights": {str(key): height for key, height in ENFORCED.items()},
    "address": MAIN,
    "portMin": 1,
    "portMax": 65_535,
    "enterprisePorts": ["0-1023", 8080, 8081, 8443, 6667],
    "bannedPorts": ["16100-16299", "26100-26299", "30000-30099", 8384, 27017, 22, 23, 25, 3389, 5900],
    "maxImageSize": 5_000_000_000,
    "minimumInstances": 3,
    "maximumInstances": 100,
    "blocksLasting": 22_000,
    "minBlocksAllowance": 5_000,
    "maxBlocksAllowance": 1_056_000,
    "blocksAllowanceInterval": 1_000,
}
USD_PRICE = {
    "height": -1,
    "cpu": 0.15,
    "ram": 0.05,
    "hdd": 0.02,
    "minPrice": 0.01,
    "port": 2,
    "scope": 4,
    "staticip": 2,
    "fluxmultiplier": 0.95,
    "multiplier": 1,
    "minUSDPrice": 0.99,
}
CATEGORIES = ("Games", "RPC Node", "Hosting", "Masternode", "Productivity", "Front-end", "App Bundles", "Other")


def apps(world: World, path: str, query: Mapping[str, str]) -> Answer:
    if path == "permanentmessages":
        return Answer(_envelope(_messages(world, query)))
    if path == "hashes":
        return Answer(_envelope(world.registry.index()))
    answers: dict[str, Callable[[World], Any]] = {
        "globalappsspecifications": lambda _: [specification(m) for m in world.registry.current().values()],
        "locations": lambda _: list(locations(world)),
        "installingerrorslocations": lambda _: list(installing_errors(world)),
        "deploymentinformation": lambda _: DEPLOYMENT,
        "latestspecificationversion": lambda _: newest_at(world.tip_height),
        "getappspecsusdprice": lambda _: USD_PRICE,
    }
    return success(answers[path](world)) if path in answers else failure(f"Unknown path {path}")


def _envelope(rows: Iterator[bytes]) -> Iterator[bytes]:
    yield b'{"status":"success","data":['
    yield from rows
    yield b"]}"


def _messages(world: World, query: Mapping[str, str]) -> Iterator[bytes]:
    registry = world.registry
    if "hash" in query:
        return iter(registry.records_of(query["hash"]))
    return registry.dump(query.get("appname"), query.get("owner"))


# Instances


def locations(world: World) -> Iterator[dict[str, Any]]:
    """Yield recently reported instances, some of an older version, some of ended apps."""
    world.network.nodes()
    hosts = _hosts(world)
    for message, placed in world.network.instances():
        before = world.registry.before(message)
        for node, containers in placed:
            if any(container.running for container in containers):
                yield _instance(world, message, before, hosts[node], world.now())
    for message in world.registry.ended_since(world.now() - LINGERS):
        end = world.chain.time(world.registry.end_of(message) or 0)
        for node, _ in world.network.placed(message):
            yield _instance(world, message, None, hosts[node], end)


def _hosts(world: World) -> list[str]:
    """Return the address and port of each node, by number."""
    addresses = [one.ip for one in world.network.machines(world.nodes)]
    return [ip if ":" in ip else f"{ip}:16127" for ip in addresses]


def _instance(world: World, message: Message, before: Message | None, host: str, last: float) -> dict[str, Any]:
    """Return the row of an instance reported by its node within the hour before `last`."""
    rng = random.Random(f"{world.seed}:instance:{message.app.name}:{host}")
    offset, since = rng.random() * HOUR, rng.random() * 90 * 86_400
    told = (last - offset) // HOUR * HOUR + offset
    is_old = before is not None and rng.random() < OLD_VERSION
    return {
        "ip": host,
        "name": message.app.name,
        "hash": (before if is_old and before else message).tx.message_hash,
        "broadcastedAt": _iso(told),
        "expireAt": _iso(told + LINGERS),
        "osUptime": round(rng.random() * 9e6, 2),
        "staticIp": rng.random() < 0.5,
        "runningSince": _iso(max(told - since, world.chain.time(message.tx.height))),
    }


def _iso(seconds: float) -> str:
    return f"{records.utc(seconds):%Y-%m-%dT%H:%M:%S}.430Z"


FAULTS = ("(HTTP code 404) no such image", "Not enough space on the node", "Port 31588 is in use on the node")


def installing_errors(world: World) -> Iterator[dict[str, Any]]:
    """Yield why the instances that an app lacks could not be installed."""
    world.network.nodes()
    hosts = _hosts(world)
    for message, placed in world.network.instances():
        for number in range(message.app.instances - len(placed) if placed else 0):
            rng = random.Random(f"{world.seed}:installing:{message.app.name}:{number}")
            told = world.now() - rng.random() * 6 * HOUR
            fault = {"code": 404, "name": "Error", "message": rng.choice(FAULTS)}
            yield {
                "name": message.app.name,
                "hash": message.tx.message_hash,
                "ip": rng.choice(hosts),
                "error": orjson.dumps({"status": "error", "data": fault}).decode(),
                "broadcastedAt": _iso(told),
                "expireAt": _iso(told + 6 * HOUR),
            }


# The marketplace and the statistics, on stats.runonflux.io


def marketplace(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """Answer the templates of the marketplace: the names of their apps end in 13 digits."""
    if path != "listapps":
        return failure(f"Unknown path {path}")
    found = {template.name: template for template in (*TEMPLATES, *RARE) if template.name}
    return success([_listing(name, template.by_name, template.components) for name, template in found.items()])


def _listing(name: str, counted: str, components: Iterable[tuple[str, str]]) -> dict[str, Any]:
    of_kind = {"gaming": "Games", "crypto": "RPC Node", "wordpress": "Hosting"}
    usual = CATEGORIES[3 + int(digest("category", name)[:2], 16) % 5]
    return {
        "name": name[:1].upper() + name[1:],
        "description": f"{name} on the simulated network",
        "category": of_kind.get(counted.partition("_")[0], usual),
        "visible": True,
        "enabled": True,
        "priceUSD": 4.99,
        "multiplier": 1,
        "compose": [{"name": part, "repotag": tag} for part, tag in components],
    }


OWN = (1, 2_000, 80)  # cores, MB and GB that FluxOS keeps from the apps of a node
OVERHEAD_GB = 12  # taken by a component beyond its request (docs/upstream.md#statistics)
HISTORY_STEP, HISTORY_DAYS = 870, 30  # seconds between two points of the history of node counts
KEPT, KEPT_BYTES = 12, 6_000_000  # cached answers, and the size of the largest one


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
        return {"runningapps": running, "resources": _resources(node)}


def _resources(node: FluxNode) -> dict[str, Any]:
    """Return what the apps on a node hold, never more than it has for them: cores, MB and GB."""
    one, parts = node.machine, [container.part for container in node.containers if container.is_app]
    cores, ram_mb, storage_gb = OWN
    return {
        "appsCpusLocked": min(round(sum(p.cpu for p in parts), 1), one.cores - cores),
        "appsRamLocked": min(sum(p.ram for p in parts), int(one.ram * 1024) - ram_mb),
        "appsHddLocked": min(sum(p.hdd + OVERHEAD_GB for p in parts), int(one.ssd) - storage_gb),
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
