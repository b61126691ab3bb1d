"""The nodes of the simulated network: what they are and which containers they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fluxtracker.simnet import clock, hardware
from fluxtracker.simnet.hardware import TIERS, Machine
from fluxtracker.simnet.history import customer, digest
from fluxtracker.simnet.placement import TOWER, Container, Placement

if TYPE_CHECKING:
    from fluxtracker.simnet.world import World

ROUND = 960  # seconds between two collections of the statistics
NAMES = ("cumulus", "nimbus", "stratus")
OLD_NAMES = ("basic", "super", "bamf")
DAY = 86_400
SHRUNK, SHRUNK_DAYS = 0.04, 30  # by how much the network was smaller so many days before it was made


@dataclass(slots=True)
class FluxNode:
    """One node of one round; `state` is "online", "running" (its benchmark), "failed" or "unreachable"."""

    machine: Machine
    state: str
    containers: list[Container] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether its benchmark has numbers."""
        return self.state == "online"

    @property
    def is_reachable(self) -> bool:
        return self.state != "unreachable"


class Network:
    """All nodes of a world. What has been worked out is kept until the round or the registry changes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.placement = Placement(world.seed, world.registry)
        self.bodies: dict[str, bytes] = {}
        """Answers by what was asked for; gone with the next change."""
        self._machines: list[Machine] = []
        self._nodes: list[FluxNode] = []
        self._nodes_of: tuple[object, ...] = ()
        self._sizes: list[tuple[float, int]] = [(0.0, world.nodes)]
        self._counted: dict[int, dict[str, int]] = {}

    def began(self) -> int:
        """Unix seconds at which the current round of statistics began."""
        return int(self.world.now()) // ROUND * ROUND

    def height(self) -> int:
        """The tip when the current round began."""
        return min(self.world.tip_height, self.world.chain.height_at(self.began()))

    def machines(self) -> list[Machine]:
        """The machines of now, by number."""
        return self._first(self.world.nodes)

    def _first(self, count: int) -> list[Machine]:
        for number in range(len(self._machines), count):
            self._machines.append(hardware.machine(self.world.seed, number))
        return self._machines[:count]

    def nodes(self) -> list[FluxNode]:
        """All nodes with the containers that the current apps have on them."""
        world = self.world
        world.registry.current()
        now = (self.began(), world.nodes, world.benchmarking, world.images, world.registry.edition)
        if now != self._nodes_of:
            self._nodes_of = now
            self._nodes = self._collected()
            self.bodies.clear()
        return self._nodes

    def _collected(self) -> list[FluxNode]:
        world, began = self.world, self.began()
        found = [FluxNode(m, hardware.state(world.seed, m, began, world.benchmarking)) for m in self.machines()]
        for number, containers in self.placement.containers([n.machine.number for n in found if n.is_reachable]):
            found[number].containers.extend(containers)
        for node in found:
            if node.is_reachable and self.is_old(node.machine.number):
                node.containers.append(TOWER)
        return found

    def is_old(self, number: int) -> bool:
        """Whether a node is older than FluxOS 8.18: it tells images, and Watchtower keeps it up to date."""
        return self.world.images and number % 3 > 0

    def tells_name(self, number: int, container: Container) -> bool:
        """A third of the nodes tell an image instead of a name."""
        return number % 3 < 2 or self.told_image(number, container) is None

    def told_image(self, number: int, container: Container) -> str | None:
        """What the row itself says of the image. Old nodes keep that of an encrypted app to themselves."""
        hidden = container.app is not None and container.app.encrypted
        return container.part.repotag if self.is_old(number) and not hidden else None

    # How many

    def resized(self) -> None:
        """The world has another number of nodes from now on."""
        self._sizes.append((self.world.now(), self.world.nodes))

    def counts(self) -> dict[str, int]:
        """Nodes by tier, in small letters."""
        return self._counts_of(self.world.nodes)

    def counts_at(self, seconds: float) -> dict[str, int]:
        """Nodes by tier at an instant; in the month before the world was made there were fewer."""
        size = next((size for since, size in reversed(self._sizes) if since <= seconds), self._sizes[0][1])
        age = max(0.0, self.world.started - seconds) / DAY
        share = 1 - SHRUNK * min(1.0, age / SHRUNK_DAYS)
        return {name: round(count * share) for name, count in self._counts_of(size).items()}

    def _counts_of(self, size: int) -> dict[str, int]:
        found = self._counted.get(size)
        if found is None:
            tiers = Counter(one.tier for one in self._first(size))
            found = self._counted[size] = {name: tiers[name.upper()] for name in NAMES}
        return found


def node_count(world: World) -> dict[str, int]:
    """`getfluxnodecount`; basic, super and bamf are old names of the tiers."""
    counts = list(world.network.counts().values())
    found = {"total": sum(counts), "stable": sum(counts)}
    for names in (OLD_NAMES, NAMES):
        found |= {f"{name}-enabled": count for name, count in zip(names, counts, strict=True)}
    return found | {"ipv4": sum(counts) // 3, "ipv6": 0, "onion": 0}


def node_list(world: World, wanted: str) -> list[dict[str, Any]]:
    """`viewdeterministicfluxnodelist`; the filter is part of an address, IP or transaction."""
    rows = (_list_row(world, machine) for machine in world.network.machines())
    return [r for r in rows if wanted in r["ip"] or wanted in r["payment_address"] or wanted in r["txhash"]]


def _list_row(world: World, node: Machine) -> dict[str, Any]:
    txhash, index = digest(world.seed, "collateral", node.number), node.number % 3
    added = world.tip_height - 50_000 - node.number
    row: dict[str, Any] = {"collateral": f"COutPoint({txhash}, {index})", "txhash": txhash}
    row |= {"outidx": str(index), "ip": node.ip, "network": "ipv4", "added_height": added}
    row |= {"confirmed_height": added + 2, "last_confirmed_height": world.tip_height - node.number % 500}
    row |= {"last_paid_height": world.tip_height - node.number % 3000, "tier": node.tier}
    row |= {"payment_address": customer(node.number % 40), "activesince": str(int(world.now()) - 10**6)}
    row |= {"lastpaid": str(int(world.now()) - 30 * (node.number % 3000)), "rank": node.number}
    return row | {"amount": f"{TIERS[node.tier][3]}.00"}


def locations(world: World, wanted: str = "") -> Iterator[dict[str, Any]]:
    """`/apps/locations`: each app of each node once, with the port always there; of one app when it is named."""
    seen = clock.utc(world.network.began())
    times = {"broadcastedAt": _iso(seen), "expireAt": _iso(seen + timedelta(minutes=125))}
    for node in world.network.nodes():
        ip = node.machine.ip if ":" in node.machine.ip else f"{node.machine.ip}:16127"
        for name in dict.fromkeys(c.app.name for c in node.containers if c.app and c.running):
            if wanted in ("", name.lower()):
                row = {"ip": ip, "name": name, "hash": world.registry.hash_of(name), **times}
                yield row | {"osUptime": 689.29, "staticIp": False, "runningSince": _iso(seen)}


def _iso(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.430Z"))
