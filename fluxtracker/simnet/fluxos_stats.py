"""One node's row of `/fluxinfo`, each part made only when somebody asks for it.

The app registry through FluxOS (docs/upstream.md#apps).

stats.runonflux.io (docs/upstream.md#statistics): `/fluxinfo` with projections and `/fluxhistorystats`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

from fluxtracker.simnet import network
from fluxtracker.simnet.history import customer, digest
from fluxtracker.simnet.network import TOWER, Container, FluxNode
from fluxtracker.simnet.records import MAIN, Answer, Message, failure, success
from fluxtracker.simnet.registry import specification
from fluxtracker.simnet.world import World

PRICES = {"height": 1_597_156, "cpu": 0.03, "ram": 0.01, "hdd": 0.004, "minPrice": 0.01, "port": 0.4}
LIMITS = {"portMin": 1, "portMax": 65_535, "minimumInstances": 3, "maximumInstances": 100}


def answer(world: World, path: str, query: Mapping[str, str]) -> Answer:
    name, _, rest = path.partition("/")
    if name == "permanentmessages":
        return _messages(world, query)
    if name == "globalappsspecifications":
        return _specifications(world, query)
    if name == "locations":
        return success(list(network.locations(world)))
    if name == "location":
        return success(list(network.locations(world, rest.lower())))
    if name == "temporarymessages":
        return success([])
    if name == "hashes":
        return Answer(_envelope(_hashes(world)))
    if name == "deploymentinformation":
        prices = [PRICES | {"scope": 0.8, "staticip": 0.4}]
        return success({"price": prices, "address": MAIN} | LIMITS)
    return failure(f"Unknown path {name}")


def _messages(world: World, query: Mapping[str, str]) -> Answer:
    """Filters combine and an unknown one gives an empty list; without any, all there is in chunks."""
    if not query.keys() & {"hash", "owner", "appname"}:
        return Answer(_envelope(world.registry.dump()))
    records = [world.registry.record(message) for message in _filtered(world, query)]
    return Answer(b"".join(_envelope(iter([b",".join(records)]))))


def _filtered(world: World, query: Mapping[str, str]) -> list[Message]:
    registry = world.registry
    if "hash" not in query:
        return [message for message in registry.known() if _matches(message, query)]
    message = registry.find(query["hash"])
    return [message] if message and _matches(message, query) else []


def _matches(message: Message, query: Mapping[str, str]) -> bool:
    app, tx = message
    has = {"appname": app.name, "owner": app.owner, "hash": tx.message_hash}
    return all(query.get(name, value) == value for name, value in has.items())


def _specifications(world: World, query: Mapping[str, str]) -> Answer:
    current = world.registry.current().values()
    return success([specification(message) for message in current if _matches(message, query)])


def _hashes(world: World) -> Iterator[bytes]:
    """Payment and hash of every message, whether the message is known or not."""
    rows = []
    for message_hash, (_, tx) in list(world.registry.by_hash.items()):
        known = world.registry.knows(tx)
        row = {"txid": tx.txid, "height": tx.height, "hash": message_hash, "value": tx.outputs[0].sat}
        rows.append(orjson.dumps(row | {"message": known, "messageNotFound": not known}))
    yield b",".join(rows)


def _envelope(rows: Iterator[bytes]) -> Iterator[bytes]:
    yield b'{"status":"success","data":['
    yield from rows
    yield b"]}"


HEIGHTS = {"addedHeight": 50_000, "confirmedHeight": 49_998, "lastConfirmedHeight": 300, "lastPaidHeight": 900}
"""How far behind the tip these are."""
SUBTREES = ("daemon", "benchmark", "flux", "apps", "geolocation")
EMPTY_PLACE = dict.fromkeys(
    ("ip", "continent", "continentCode", "country", "countryCode", "region", "regionName"), ""
) | {"lat": 0, "lon": 0, "org": ""}
PLACE = {
    "continent": "Europe",
    "continentCode": "EU",
    "country": "Germany",
    "countryCode": "DE",
    "region": "HE",
    "regionName": "Hesse",
    "lat": 50.1,
    "lon": 8.6,
    "org": "Example",
    "isp": "Example",
    "asn": "AS64500 Example",
    "mobile": False,
    "proxy": False,
    "hosting": True,
    "static": True,
    "dataCenter": True,
}


class Rows:
    """Makes the rows of the current round."""

    def __init__(self, world: World) -> None:
        self.world, self.network = world, world.network
        self.began, self.height = world.network.began(), world.network.height()

    def row(self, node: FluxNode, wanted: Collection[str] = ()) -> dict[str, Any]:
        """A node's row, or those of its top-level fields that are wanted."""
        makers = {
            "daemon": self._daemon,
            "benchmark": self._benchmark,
            "flux": self._flux,
            "apps": self._apps,
            "geolocation": self._geolocation,
        }
        if not wanted:
            return {name: make(node) for name, make in makers.items()} | self._flat(node)
        row = {name: makers[name](node) for name in SUBTREES if name in wanted}
        return row if row.keys() >= set(wanted) else row | self._flat(node)

    def _flat(self, node: FluxNode) -> dict[str, Any]:
        one = node.machine
        row: dict[str, Any] = {"appsHashesTotal": 70_990, "hashesPresent": 70_901}
        row |= {"scannedHeight": self.height - 70, "ip": one.ip, "tier": one.tier}
        row |= {name: self.height - behind for name, behind in HEIGHTS.items()}
        row |= {"paymentAddress": customer(one.number % 40), "activeSince": str(self.began - 10**6)}
        row |= {"collateralHash": digest(self.world.seed, "collateral", one.number), "collateralIndex": one.number % 3}
        row |= {"roundTime": self.began * 1000, "dataCollectedAt": self.began * 1000 + one.number}
        return row if node.is_reachable else row | {"error": {}}

    def _daemon(self, node: FluxNode) -> dict[str, Any]:
        return {"info": {"version": 9_010_050, "blocks": self.height - 70}}

    def _benchmark(self, node: FluxNode) -> dict[str, Any]:
        """All numbers are 0 while a benchmark runs, after one that failed and where nobody answered."""
        if not node.is_reachable:
            return _no_benchmark()
        one, good = node.machine, node.is_good
        state = one.tier if good else node.state
        bench: dict[str, Any] = {"ipaddress": one.ip, "architecture": "amd64" if good else "", "armboard": ""}
        numbers: dict[str, Any] = {"cores": one.cores, "ram": one.ram, "ssd": one.ssd, "hdd": 0}
        numbers |= {"ddwrite": one.ddwrite, "totalstorage": one.ssd, "disksinfo": []}
        numbers |= {"eps": one.eps, "eps_singlethread": round(one.eps / 4, 2), "eps_multithread": one.eps}
        numbers |= {"ping": 0.4, "download_speed": one.download, "upload_speed": one.upload}
        if good:
            numbers["disksinfo"] = [{"disk": "flux_crypt", "size": one.ssd, "writespeed": one.ddwrite}]
        else:
            numbers = dict.fromkeys(numbers, 0) | {"disksinfo": []}
        bench |= {"status": state, "time": self.began - 900, **numbers}
        bench |= {"bench_version": "1.0.20" if good else "0.0.0", "speed_version": "1.2.0" if good else "0.0.0"}
        bench |= {"systemsecure": one.arcane, "error": ""}
        status = {"status": "online", "benchmarking": state, "flux": "connected", "systemsecure": one.arcane}
        return {"info": {"version": "6.3.1", "rpcport": 16_224}, "status": status, "bench": bench}

    def _flux(self, node: FluxNode) -> dict[str, Any]:
        one, dos = node.machine, {"dosState": 0, "dosMessage": None}
        if not node.is_reachable:
            head = {"version": "", "ip": "", "zelid": "", "cruxid": None, "timezone": "", "dos": dos}
            return head | {"numberOfConnectionsIn": 0, "numberOfConnectionsOut": 0}
        version = "8.17.2" if self.network.is_old(one.number) else "8.20.0"
        found: dict[str, Any] = {"version": version, "dockerVersion": "29.3.1", "os": "Ubuntu", "ip": one.ip}
        found |= {"staticIp": False, "zelid": "1DjsQTVLv74xKfsmseJK1VetTgjwSGDqSt", "dos": dos}
        if one.arcane:
            found |= {"arcaneVersion": "1775071308", "arcaneHumanVersion": "jolly wombat"}
        return found | {"numberOfConnectionsOut": 14, "numberOfConnectionsIn": 30}

    def _apps(self, node: FluxNode) -> dict[str, Any]:
        if not node.is_reachable:
            return {"fluxusage": "0", "runningapps": [], "resources": _resources([])}
        one, apps = node.machine, [c for c in node.containers if c is not TOWER]
        running = [self._container(one.number, c) for c in node.containers if c.running]
        up = sum(c.running for c in apps)
        usage: dict[str, Any] = {"totalApps": len(apps), "runningApps": up, "stoppedApps": len(apps) - up}
        specs = {"cpuCores": one.cores, "ram": one.ram * 1024 - 25.25, "ssdStorage": one.ssd if node.is_good else 0}
        usage["nodeSpecs"] = specs
        return {"fluxusage": usage, "runningapps": running, "resources": _resources([c.part for c in apps])}

    def _container(self, number: int, container: Container) -> dict[str, Any]:
        row: dict[str, Any] = {}
        image = self.network.told_image(number, container)
        if self.network.tells_name(number, container):
            row["Names"] = [container.name]
        if image:
            row["Image"] = image
        return row | {"State": "running", "Status": "Up 2 days"}

    def _geolocation(self, node: FluxNode) -> dict[str, Any]:
        return {"ip": node.machine.ip.split(":")[0], **PLACE} if node.is_reachable else EMPTY_PLACE


def _no_benchmark() -> dict[str, Any]:
    bench: dict[str, Any] = {"ipaddress": "", "architecture": "", "armboard": "", "status": "0", "time": 0}
    bench |= dict.fromkeys(("real_cores", "cores", "ram", "ssd", "hdd", "ddwrite", "totalstorage"), 0)
    bench |= {"disksinfo": [{"disk": "sda", "size": 0, "writespeed": 0}]}
    bench |= dict.fromkeys(("eps", "ping", "download_speed", "upload_speed"), 0)
    bench |= {"bench_version": "", "speed_version": "", "error": ""}
    status = {"status": "", "benchmarking": "", "flux": ""}
    return {"info": {"version": "0", "rpcport": 0}, "status": status, "bench": bench}


def _resources(parts: list[Any]) -> dict[str, Any]:
    """Cores, MB and GB; each component takes 12 GB more than it asks for (docs/upstream.md#statistics)."""
    return {
        "appsCpusLocked": round(sum(p.cpu for p in parts), 1),
        "appsRamLocked": sum(p.ram for p in parts),
        "appsHddLocked": sum(p.hdd + 12 for p in parts),
    }


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
