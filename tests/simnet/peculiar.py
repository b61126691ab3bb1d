"""Odd apps, containers and nodes of the real network, which the demo does not need."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fluxtracker.simnet import app_registry, network
from fluxtracker.simnet.app_registry import LONG, further_message
from fluxtracker.simnet.catalogue import RARE, TEMPLATES, App, Catalogue, Component, make_app
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.network import Container, FluxNode, Placed
from fluxtracker.simnet.records import Message
from fluxtracker.simnet.world import World

CROWD_FROM = 2_000_000  # numbers of the crowd's apps in the catalogue
HOUR = 3_600  # seconds
CANCELLED_AGO = 4_000  # blocks; an owner who cancels sets `expire` to 100
YOUNG = 60_000  # blocks within which the crowd was deployed: three weeks
STOPPED = 0.04  # share of the crowd's instances that are installed and do not run
PART = (Component("web", "nginx:1.27", 0.5, 500, 5),)
LOST = Component("worker", "old/worker:1", 0.5, 300, 2)
WANDERERS = ("/fluxworker_Vanished1700000000001", "/fluxwanderer", "/fluxtool_v2_Vanished")
"""Containers that belong to no app."""
WATCHTOWER = "containrrr/watchtower"
TOWER = Container("/watchtower", Component("watchtower", WATCHTOWER, 0, 0, 0), None, is_app=False)
SPELLINGS = {  # other ways to write an image, without a tag: the name that it is counted under
    "docker.io/presearch/node": "presearch/node",
    "index.docker.io/Presearch/Node": "presearch/node",
    "registry-1.docker.io/kaspanet/rusty-kaspad": "kaspanet/rusty-kaspad",
    "Docker.io/RunOnFlux/Orbit": "runonflux/orbit",
    "docker.io/library/nginx": "nginx",
    "library/nginx": "nginx",
    "GHCR.io/girderworks/edge": "ghcr.io/girderworks/edge",
}
OLD = (
    ("fluxfrontier", 2, "/flux"),  # begins with the prefix of container names
    ("ZelBridge", 3, "/flux"),  # and with the old one
    ("Bitgert", 3, "/zel"),
    ("Koda", 4, "/zel"),
)
"""Name, version and prefix of the containers' names."""
TIMED: tuple[tuple[str, Any, Any, int], ...] = (
    ("Andromeda", 604_800, None, 20_000),
    ("Borealis", None, 604_800, 19_000),
    ("Cassini", 88_000, 88_000, 1_500),  # its owner meant blocks
    ("Draco", 100, None, 1_000),  # its owner wanted to cancel
    ("Eris", 604_800, 2_592_000, 1_200),
    ("Fornax", None, "604800", 1_400),
    ("Gemini", None, None, 1_600),
)
"""Apps of version 9: name, `expire` and `ttl` in seconds, age in blocks. The last four make no sense."""


@dataclass(frozen=True, slots=True)
class TimedApp(App):
    """An app of version 9: its term is in seconds, named `expire` or `ttl`; None leaves a name out."""

    ttl: Any = None

    @property
    def seconds(self) -> int | None:
        """How long it runs; None where its specification makes no sense."""
        said = [value for value in (self.expire, self.ttl) if value is not None]
        agreed = said and all(type(value) is int and value == said[0] for value in said)
        return said[0] if agreed and HOUR <= said[0] <= 3 * 365 * 24 * HOUR else None

    def specification(self) -> dict[str, Any]:
        found = App.specification(self)
        del found["expire"]
        terms = {"expire": self.expire, "ttl": self.ttl}
        return found | {key: value for key, value in terms.items() if value is not None} | {"machineType": "standard"}


def crowd_app(seed: int, number: int) -> App:
    """An app of the crowd: rare kinds among the usual ones, on more nodes."""
    rng = random.Random(f"{seed}:crowd:{number}")
    app = make_app(rng, CROWD_FROM + number, TEMPLATES + RARE)
    hidden = app.encrypted and (app.template is None or app.template.site or rng.random() < 0.25)
    expire = 88_000 if rng.random() < 0.1 else LONG
    return replace(app, instances=rng.choice((3, 3, 3, 5, 5, 10, 20)), expire=expire, encrypted=hidden)


