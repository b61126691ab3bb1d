"""What the census asks, behind the addresses of the settings; a test changes the lists."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson
import responses

from tests.metrics.network import API, INFO, success
from tests.upstream.payloads import payload

NODE_LIST, LOCATIONS = f"{API}/daemon/viewdeterministicfluxnodelist", f"{API}/apps/locations"
TERMS = f"{API}/apps/deploymentinformation"
LISTED = payload("daemon_viewdeterministicfluxnodelist")["data"][0]
TOLD = payload("stats_fluxinfo_full")["data"][1]
PLACED = payload("apps_locations")["data"][0]
AMOUNTS = {"CUMULUS": "1000.00", "NIMBUS": "12500.00", "STRATUS": "40000.00"}
PARTS = ("node_list", "node_facts", "locations", "terms")


class CensusNetwork:
    """`nodes`: the list; `facts`: the statistics; `places`: instances. `broken`: by part, what comes instead."""

    def __init__(self, web: responses.RequestsMock) -> None:
        self.web = web
        self.nodes: list[Any] = [listed(number) for number in range(10)]
        self.facts: list[Any] = [told(number) for number in range(10)]
        self.places: list[Any] = [place(f"app{number % 4}", number) for number in range(10)]
        self.terms: Any = payload("apps_deploymentinformation")["data"]
        self.broken: dict[str, Any] = {}
        web.add_callback("GET", NODE_LIST, lambda _: self._answer("node_list", self.nodes))
        web.add_callback("GET", INFO, lambda _: self._answer("node_facts", self.facts))
        web.add_callback("GET", LOCATIONS, lambda _: self._answer("locations", self.places))
        web.add_callback("GET", TERMS, lambda _: self._answer("terms", self.terms))

    def _answer(self, part: str, data: Any) -> tuple[int, dict[str, str], str]:
        broken = self.broken.get(part)
        if isinstance(broken, int):
            return broken, {}, "out of order"
        return 200, {}, orjson.dumps(success(data if broken is None else broken)).decode()

    def of(self, count: int) -> None:
        """Let it be a network of so many nodes."""
        self.nodes = [listed(number) for number in range(count)]
        self.facts = [told(number) for number in range(count)]


def ip(number: int, generation: int = 0) -> str:
    found = random.Random(f"{number}:{generation}")
    return ".".join(str(found.randrange(20, 220)) for _ in range(4)) + (":16137" if number % 2 else "")


def listed(number: int, *, tier: str = "CUMULUS", **other: Any) -> dict[str, Any]:
    """A row of the list: node `number`, each with an operator of its own."""
    txid = f"{number:064x}"
    return LISTED | {
        "collateral": f"COutPoint({txid}, 0)", "txhash": txid, "outidx": "0", "ip": ip(number), "tier": tier,
        "amount": AMOUNTS[tier], "payment_address": f"t1operator{number:025}", "pubkey": f"02{number:064x}",
    } | other  # fmt: skip


def told(number: int, *, tier: str = "CUMULUS", **paths: Any) -> dict[str, Any]:
    """A row of the statistics of the same node; `paths`: other values, dots as two underscores."""
    row: dict[str, Any] = copy.deepcopy(TOLD)
    row |= {"collateralHash": f"{number:064x}", "collateralIndex": 0, "ip": ip(number), "tier": tier}
    row["geolocation"]["ip"] = row["flux"]["ip"] = ip(number).split(":")[0]
    for path, value in paths.items():
        *way, last = path.split("__")
        inner = row
        for key in way:
            inner = inner[key]
        inner[last] = value
    return row


def gone(number: int) -> dict[str, Any]:
    """The placeholder of a node that could not be reached."""
    row = copy.deepcopy(payload("stats_fluxinfo_full")["data"][5])
    return row | {"collateralHash": f"{number:064x}", "collateralIndex": 0, "ip": ip(number)}


def place(app: str, number: int, *, hash_: str = "ab" * 32) -> dict[str, Any]:
    """An instance of an app on node `number`."""
    address = ip(number)
    return PLACED | {"name": app, "hash": hash_, "ip": address if ":" in address else f"{address}:16127"}
