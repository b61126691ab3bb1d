"""Simulate the nodes of the network and their containers, deterministic by seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import floor
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from fluxtracker.simnet.catalogue import App, Component
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.operators import COLLATERAL, facts

if TYPE_CHECKING:
    from fluxtracker.simnet.records import Message
    from fluxtracker.simnet.world import World

TIERS = {"CUMULUS": (4, 7.7, 220), "NIMBUS": (8, 30.6, 440), "STRATUS": (16, 61.9, 880)}
"""The cores, GB of memory and GB of storage that a tier needs at least."""
SHARES = (3378, 1582, 1764)
UNREACHABLE, FAILED = 0.022, 0.004
ROUND = 960  # seconds between two collections of the statistics
OLD_NAMES = {"cumulus": "basic", "nimbus": "super", "stratus": "bamf"}
DAY = 86_400
STEADY, STAYS = 0.4, (20, 160)  # share of the places whose node never goes, and days that others stay
MOVING, RESTS = 0.15, (4, 30)  # share of the places whose node moves, and days that it rests
UNDER_FILLED = 0.03  # share of the apps that have fewer instances than ordered
NAMELESS = 560  # one in this many is listed without an address
NEVER_PAID = "1516980000"
SHRUNK, SHRUNK_DAYS = 0.04, 30  # the network grew by this share in this many days before the world was made


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
    collateral: str
    """The transaction that locked its coins; they move on when the node goes."""
    joined: float
    """Unix seconds."""

    @property
    def outidx(self) -> int:
        return self.number % 3


class Changes(NamedTuple):
    """Days until the node in one place is replaced, and until it moves to another address; 0: never."""

    stays: float
    stayed: float
    rests: float
    rested: float
    age: float
    """Of the first node, when the world was made."""

    def joined(self, started: float, seconds: float) -> tuple[int, float]:
        """Return how many nodes preceded the one at an instant, and when that one joined."""
        days = (seconds - started) / DAY
        before = max(0, floor((days + self.stayed) / self.stays)) if self.stays else 0
        return before, started + DAY * (before * self.stays - self.stayed if before else -self.age)

    def moves(self, started: float, seconds: float) -> int:
        return max(0, floor(((seconds - started) / DAY + self.rested) / self.rests)) if self.rests else 0


@lru_cache(maxsize=20_000)
def changes(seed: int, number: int) -> Changes:
    rng = random.Random(f"{seed}:changes:{number}")
    stays = rng.uniform(*STAYS) if rng.random() >= STEADY else 0.0
    rests = rng.uniform(*RESTS) if rng.random() < MOVING else 0.0
    return Changes(stays, stays * rng.random(), rests, rests * rng.random(), rng.uniform(3, 700))


def machine(seed: int, number: int, before: int = 0, moves: int = 0, joined: float = 0.0) -> Machine:
    """Return the node in a place after this many predecessors and moves; the place decides its tier."""
    rng = random.Random(f"{seed}:node:{number}")
    tier = rng.choices(tuple(TIERS), SHARES)[0]
    reachable = rng.random() >= UNREACHABLE
    later = f":{before}" if before else ""
    if before or moves:
        rng.seed(f"{seed}:node:{number}{later}:{moves}")
    port = rng.choice(("", ":16137", ":16147", ":16167"))
    ip = f"{rng.randrange(11, 220)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}{port}"
    rng.random()  # whether it runs ArcaneOS, which is reported elsewhere
    if before or moves:
        rng.seed(f"{seed}:machine:{number}{later}")  # the same after a move
    least = TIERS[tier]
    cores = least[0] * rng.choice((1, 1, 1, 2))
    ram = round(least[1] + rng.choice((0, 0.1, 1.4, 1.9)), 1)
    ssd = least[2] + rng.choice((0.0, 0.0, 6.94, 36.0))
    write, eps, down, up = (round(rng.uniform(0.6, 2.0) * usual, 2) for usual in (700, 320 * cores, 900, 850))
    collateral = digest(seed, "collateral", f"{number}{later}")
    return Machine(number, tier, ip, reachable, cores, ram, ssd, write, eps, down, up, collateral, joined)


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
        self._machines: list[tuple[tuple[int, int], Machine]] = []
        """By number: how many nodes and moves came before, and the machine."""
        self._nodes: list[FluxNode] = []
        self._nodes_of: tuple[object, ...] = ()
        self._hosts: list[int] = []
        """Numbers of the reachable nodes."""
        self._apps: dict[str, tuple[App, Placed]] = {}
        self._counted: dict[int, dict[str, int]] = {}

    def began(self) -> int:
        """Return the start of the current round of statistics, in Unix seconds."""
        return int(self.world.now()) // ROUND * ROUND

    def machines(self, count: int, seconds: float | None = None) -> list[Machine]:
        """Return the first machines of an instant, by number; of now when it is None."""
        seed, started = self.world.seed, self.world.started
        seconds = self.world.now() if seconds is None else seconds
        for number in range(count):
            plan = changes(seed, number)
            before, joined = plan.joined(started, seconds)
            state = before, plan.moves(started, seconds)
            if number == len(self._machines):
                self._machines.append((state, machine(seed, number, *state, joined)))
            elif self._machines[number][0] != state:
                self._machines[number] = state, machine(seed, number, *state, joined)
        return [one for _, one in self._machines[:count]]

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
        found = [FluxNode(one, self._state(one)) for one in self.machines(self.world.nodes, self.began())]
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
                self._apps[name] = (app, self._place(app)[self.missing(current[name]) :])
            yield from self._apps[name][1]

    def missing(self, message: Message) -> int:
        """Return how many instances of an app no node has installed."""
        draw = crc32(f"{self.world.seed}:missing:{message.app.name}".encode()) / 2**32
        lacks = message.tx.act and draw < UNDER_FILLED and message.app.instances > 1
        return 1 + int(draw / UNDER_FILLED * (message.app.instances - 1)) if lacks else 0

    def instances(self) -> Iterator[tuple[Message, Placed]]:
        """Yield the current apps with the nodes that run them, as `nodes` found them."""
        for name, message in self.world.registry.current().items():
            if name in self._apps:
                yield message, self._apps[name][1]

    def placed(self, message: Message) -> Placed:
        """Return the nodes that ran an app before it ended."""
        return self._place(message.app)[self.missing(message) :] if self._hosts else []

    def _place(self, app: App, *, listed: bool = True) -> Placed:
        rng = random.Random(f"{self.world.seed}:place:{app.name}")
        nodes = rng.sample(self._hosts, min(app.instances, len(self._hosts)))
        containers = tuple(Container(name, part, app, listed) for name, part in app.container_names())
        return [(node, containers) for node in nodes]

    def row(self, node: FluxNode, container: Container) -> dict[str, Any]:
        """Return the container's row in the statistics."""
        return {"Names": [container.name], "State": "running", "Status": "Up 2 days"}

    def counts(self) -> dict[str, int]:
        """Return the nodes by lower-case tier."""
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


