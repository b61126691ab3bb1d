"""The nodes of the simulated network: what they are and which containers they run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fluxtracker.simnet import clock
from fluxtracker.simnet.catalogue import Component
from fluxtracker.simnet.history import customer, digest
from fluxtracker.simnet.world import World

ROUND = 960  # seconds between two collections of the statistics
TIERS = {"CUMULUS": (4, 7.7, 220, 1000), "NIMBUS": (8, 30.6, 440, 12_500), "STRATUS": (16, 61.9, 880, 40_000)}
"""Cores, GB of memory, GB of storage, collateral in FLUX."""


@dataclass(slots=True)
class FluxNode:
    """One node; `state` is "online", "running" (its benchmark), "failed" or "unreachable"."""

    number: int
    tier: str
    ip: str
    state: str
    arcane: bool
    containers: list[tuple[str, Component]]


def round_time(world: World) -> int:
    """Unix seconds at which the current round of statistics began."""
    return int(world.now()) // ROUND * ROUND


def nodes(world: World) -> list[FluxNode]:
    """All nodes with the containers that the current apps have on them."""
    found = [_node(world, number) for number in range(world.nodes)]
    reachable = [node for node in found if node.state != "unreachable"]
    if not reachable:
        return found
    for name, message in sorted(world.registry.current().items()):
        rng = random.Random(f"{world.seed}:place:{name}")
        for _ in range(message.app.instances):
            rng.choice(reachable).containers.extend(message.app.container_names())
    return found


def _node(world: World, number: int) -> FluxNode:
    rng = random.Random(f"{world.seed}:node:{number}")
    tier = rng.choices(tuple(TIERS), (3378, 1582, 1764))[0]
    draw = random.Random(f"{world.seed}:node:{number}:{round_time(world)}").random()
    state = "running" if draw < 0.01 else "failed" if draw < 0.014 else "online"
    if rng.random() < 0.022:
        state = "unreachable"
    port = rng.choice(("", ":16137", ":16147", ":16167"))
    ip = f"{rng.randrange(11, 220)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}{port}"
    return FluxNode(number, tier, ip, state, rng.random() < 0.94, [])


def node_count(world: World) -> dict[str, int]:
    """`getfluxnodecount`; basic, super and bamf are old names of the tiers."""
    counts = [sum(_node(world, n).tier == tier for n in range(world.nodes)) for tier in TIERS]
    found = {"total": sum(counts), "stable": sum(counts)}
    for names in (("basic", "super", "bamf"), ("cumulus", "nimbus", "stratus")):
        found |= {f"{name}-enabled": count for name, count in zip(names, counts, strict=True)}
    return found | {"ipv4": sum(counts) // 3, "ipv6": 0, "onion": 0}


def node_list(world: World, wanted: str) -> list[dict[str, Any]]:
    """`viewdeterministicfluxnodelist`; the filter is part of an address, IP or transaction."""
    rows = (_list_row(world, _node(world, number)) for number in range(world.nodes))
    return [r for r in rows if wanted in r["ip"] or wanted in r["payment_address"] or wanted in r["txhash"]]


def _list_row(world: World, node: FluxNode) -> dict[str, Any]:
    txhash, index = digest(world.seed, "collateral", node.number), node.number % 3
    added = world.tip_height - 50_000 - node.number
    row: dict[str, Any] = {"collateral": f"COutPoint({txhash}, {index})", "txhash": txhash}
    row |= {"outidx": str(index), "ip": node.ip, "network": "ipv4", "added_height": added}
    row |= {"confirmed_height": added + 2, "last_confirmed_height": world.tip_height - node.number % 500}
    row |= {"last_paid_height": world.tip_height - node.number % 3000, "tier": node.tier}
    row |= {"payment_address": customer(node.number % 40), "activesince": str(int(world.now()) - 10**6)}
    row |= {"lastpaid": str(int(world.now()) - 30 * (node.number % 3000)), "rank": node.number}
    return row | {"amount": f"{TIERS[node.tier][3]}.00"}


def locations(world: World) -> Iterator[dict[str, Any]]:
    """`/apps/locations`: each app of each node once, with the port always there."""
    latest = world.registry.current()
    seen = clock.utc(round_time(world))
    for node in nodes(world):
        names = dict.fromkeys(name for name, _ in node.containers)
        for app in dict.fromkeys(name.removeprefix("/flux").split("_")[-1] for name in names):
            row = {"ip": node.ip if ":" in node.ip else f"{node.ip}:16127", "name": app}
            row["hash"] = latest[app].tx.message_hash
            row |= {"broadcastedAt": _iso(seen), "expireAt": _iso(seen + timedelta(minutes=125))}
            yield row | {"osUptime": 689.29, "staticIp": False, "runningSince": _iso(seen)}


def _iso(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.430Z"))
