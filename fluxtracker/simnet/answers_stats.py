"""stats.runonflux.io (upstream.md 4): `/fluxinfo` with projections and `/fluxhistorystats`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from fluxtracker.simnet import network
from fluxtracker.simnet.answers import Answer, failure, success
from fluxtracker.simnet.history import customer, digest
from fluxtracker.simnet.network import TIERS, FluxNode
from fluxtracker.simnet.world import World

HISTORY_STEP, HISTORY_DAYS = 870, 30  # seconds between two points of the history of node counts
GEO = ["ip", "countryCode", "country", "lat", "lon"]  # what the word `geo` stands for
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
    rows = [_row(world, node) for node in network.nodes(world)]
    return success([_project(row, wanted) for row in rows] if wanted else rows)


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


def _row(world: World, node: FluxNode) -> dict[str, Any]:
    began = network.round_time(world) * 1000
    reachable = node.state != "unreachable"
    row: dict[str, Any] = {"daemon": {"info": {"version": 9_010_050, "blocks": world.tip_height - 70}}}
    row |= {"benchmark": _benchmark(world, node), "flux": _flux(node), "apps": _apps(node)}
    row |= {"geolocation": _geolocation(node), "appsHashesTotal": 70_990, "hashesPresent": 70_901}
    row |= {"scannedHeight": world.tip_height - 70, "ip": node.ip, "tier": node.tier}
    row |= {"addedHeight": world.tip_height - 50_000, "confirmedHeight": world.tip_height - 49_998}
    row |= {"lastConfirmedHeight": world.tip_height - 300, "lastPaidHeight": world.tip_height - 900}
    row |= {"paymentAddress": customer(node.number % 40), "activeSince": str(began // 1000 - 10**6)}
    row |= {"collateralHash": digest(world.seed, "collateral", node.number)}
    row |= {"collateralIndex": node.number % 3, "roundTime": began, "dataCollectedAt": began + node.number}
    return row if reachable else row | {"error": "Node unreachable"}


def _benchmark(world: World, node: FluxNode) -> dict[str, Any]:
    """All numbers are 0 while a benchmark runs and for nodes that nobody reached."""
    cores, ram, ssd = TIERS[node.tier][:3] if node.state == "online" else (0, 0, 0)
    rng = random.Random(f"{world.seed}:bench:{node.number}")
    speed = [round(rng.uniform(0.6, 2.0) * value, 2) for value in (700, 320 * cores, 900, 850)]
    write, eps, down, up = speed if node.state == "online" else (0, 0, 0, 0)
    state = {"online": node.tier, "unreachable": "0"}.get(node.state, node.state)
    bench: dict[str, Any] = {"ipaddress": node.ip, "architecture": "amd64" if cores else "", "armboard": ""}
    bench |= {"status": state, "time": network.round_time(world) - 900, "cores": cores, "ram": ram}
    bench |= {"ssd": ssd, "hdd": 0, "ddwrite": write, "totalstorage": ssd, "disksinfo": []}
    bench |= {"eps": eps, "eps_singlethread": eps / 4, "eps_multithread": eps, "ping": 0.4 if cores else 0}
    bench |= {"download_speed": down, "upload_speed": up, "bench_version": "1.0.20"}
    bench |= {"speed_version": "1.2.0", "systemsecure": node.arcane, "error": ""}
    status: dict[str, Any] = {"status": "online" if state != "0" else "offline", "benchmarking": state}
    status |= {"flux": "connected", "systemsecure": node.arcane}
    return {"info": {"version": "6.3.1", "rpcport": 16_224}, "status": status, "bench": bench}


def _flux(node: FluxNode) -> dict[str, Any]:
    dos = {"dosState": 0, "dosMessage": None}
    if node.state == "unreachable":
        head = {"version": "", "ip": "", "zelid": "", "cruxid": None, "timezone": "", "dos": dos}
        return head | {"numberOfConnectionsIn": 0, "numberOfConnectionsOut": 0}
    found: dict[str, Any] = {"version": "8.20.0", "dockerVersion": "29.3.1", "os": "Ubuntu", "ip": node.ip}
    found |= {"staticIp": False, "zelid": "1DjsQTVLv74xKfsmseJK1VetTgjwSGDqSt", "dos": dos}
    if node.arcane:
        found |= {"arcaneVersion": "1775071308", "arcaneHumanVersion": "jolly wombat"}
    return found | {"numberOfConnectionsOut": 14, "numberOfConnectionsIn": 30}


def _apps(node: FluxNode) -> dict[str, Any]:
    if node.state == "unreachable":
        return {"fluxusage": "0", "runningapps": [], "resources": _resources([])}
    running = [{"Names": [n], "State": "running", "Status": "Up 2 days"} for n, _ in node.containers]
    usage = {"totalApps": len(running), "runningApps": len(running), "stoppedApps": 0}
    parts = [part for _, part in node.containers]
    return {"fluxusage": usage, "runningapps": running, "resources": _resources(parts)}


def _resources(parts: list[Any]) -> dict[str, Any]:
    """Cores, MB and GB; each component takes 12 GB more than it asks for (upstream.md 4.1)."""
    found = {"appsCpusLocked": round(sum(p.cpu for p in parts), 1)}
    return found | {
        "appsRamLocked": sum(p.ram for p in parts),
        "appsHddLocked": sum(p.hdd + 12 for p in parts),
    }


def _geolocation(node: FluxNode) -> dict[str, Any]:
    empty = {"ip": "", "continent": "", "continentCode": "", "country": "", "countryCode": "", "region": ""}
    empty |= {"regionName": ""}
    if node.state == "unreachable":
        return empty | {"lat": 0, "lon": 0, "org": ""}
    place: dict[str, Any] = {
        "ip": node.ip.split(":")[0],
        "continent": "Europe",
        "continentCode": "EU",
        "country": "Germany",
    }
    place |= {"countryCode": "DE", "region": "HE", "regionName": "Hesse", "lat": 50.1, "lon": 8.6}
    flags = {"mobile": False, "proxy": False, "hosting": True, "static": True, "dataCenter": True}
    return {**place, "org": "Example", "isp": "Example", "asn": "AS64500 Example", **flags}


def history(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """Node counts about every 14.5 minutes for 30 days, ending at those of now."""
    tiers = [_tier_count(world, tier) for tier in ("cumulus", "nimbus", "stratus")]
    last = int(world.now()) // HISTORY_STEP
    count = HISTORY_DAYS * 86_400 // HISTORY_STEP
    found = {}
    for number in range(last - count, last + 1):
        shrunk = 1 - 0.04 * (last - number) / count
        names = ("cumulus", "nimbus", "stratus")
        found[str(number * HISTORY_STEP * 1000 + 779)] = {
            name: round(total * shrunk) for name, total in zip(names, tiers, strict=True)
        }
    return success(found)


def _tier_count(world: World, tier: str) -> int:
    return network.node_count(world)[f"{tier}-enabled"]
