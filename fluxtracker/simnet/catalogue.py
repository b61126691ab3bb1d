"""The apps of the simulated network: kinds, names, versions, images and owners, always the same for one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple


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


TEMPLATES = (
    Template("", (("web", "runonflux/orbit:latest"),), 14),
    Template("", (("app", "RunOnFlux/Orbit:latest"),), 3),
    Template("", (("web", "nginx:latest"), ("db", "mariadb:11")), 9),
    Template("", (("www", "smartico/aave:latest"),), 4),
    Template("", (("tool", "registry.example.org:5000/team/tool:1.2"),), 3),
    Template("", (("fm", "earnfm/earnfm-client:latest"), ("ps", "packetstream/psclient")), 9),
    Template("", (("edge", "ghcr.io/girderworks/edge:1.4"),), 9),
    Template("presearchnode", (("presearch", "presearch/node:latest"),), 12, by_name="crypto_presearch"),
    Template("kaspanode", (("kaspad", "kaspanet/rusty-kaspad:v1.0.1"),), 5, by_name="crypto_kaspa"),
    Template("streamrnode", (("node", "streamr/node:v102"),), 4, by_name="crypto_streamr"),
    Template("ravencoin", (("core", "dramirezrt/ravencoin-core-server:latest"),), 3),
    Template("kadena", (("chainweb", "runonflux/kadena-chainweb-node:2.31"),), 3),
    Template("alephium", (("node", "touilleio/alephium-standalone:latest"),), 2),
    Template("bittensor", (("subtensor", "opentensor/subtensor:latest"),), 2),
    Template("timpicollector", (("collector", "timpiltd/timpi-collector:latest"),), 3),
    Template("timpigeocore", (("geocore", "timpiltd/timpi-geocore:latest"),), 2),
    Template("wordpress", (("wp", "runonflux/wp-nginx:latest"), ("mysql", "mysql:8.3.0")), 12, by_name="wordpress"),
    Template("minecraftj", (("mc", "itzg/minecraft-server:java21"),), 7, True, "gaming_minecraft"),
    Template("minecraftb", (("mc", "itzg/minecraft-bedrock-server:latest"),), 3, True, "gaming_minecraft"),
    Template("palworld", (("server", "thijsvanloef/palworld-server-docker:latest"),), 5, True, "gaming_palworld"),
    Template("enshrouded", (("server", "sknnr/enshrouded-dedicated-server:latest"),), 3, True, "gaming_enshrouded"),
    Template("valheim", (("server", "lloesche/valheim-server:latest"),), 4, True, "gaming_valheim"),
    Template("dragonwilds", (("server", "dragonwilds/server:latest"),), 9, True, "gaming_dragonwilds"),
    Template(
        "fivem",
        (("operator", "fivem/operator:1"), ("mariadb", "mariadb:11"), ("game", "fivem/game:1")),
        3,
        True,
        "gaming_fivem",
        counted="game",
    ),
    Template("satisfactory", (("server", "wolveix/satisfactory-server:latest"),), 2),
    Template("factorio", (("server", "factoriotools/factorio:stable"),), 1),
)
"""The kinds of the apps behind payments. Changing the list renames the apps of every seed."""

WEBSITE = ("website", "xyz/palworld-server-website:latest")

RARE = (
    Template("projectzomboid", (("server", "danixu86/projectzomboid:1"),), 3, True, "gaming_project_zomboid"),
    Template("rustserver", (("server", "pfeiffermax/rust-game-server:latest"),), 2, True, "gaming_rust"),
    Template("rustserveroxide", (("server", "pfeiffermax/rust-game-server:oxide"),), 1, True, "gaming_rust"),
    Template("terraria", (("server", "littlestache/terraria:latest"),), 2, True, "gaming_terraria"),
    Template("windrose", (("server", "indifferentbroccoli/windrose-server-docker"),), 2, True, "gaming_windrose"),
    Template("palworld", (("server", "runonflux/palworld-server-flux:1"), WEBSITE), 2, True, "gaming_palworld"),
    Template("", (("game", "thijsvanloef/palworld-server-docker:v1"), WEBSITE), 2),
    Template("", (("mc", "itzg/minecraft-server:java17"), ("fdm", "runonflux/flux-dns-fdm:minecraft")), 2),
    Template("", (("game", "mbround18/valheim:3"),), 1),
    Template("", (("game", "thmhoag/arkserver"),), 1),
    Template("", (("feather", "ghcr.io/girderworks/feather:2"),), 4),
    Template("", (("tool", "registry.example.org:5000/team/untagged"),), 1),
    Template("blockbook", (("blockbook", "runonflux/blockbook-docker:latest"),), 1, True, "crypto"),
    Template("hermesagent", (("agent", "nousresearch/hermes:latest"),), 1, True),
)
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
    """Blocks."""
    encrypted: bool = False
    template: Template | None = None
    prefix: str = "/flux"
    """How the names of its containers begin."""

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
    """The apps of a seed by number, made on demand."""

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


def _name(template: Template, rng: random.Random, number: int) -> str:
    if template.name:
        return f"{template.name}{FIRST_ID + number * 86_413_517 % 95_000_000_000 + rng.randrange(9_999_999)}"
    return f"{rng.choice(WORDS)}{rng.choice(WORDS)}{number}"


def _component(name: str, repotag: str, rng: random.Random) -> Component:
    cpu = rng.choice((0.1, 0.5, 1.0, 1.5, 2.0, 4.0))
    return Component(name, repotag, cpu, rng.choice((100, 700, 1000, 4000, 8000)), rng.choice((1, 5, 10, 40)))
