"""The nodes of the simulated network and the containers that they run, always the same for one seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from fluxtracker.simnet.catalogue import App, Component

if TYPE_CHECKING:
    from fluxtracker.simnet.world import World

TIERS = {"CUMULUS": (4, 7.7, 220), "NIMBUS": (8, 30.6, 440), "STRATUS": (16, 61.9, 880)}
"""The cores, GB of memory and GB of storage that a tier needs at least."""
SHARES = (3378, 1582, 1764)
UNREACHABLE, FAILED = 0.022, 0.004
ROUND = 960  # seconds between two collections of the statistics
OLD_NAMES = {"cumulus": "basic", "nimbus": "super", "stratus": "bamf"}
DAY = 86_400
SHRUNK, SHRUNK_DAYS = 0.04, 30  # the network grew by this share in so many days before the world was made


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one node. `ram` and `ssd` are GB, speeds as in a benchmark."""

    number: int
    tier: str
    ip: str
    reachable: bool
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
    rng.random()  # whether it runs ArcaneOS, which no answer says any more
    least = TIERS[tier]
    cores = least[0] * rng.choice((1, 1, 1, 2))
    ram = round(least[1] + rng.choice((0, 0.1, 1.4, 1.9)), 1)
    ssd = least[2] + rng.choice((0.0, 0.0, 6.94, 36.0))
    write, eps, down, up = (round(rng.uniform(0.6, 2.0) * usual, 2) for usual in (700, 320 * cores, 900, 850))
    return Machine(number, tier, ip, reachable, cores, ram, ssd, write, eps, down, up)


class Container(NamedTuple):
    """One container; `app` is None when no app explains it, `listed` whether the app's specification is public."""

    name: str
    part: Component
    app: App | None
    listed: bool = True
    running: bool = True
    is_app: bool = True
    """False for a program of the node itself."""


Placed = list[tuple[int, tuple[Container, ...]]]
"""Numbers of nodes, with the containers that one app has on each."""


@dataclass(slots=True)
class FluxNode:
    """One node in one round; `state` is "online", "running" (its benchmark), "failed" or "unreachable"."""

    machine: Machine
    state: str
    containers: list[Container] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Return whether its benchmark has numbers."""
        return self.state == "online"

    @property
    def is_reachable(self) -> bool:
        return self.state != "unreachable"


class Network:
    """All nodes of a world. Each app runs on as many nodes as it has instances, always on the same ones."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bodies: dict[str, bytes] = {}
        """Kept answers by projection, until the round or the registry changes."""
        self._machines: list[Machine] = []
        self._nodes: list[FluxNode] = []
        self._nodes_of: tuple[object, ...] = ()
        self._hosts: list[int] = []
        """Numbers of the reachable nodes."""
        self._apps: dict[str, tuple[App, Placed]] = {}
        self._counted: dict[int, dict[str, int]] = {}

    def began(self) -> int:
        """Return the start of the current round of statistics, in Unix seconds."""
        return int(self.world.now()) // ROUND * ROUND

    def machines(self, count: int) -> list[Machine]:
        """Return the first machines, by number."""
        for number in range(len(self._machines), count):
            self._machines.append(machine(self.world.seed, number))
        return self._machines[:count]

    def nodes(self) -> list[FluxNode]:
        """Return all nodes with the containers of the current apps."""
        world = self.world
        world.registry.current()
        now = (self.began(), world.nodes, world.benchmarking, world.registry.edition)
        if now != self._nodes_of:
            self._nodes_of = now
            self._nodes = self._collected()
            self.bodies.clear()
        return self._nodes

    def _collected(self) -> list[FluxNode]:
        found = [FluxNode(one, self._state(one)) for one in self.machines(self.world.nodes)]
        hosts = [node.machine.number for node in found if node.is_reachable]
        if hosts != self._hosts:
            self._hosts = hosts
            self._apps.clear()
        if hosts:
            for number, containers in self._placed():
                found[number].containers.extend(containers)
        return found

    def _state(self, one: Machine) -> str:
        """Return a machine's state in the current round."""
        if not one.reachable:
            return "unreachable"
        draw = crc32(f"{self.world.seed}:state:{one.number}:{self.began()}".encode()) / 2**32
        running = self.world.benchmarking
        return "running" if draw < running else "failed" if draw < running + FAILED else "online"

    def _placed(self) -> Iterator[tuple[int, tuple[Container, ...]]]:
        """Yield the containers of all current apps; an app that stays is not placed again."""
        current = self.world.registry.current()
        for name in self._apps.keys() - current.keys():
            del self._apps[name]
        for name in sorted(current):
            app = current[name].app
            if name not in self._apps or self._apps[name][0] is not app:
                self._apps[name] = (app, self._place(app))
            yield from self._apps[name][1]

    def _place(self, app: App, *, listed: bool = True) -> Placed:
        rng = random.Random(f"{self.world.seed}:place:{app.name}")
        nodes = rng.sample(self._hosts, min(app.instances, len(self._hosts)))
        containers = tuple(Container(name, part, app, listed) for name, part in app.container_names())
        return [(node, containers) for node in nodes]

    def row(self, node: FluxNode, container: Container) -> dict[str, Any]:
        """Return the container's row in the statistics."""
        return {"Names": [container.name], "State": "running", "Status": "Up 2 days"}

    def counts(self) -> dict[str, int]:
        """Return the nodes by tier, in small letters."""
        return self._counts_of(self.world.nodes)

    def counts_at(self, seconds: float) -> dict[str, int]:
        """Return the nodes by tier at an instant; in the month before the world was made there were fewer."""
        age = max(0.0, self.world.started - seconds) / DAY
        share = 1 - SHRUNK * min(1.0, age / SHRUNK_DAYS)
        return {name: round(count * share) for name, count in self._counts_of(self.size_at(seconds)).items()}

    def size_at(self, seconds: float) -> int:
        return self.world.nodes

    def _counts_of(self, size: int) -> dict[str, int]:
        if size not in self._counted:
            tiers = Counter(one.tier for one in self.machines(size))
            self._counted[size] = {name: tiers[name.upper()] for name in OLD_NAMES}
        return self._counted[size]


def node_count(world: World) -> dict[str, int]:
    """Return `getfluxnodecount`, with the old names of the tiers as well."""
    counts = world.network.counts()
    total = sum(counts.values())
    old = {f"{OLD_NAMES[name]}-enabled": count for name, count in counts.items()}
    new = {f"{name}-enabled": count for name, count in counts.items()}
    return {"total": total, "stable": total, **old, **new, "ipv4": total // 3, "ipv6": 0, "onion": 0}
