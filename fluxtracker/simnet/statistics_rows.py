"""One node's row of `/fluxinfo`, each part made only when somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fluxtracker.simnet.history import customer, digest
from fluxtracker.simnet.network import FluxNode
from fluxtracker.simnet.placement import TOWER, Container
from fluxtracker.simnet.world import World

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
