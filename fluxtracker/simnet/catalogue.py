"""The apps of the simulated network: names, versions, images, owners, always the same for one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

from fluxtracker.simnet.templates import RARE, TEMPLATES, Template

OTHER_PEOPLES = "hunter2-of-somebody-else"
"""Stands in the environment parameters of open specifications; nobody may store, log or show it."""


WORDS = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Heron", "Iris", "Jade", "Koala", "Lumen")
VERSIONS, VERSION_WEIGHTS = (8, 7, 6, 3, 4, 5, 2, 1), (1573, 201, 65, 27, 11, 3, 2, 1)
CROWD_FROM = 2_000_000  # numbers of apps that nobody's payment names
HOUR = 3_600  # seconds
FIRST_ID = 1_700_000_000_000  # unix ms; names of marketplace apps end in such a number


class Component(NamedTuple):
    name: str
    repotag: str
    cpu: float
    ram: int
    """MB."""
    hdd: int
    """GB."""


@dataclass(frozen=True, slots=True)
class App:
    """An app as its owner wrote it; `encrypted` hides the components from everybody else."""

    name: str
    version: int
    owner: str
    components: tuple[Component, ...]
    instances: int
    expire: Any
    """Blocks; seconds in version 9, where None leaves it out."""
    encrypted: bool = False
    template: Template | None = None
    zel: bool = False
    """Deployed in ZelCash's days: its containers still bear that name."""
    ttl: Any = None
    """Seconds, in version 9; None leaves it out."""

    @property
    def seconds(self) -> int | None:
        """How long an app of version 9 runs; None where it says nothing that makes sense."""
        said = [value for value in (self.expire, self.ttl) if value is not None]
        agreed = said and all(type(value) is int and value == said[0] for value in said)
        return said[0] if agreed and HOUR <= said[0] <= 3 * 365 * 24 * HOUR else None

    @property
    def is_git(self) -> bool:
        """Whether the public specification names an Orbit image."""
        return not self.encrypted and any("runonflux/orbit" in c.repotag.lower() for c in self.components)

    def specification(self) -> dict[str, Any]:
        """The specification in the shape of its version (docs/upstream.md#apps)."""
        head: dict[str, Any] = {
            "version": self.version,
            "name": self.name,
            "description": f"{self.name} on the simulated network",
            "owner": self.owner,
        }
        return head | (self._flat() if self.version <= 3 else self._composed())

    def _flat(self) -> dict[str, Any]:
        part = self.components[0]
        ports: dict[str, Any] = {"ports": ["31588"], "containerPorts": ["8168"], "domains": [""]}
        if self.version == 1:
            ports = {"port": 31588, "containerPort": 8168}
        found = {"repotag": part.repotag, **ports, **self._wishes("enviromentParameters", part)}
        found |= {"cpu": part.cpu, "ram": part.ram, "hdd": part.hdd, "tiered": False}
        return found | ({"instances": self.instances} if self.version == 3 else {})

    def _composed(self) -> dict[str, Any]:
        found: dict[str, Any] = {"compose": [] if self.encrypted else [self._part(c) for c in self.components]}
        found["instances"] = self.instances
        if self.version >= 5:
            found |= {"contacts": [], "geolocation": []}
        if self.version >= 6:
            found["expire"] = self.expire
        if self.version >= 7:
            found |= {"nodes": [], "staticip": False}
        if self.version >= 8:
            found["enterprise"] = _ciphertext(self.name) if self.encrypted else ""
        return self._timed(found) if self.version >= 9 else found

    def _timed(self, found: dict[str, Any]) -> dict[str, Any]:
        """Version 9 tells a duration under one name or the other, and things that nobody knows yet."""
        terms = {"expire": self.expire, "ttl": self.ttl}
        del found["expire"]
        return found | {key: value for key, value in terms.items() if value is not None} | {"machineType": "standard"}

    def _part(self, part: Component) -> dict[str, Any]:
        found: dict[str, Any] = {"name": part.name, "description": part.name, "repotag": part.repotag, "ports": [31588]}
        found |= {"domains": [""], **self._wishes("environmentParameters", part), "containerPorts": [80]}
        found |= {"cpu": part.cpu, "ram": part.ram, "hdd": part.hdd}
        if self.version < 8:
            found["tiered"] = False
        if self.version == 7:
            found["secrets"] = ""
        return found | ({"repoauth": ""} if self.version >= 7 else {})

    def _wishes(self, key: str, part: Component) -> dict[str, Any]:
        return {key: [f"PASSWORD={OTHER_PEOPLES}"], "commands": [], "containerData": f"/{part.name}"}

    def container_names(self) -> Iterator[tuple[str, Component]]:
        """The docker name of each container that one instance runs (docs/upstream.md#statistics)."""
        prefix = "/zel" if self.zel else "/flux"
        for part in self.components:
            yield f"{prefix}{self.name}" if self.version <= 3 else f"{prefix}{part.name}_{self.name}", part


def _ciphertext(name: str) -> str:
    """As long as the usual ones, 1,540 characters."""
    return "Blqy" + sha256(name.encode()).hexdigest() * 24


class Catalogue:
    """App number i of a seed, made when somebody asks for it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._apps: dict[int, App] = {}

    def __getitem__(self, number: int) -> App:
        app = self._apps.get(number)
        if app is None:
            app = self._apps[number] = make_app(random.Random(f"{self.seed}:app:{number}"), number)
        return app


def make_app(rng: random.Random, number: int, templates: tuple[Template, ...] = TEMPLATES) -> App:
    template = rng.choices(templates, [t.weight for t in templates])[0]
    version = 8 if template.site else rng.choices(VERSIONS, VERSION_WEIGHTS)[0]
    parts = template.components[:1] if version <= 3 else template.components
    return App(
        name=_name(template, rng, number),
        version=version,
        owner=f"1{sha256(f'owner{number % 97}'.encode()).hexdigest()[:33]}",
        components=tuple(_component(name, tag, rng) for name, tag in parts),
        instances=rng.choice((1, 2, 3, 3, 3, 5, 10)) if version >= 3 else 3,
        expire=rng.choice((88_000, 88_000, 88_000, 20_160, 264_000)),
        encrypted=template.site or (version == 8 and rng.random() < 0.35),
        template=template,
    )


def crowd_app(seed: int, number: int) -> App:
    """An app of the crowd: rare kinds among the usual ones, running on more nodes."""
    rng = random.Random(f"{seed}:crowd:{number}")
    app = make_app(rng, CROWD_FROM + number, TEMPLATES + RARE)
    hidden = app.encrypted and (app.template is None or app.template.site or rng.random() < 0.25)
    expire = 88_000 if rng.random() < 0.1 else 264_000
    return replace(app, instances=rng.choice((3, 3, 3, 5, 5, 10, 20)), expire=expire, encrypted=hidden)


def _name(template: Template, rng: random.Random, number: int) -> str:
    if template.name:
        return f"{template.name}{FIRST_ID + number * 86_413_517 % 95_000_000_000 + rng.randrange(9_999_999)}"
    return f"{rng.choice(WORDS)}{rng.choice(WORDS)}{number}"


def _component(name: str, repotag: str, rng: random.Random) -> Component:
    cpu = rng.choice((0.1, 0.5, 1.0, 1.5, 2.0, 4.0))
    return Component(name, repotag, cpu, rng.choice((100, 700, 1000, 4000, 8000)), rng.choice((1, 5, 10, 40)))
