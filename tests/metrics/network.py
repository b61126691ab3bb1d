"""A network of a few nodes behind the addresses of the settings; what a test changes is what the upstreams tell."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import responses

from fluxtracker.upstream.stats import Stats
from tests.upstream.payloads import payload

API, STATS, GECKO = "https://flux.test", "https://stats.test", "https://gecko.test"
NODES, SPECS = f"{API}/daemon/getfluxnodecount", f"{API}/apps/globalappsspecifications"
INFO, PRICE = f"{STATS}/fluxinfo", f"{GECKO}/simple/price"
DEAD = "https://nobody.test"
EXPLORER, BINANCE = f"{DEAD}/explorer", f"{DEAD}/binance"
URLS = {"nodes": NODES, "cloud": INFO, "apps": INFO, "specs": SPECS, "price": PRICE}
READ = ("ip", "tier", "benchmark", "apps", "collateralHash", "collateralIndex", "dataCollectedAt", "roundTime")
SAMPLE = orjson.dumps({key: payload("stats_fluxinfo_full")["data"][1][key] for key in READ})
"""A row with what is read of it: the statistics leave out what a request does not ask for."""


class Network:
    """`rows`: the nodes. `broken`: by source, what comes instead: a status, a text or a JSON value."""

    def __init__(self, web: responses.RequestsMock) -> None:
        self.counts: Any = {"total": 10, "cumulus-enabled": 5, "nimbus-enabled": 3, "stratus-enabled": 2}
        self.rows: list[Any] = [node(number) for number in range(10)]
        self.specs: list[Any] = []
        self.price: Any = {"zelcash": {"usd": 0.0744}}
        self.broken: dict[str, Any] = {}
        self.web = web
        web.add_callback("GET", NODES, lambda _: self._answer("nodes", success(self.counts)))
        web.add_callback("GET", SPECS, lambda _: self._answer("specs", success(self.specs)))
        web.add_callback("GET", PRICE, lambda _: self._answer("price", self.price))
        web.add_callback("GET", INFO, self._info)

    def _info(self, request: Any) -> tuple[int, dict[str, str], str]:
        name = "apps" if "runningapps" in request.params["projection"] else "cloud"
        return self._answer(name, success(self.rows))

    def _answer(self, name: str, answer: Any) -> tuple[int, dict[str, str], str]:
        broken = self.broken.get(name)
        if isinstance(broken, int):
            return broken, {}, "out of order"
        if isinstance(broken, str):
            return 200, {}, broken
        return 200, {}, orjson.dumps(answer if broken is None else broken).decode()

    def run(self, *names: str) -> None:
        """The containers of the network, all on the first node."""
        for row in self.rows[1:]:
            row["apps"]["runningapps"] = []
        self.rows[0]["apps"]["runningapps"] = [
            {"Names": [f"/{name}"]} if ":" not in name and "/" not in name else {"Image": name} for name in names
        ]


class Rows:
    """An HTTP client to which the statistics answer with these rows."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def get_json(self, url: str, params: Any = None, **limits: Any) -> Any:
        return orjson.loads(orjson.dumps(success(self.rows)))


def stats(rows: list[Any]) -> Stats:
    """The statistics of these rows, for what needs no collection."""
    return Stats(Rows(rows), STATS)  # type: ignore[arg-type]


def success(data: Any) -> dict[str, Any]:
    return {"status": "success", "data": data}


def node(
    number: int = 0, *, cores: Any = 4, ram: Any = 8, ssd: Any = 220, used: tuple[Any, Any, Any] = (1, 1024, 20)
) -> dict[str, Any]:
    """A row of the statistics: 4 cores, 8 and 220 GB, of which 1 core, 1 GB and 20 GB are taken."""
    row: dict[str, Any] = orjson.loads(SAMPLE)
    row["collateralHash"] = f"{number:064x}"
    row["benchmark"]["bench"] |= {"cores": cores, "ram": ram, "ssd": ssd}
    keys = ("appsCpusLocked", "appsRamLocked", "appsHddLocked")
    row["apps"]["resources"] = dict(zip(keys, used, strict=True))
    row["apps"]["runningapps"] = [{"Names": [f"/fluxweb_app{number}"]}]
    return row


def benching(row: dict[str, Any], status: str = "running") -> dict[str, Any]:
    """The same node while its benchmark runs: all its numbers are 0."""
    row = copy.deepcopy(row)
    row["benchmark"]["bench"] |= {"cores": 0, "ram": 0, "ssd": 0, "status": status}
    return row


def unreachable(row: dict[str, Any]) -> dict[str, Any]:
    """The placeholder for the same node."""
    found = copy.deepcopy(payload("stats_fluxinfo_full")["data"][5])
    return found | {"collateralHash": row["collateralHash"], "collateralIndex": row["collateralIndex"]}


def spec(name: str, *parts: tuple[str, str], encrypted: bool = False, flat: str = "") -> dict[str, Any]:
    """A specification; `flat` is the image of an app of versions 1 to 3."""
    if flat:
        return {"version": 3, "name": name, "repotag": flat, "hash": "ab" * 32, "height": 5}
    compose = [
        {"name": part, "repotag": image, "environmentParameters": ["PASSWORD=hunter2-of-somebody"]}
        for part, image in parts
    ]
    return {"version": 8, "name": name, "enterprise": "c2VjcmV0" if encrypted else "", "compose": compose}


def large(network: Network, nodes: int = 200, **wanted: Any) -> None:
    """Let a network be of so many nodes, whose rows share their parts; `wanted`: other numbers, cores or ram."""
    rows, half, quarter = wanted.get("rows", nodes), nodes // 2, nodes // 4
    network.counts = {"cumulus-enabled": half, "nimbus-enabled": quarter, "stratus-enabled": nodes - half - quarter}
    sample, containers = node(cores=wanted.get("cores", 4), ram=wanted.get("ram", 8)), wanted.get("containers", rows)
    running = [sample["apps"] | {"runningapps": found} for found in ([], [{"Image": "nginx:1"}])]
    network.rows = [
        sample | {"collateralHash": f"{number:064x}", "apps": running[number < containers]} for number in range(rows)
    ]
    network.specs = [spec(f"app{number}", ("web", "nginx:1")) for number in range(wanted.get("specs", nodes))]
