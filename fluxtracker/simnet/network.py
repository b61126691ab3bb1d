"""The nodes of the simulated network: what they are and which containers they run.

What the machines of the network are: the same for one seed, whatever runs on them.

Which containers run on which node: each app on as many nodes as it has instances, always the same ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from fluxtracker.simnet import records
from fluxtracker.simnet.catalogue import WATCHTOWER, App, Component
from fluxtracker.simnet.history import customer, digest
from fluxtracker.simnet.records import Message
from fluxtracker.simnet.registry import WANDERERS, Registry

TIERS = {"CUMULUS": (4, 7.7, 220, 1000), "NIMBUS": (8, 30.6, 440, 12_500), "STRATUS": (16, 61.9, 880, 40_000)}
"""Cores, GB of memory, GB of storage, collateral in FLUX: the least that a tier asks for."""
SHARES = (3378, 1582, 1764)
UNREACHABLE, ARCANE, FAILED = 0.022, 0.94, 0.004


@dataclass(frozen=True, slots=True)
class Machine:
    """One node's machine. `ram` and `ssd` are GB, speeds as a benchmark tells them."""

    number: int
    tier: str
    ip: str
    reachable: bool
    arcane: bool
    cores: int
    ram: float
    ssd: float
    ddwrite: float
    eps: float
    download: float
    upload: float


def machine(seed: int, number: int) -> Machine:
    rng = random.Random(f"{seed}:node:{number}")
    tier = rng.choices(tuple(TIERS), SHARES)[0]
    reachable = rng.random() >= UNREACHABLE
    port = rng.choice(("", ":16137", ":16147", ":16167"))
    ip = f"{rng.randrange(11, 220)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}{port}"
    arcane = rng.random() < ARCANE
    least = TIERS[tier]
    cores = least[0] * rng.choice((1, 1, 1, 2))
    ram = round(least[1] + rng.choice((0, 0.1, 1.4, 1.9)), 1)
    ssd = least[2] + rng.choice((0.0, 0.0, 6.94, 36.0))
    write, eps, down, up = (round(rng.uniform(0.6, 2.0) * usual, 2) for usual in (700, 320 * cores, 900, 850))
    return Machine(number, tier, ip, reachable, arcane, cores, ram, ssd, write, eps, down, up)


def state(seed: int, one: Machine, began: int, benchmarking: float) -> str:
    """ "online", "running" (its benchmark), "failed" or "unreachable", in the round that began then."""
    if not one.reachable:
        return "unreachable"
    draw = crc32(f"{seed}:state:{one.number}:{began}".encode()) / 2**32
    return "running" if draw < benchmarking else "failed" if draw < benchmarking + FAILED else "online"


STOPPED = 0.04  # share of the crowd's instances that are installed and do not run
LOST = Component("worker", "old/worker:1", 0.5, 300, 2)


class Container(NamedTuple):
    """One container; `app` is None when no app explains it, `listed` whether its specification is there."""

    name: str
    part: Component
    app: App | None
    listed: bool = True
    running: bool = True

    @property
    def told_image(self) -> str | None:
        """The image that the app's specification tells everybody."""
        return self.part.repotag if self.app and self.listed and not self.app.encrypted else None


Placed = list[tuple[int, tuple[Container, ...]]]
TOWER = Container("/watchtower", Component("watchtower", WATCHTOWER, 0, 0, 0), None)


class Placement:
    """Places the apps of a registry on nodes; an app that stays is not placed anew."""

    def __init__(self, seed: int, registry: Registry) -> None:
        self.seed, self.registry = seed, registry
        self._nodes: list[int] = []
        self._apps: dict[str, tuple[App, Placed]] = {}

    def containers(self, nodes: list[int]) -> Iterator[tuple[int, tuple[Container, ...]]]:
        """Node numbers, with containers to add to each; `nodes` are those that are reachable."""
        if nodes != self._nodes:
            self._nodes = nodes
            self._apps.clear()
        if not nodes:
            return
        current = self.registry.current()
        for name in self._apps.keys() - current.keys():
            del self._apps[name]
        for name in sorted(current):
            yield from self._placed(current[name])
        yield from self._left_behind()

    def _placed(self, message: Message) -> Placed:
        app = message.app
        known = self._apps.get(app.name)
        if known is None or known[0] is not app:
            known = self._apps[app.name] = (app, self._place(app))
        return known[1]

    def _place(self, app: App, *, listed: bool = True) -> Placed:
        rng = random.Random(f"{self.seed}:place:{app.name}")
        nodes = rng.sample(self._nodes, min(app.instances, len(self._nodes)))
        up = tuple(Container(name, part, app, listed) for name, part in app.container_names())
        down = tuple(container._replace(running=False) for container in up)
        stops = STOPPED if app.name in self.registry.crowd else 0.0
        return [(node, down if rng.random() < stops else up) for node in nodes]

    def _left_behind(self) -> Iterator[tuple[int, tuple[Container, ...]]]:
        """What still runs though its app has ended, and what nobody knows."""
        for name in self.registry.leftover:
            message = self.registry.latest_of(name)
            if message and name not in self.registry.current():
                yield from self._place(message.app, listed=False)
        for number, name in enumerate(WANDERERS if self.registry.leftover else ()):
            yield self._nodes[number * 7 % len(self._nodes)], (Container(name, LOST, None),)


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
            self._machines.append(machine(self.world.seed, number))
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
        found = [FluxNode(m, state(world.seed, m, began, world.benchmarking)) for m in self.machines()]
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
    seen = records.utc(world.network.began())
    times = {"broadcastedAt": _iso(seen), "expireAt": _iso(seen + timedelta(minutes=125))}
    for node in world.network.nodes():
        ip = node.machine.ip if ":" in node.machine.ip else f"{node.machine.ip}:16127"
        for name in dict.fromkeys(c.app.name for c in node.containers if c.app and c.running):
            if wanted in ("", name.lower()):
                row = {"ip": ip, "name": name, "hash": world.registry.hash_of(name), **times}
                yield row | {"osUptime": 689.29, "staticIp": False, "runningSince": _iso(seen)}


def _iso(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.430Z"))