def node_list(world: World, tip: int, wanted: str) -> list[dict[str, Any]]:
    """Return `viewdeterministicfluxnodelist`: the nodes whose address, payment address or collateral has `wanted`."""
    rows = (_listed(world, one, tip, rank) for rank, one in enumerate(world.network.machines(world.nodes)))
    return [row for row in rows if any(wanted in row[key] for key in ("ip", "payment_address", "txhash"))]


def _listed(world: World, one: Machine, tip: int, rank: int) -> dict[str, Any]:
    owner, chain = facts(world.seed, one.collateral), world.chain
    draw = int(one.collateral[:8], 16)
    added = max(1, min(chain.height_at(one.joined), tip - 3))
    paid = max(0, tip - draw % 7_000)
    paid = paid if paid > added + 200 else 0
    return {
        "collateral": f"COutPoint({one.collateral}, {one.outidx})",
        "txhash": one.collateral,
        "outidx": str(one.outidx),
        "ip": "" if draw % NAMELESS == 0 else one.ip,
        "network": "" if draw % NAMELESS == 0 else "ipv4",
        "added_height": added,
        "confirmed_height": added + 2,
        "last_confirmed_height": max(added + 2, tip - draw % 480),
        "last_paid_height": paid,
        "tier": one.tier,
        "payment_address": owner.payment_address,
        "pubkey": owner.pubkey,
        "activesince": str(chain.time(added + 2)),
        "lastpaid": str(chain.time(paid)) if paid else NEVER_PAID,
        "amount": f"{COLLATERAL[one.tier]}.00",
        "rank": rank,
    }
