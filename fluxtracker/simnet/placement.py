"""Which containers run on which node: each app on as many nodes as it has instances, always the same ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from fluxtracker.simnet.catalogue import App, Component
from fluxtracker.simnet.records import Message
from fluxtracker.simnet.registry import Registry
from fluxtracker.simnet.residents import WANDERERS
from fluxtracker.simnet.templates import WATCHTOWER

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
