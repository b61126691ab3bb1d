"""Generate the apps of the simulated network, deterministic by seed: kinds, names, versions, images and owners."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from fluxtracker.simnet.base58 import ethereum, zel_id


class Template(NamedTuple):
    """A kind of app: the images of its containers, and how often it is deployed."""

    name: str
    components: tuple[tuple[str, str], ...]
    weight: int
    site: bool = False
    """Deployed from a shop: the name ends in 13 digits and the specification is encrypted."""
    by_name: str = ""
    """The metric that an encrypted one counts for by its name; empty: none."""
    counted: str = ""
    """The component that counts, when it is not the first."""


def _templates(kind: str) -> tuple[Template, ...]:
    rows = json.loads(Path(__file__).with_name("apps.json").read_text())[kind]
    return tuple(Template(**row | {"components": tuple(map(tuple, row["components"]))}) for row in rows)


TEMPLATES = _templates("usual")
"""The kinds of the apps behind payments. Changing the list renames the apps of every seed."""
RARE = _templates("rare")
"""Further kinds; every network has one app of each."""
OTHER_PEOPLES = "hunter2-of-somebody-else"
"""A secret in the environment parameters of open specifications. It must not be stored, logged or shown."""


WORDS = ("Amber", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Heron", "Iris", "Jade", "Koala", "Lumen")
VERSIONS, VERSION_WEIGHTS = (8, 7, 6, 3, 4, 5, 2, 1), (1573, 201, 65, 27, 11, 3, 2, 1)
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
    """An app as its owner wrote it; `encrypted` hides the components from others."""

    name: str
    version: int
    owner: str
    components: tuple[Component, ...]
    instances: int
    expire: Any
    """Blocks; seconds in version 9."""
    encrypted: bool = False
    template: Template | None = None
    prefix: str = "/flux"
    """Prefix of its containers' names."""

    @property
    def seconds(self) -> int | None:
        """Return its term if its version counts seconds."""
        return self.expire if self.version >= 9 else None

    def specification(self) -> dict[str, Any]:
        """Return the specification in the shape of its version (docs/upstream.md#apps)."""
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
        return found

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
        """Yield the docker name of each container of one instance (docs/upstream.md#statistics), and its component."""
        for part in self.components:
            yield f"{self.prefix}{self.name}" if self.version <= 3 else f"{self.prefix}{part.name}_{self.name}", part


def _ciphertext(name: str) -> str:
    """Return a text of the usual length, 1,540 characters."""
    return "Blqy" + sha256(name.encode()).hexdigest() * 24


class Catalogue:
    """The apps of a seed by number, generated on demand."""

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
        owner=owner(number),
        components=tuple(_component(name, tag, rng) for name, tag in parts),
        instances=rng.choice((1, 2, 3, 3, 3, 5, 10)) if version >= 3 else 3,
        expire=rng.choice((88_000, 88_000, 88_000, 20_160, 264_000)),
        encrypted=template.site or (version == 8 and rng.random() < 0.35),
        template=template,
    )


TEAM_OWNER = "196GJWyLxzAw3MirTT7Bqs2iGpUQio29GH"
OWNERS = 400


@lru_cache(maxsize=10_000)
def owner(number: int) -> str:
    """Return the owner of an app by its number: the team has 13 %, some log in by Ethereum, a few own many."""
    draw = int(sha256(f"owner {number}".encode()).hexdigest()[:8], 16) / 2**32
    if draw < 0.13:
        return TEAM_OWNER
    place = int(OWNERS * ((draw - 0.13) / 0.87) ** 2)
    return ethereum(f"owner {place}") if place % 25 == 7 else zel_id(f"owner {place}")


def _name(template: Template, rng: random.Random, number: int) -> str:
    if template.name:
        return f"{template.name}{FIRST_ID + number * 86_413_517 % 95_000_000_000 + rng.randrange(9_999_999)}"
    return f"{rng.choice(WORDS)}{rng.choice(WORDS)}{number}"


def _component(name: str, repotag: str, rng: random.Random) -> Component:
    cpu = rng.choice((0.1, 0.5, 1.0, 1.5, 2.0, 4.0))
    return Component(name, repotag, cpu, rng.choice((100, 700, 1000, 4000, 8000)), rng.choice((1, 5, 10, 40)))