def peculiar_apps(seed: int, tip: int) -> Iterator[tuple[App, int]]:
    """Each app with the height of its message."""
    owner = Catalogue(seed)[0].owner
    for number, (name, version, prefix) in enumerate(OLD):
        yield App(name, version, owner, PART, 3, 88_000, prefix=prefix), tip - 10_000 - number
    for name, expire, ttl, ago in TIMED:
        yield TimedApp(name, 9, owner, PART, 3, expire, ttl=ttl), tip - ago
    for number, image in enumerate(SPELLINGS):
        part = Component("web", f"{image}:1.{number}", 0.5, 500, 5)
        yield App(f"Spelled{number}", 8, owner, (part,), 3, LONG), tip - 2_000 - number
    for name in ("Lingering", "Leftover"):
        yield App(name, 7, owner, PART, 3, 100), tip - CANCELLED_AGO


class Registry(app_registry.Registry):
    """Knows terms in seconds, and apps whose specification is listed after their end."""

    lingering: tuple[str, ...] = ()
    leftover: tuple[str, ...] = ()
    """Apps that have ended, are not listed, and still run."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.crowd: set[str] = set()

    def add_peculiar(self, seed: int, containers: int) -> None:
        """Add the peculiar apps, then apps of the crowd until about so many containers run."""
        for app, height in peculiar_apps(seed, self.chain.tip):
            self.add(further_message(seed, app, height))
        self.lingering, self.leftover = ("Lingering",), ("Leftover",)
        running = sum(_size(message.app) for message in self.current().values())
        number = 0
        while running < containers:
            app = crowd_app(seed, number)
            height = self.chain.tip - random.Random(f"{seed}:age:{number}").randrange(YOUNG)
            self.add(further_message(seed, app, height))
            self.crowd.add(app.name)
            running, number = running + _size(app), number + 1

    def is_listed(self, message: Message) -> bool:
        return message.app.name in self.lingering or super().is_listed(message)

    def has_time_left(self, message: Message) -> bool:
        return super().is_listed(message)

    def latest_of(self, name: str) -> Message | None:
        """The latest message of an app that may not be listed any more."""
        found = [m for m in self.by_hash.values() if m.app.name == name and self.knows(m.tx)]
        return max(found, key=lambda message: message.tx.height, default=None)


def _size(app: App) -> int:
    return app.instances * len(app.components)


class Network(network.Network):
    """Has containers that do not run or belong to no app, and with `images` nodes older than FluxOS 8.18."""

    registry: Registry

    def __init__(self, world: World, *, images: bool) -> None:
        super().__init__(world)
        assert isinstance(world.registry, Registry)
        self.registry = world.registry
        self.images = images
        self._sizes: list[tuple[float, int]] = [(0.0, world.nodes)]

    def _collected(self) -> list[FluxNode]:
        found = super()._collected()
        for node in found:
            if node.is_reachable and self.is_old(node.machine.number):
                node.containers.append(TOWER)
        return found

    def _placed(self) -> Iterator[tuple[int, tuple[Container, ...]]]:
        yield from super()._placed()
        for name in self.registry.leftover:
            message = self.registry.latest_of(name)
            if message and name not in self.registry.current():
                yield from self._place(message.app, listed=False)
        for number, name in enumerate(WANDERERS if self.registry.leftover else ()):
            yield self._hosts[number * 7 % len(self._hosts)], (Container(name, LOST, None),)

    def _place(self, app: App, *, listed: bool = True) -> Placed:
        placed = super()._place(app, listed=listed)
        if app.name not in self.registry.crowd:
            return placed
        rng = random.Random(digest(self.world.seed, "stopped", app.name))
        return [
            (node, tuple(one._replace(running=False) for one in containers) if rng.random() < STOPPED else containers)
            for node, containers in placed
        ]

    def is_old(self, number: int) -> bool:
        """Whether a node is older than FluxOS 8.18: it tells images, and Watchtower keeps it up to date."""
        return self.images and number % 3 > 0

    def told_image(self, number: int, container: Container) -> str | None:
        """The image in a node's row. Old nodes hide that of an encrypted app."""
        hidden = container.app is not None and container.app.encrypted
        return container.part.repotag if self.is_old(number) and not hidden else None

    def row(self, node: FluxNode, container: Container) -> dict[str, Any]:
        """A third of the nodes tell an image instead of a name."""
        number, row = node.machine.number, super().row(node, container)
        image = self.told_image(number, container)
        if image is None:
            return row
        named = row if number % 3 < 2 else {key: value for key, value in row.items() if key != "Names"}
        return named | {"Image": image}

    def resized(self) -> None:
        """Note that the world has another number of nodes from now on."""
        self._sizes.append((self.world.now(), self.world.nodes))

    def size_at(self, seconds: float) -> int:
        return next((size for since, size in reversed(self._sizes) if since <= seconds), self._sizes[0][1])
