"""Kinds of apps on the simulated network, and what each of their images counts as.

The counts are written down here by hand: the truth must not come from the patterns of the production code.
"""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """A kind of app: what its containers run and how often it is deployed."""

    name: str
    components: tuple[tuple[str, str], ...]
    weight: int
    site: bool = False
    """Deployed from a site of its own: the name ends in 13 digits and the specification is encrypted."""
    by_name: str = ""
    """What an encrypted one counts as by its name, a key of `COUNTS`; empty: as nothing."""
    counted: str = ""
    """The component that counts then, when it is not the first."""


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
"""What the apps behind payments are drawn from; another list would rename the apps of every seed."""

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
"""What further apps may be besides: kinds of which every network has one."""

GAMES = "gaming"
NODES = "crypto"
COUNTS = {  # image without its tag, in small letters: the key of what it counts as, or a category alone
    "thijsvanloef/palworld-server-docker": "gaming_palworld",
    "runonflux/palworld-server-flux": "gaming_palworld",
    "sknnr/enshrouded-dedicated-server": "gaming_enshrouded",
    "itzg/minecraft-server": "gaming_minecraft",
    "itzg/minecraft-bedrock-server": "gaming_minecraft",
    "lloesche/valheim-server": "gaming_valheim",
    "mbround18/valheim": "gaming_valheim",
    "wolveix/satisfactory-server": "gaming_satisfactory",
    "factoriotools/factorio": "gaming_factorio",
    "pfeiffermax/rust-game-server": "gaming_rust",
    "littlestache/terraria": "gaming_terraria",
    "thmhoag/arkserver": "gaming_ark",
    "indifferentbroccoli/windrose-server-docker": "gaming_windrose",
    "presearch/node": "crypto_presearch",
    "kaspanet/rusty-kaspad": "crypto_kaspa",
    "streamr/node": "crypto_streamr",
    "dramirezrt/ravencoin-core-server": "crypto_ravencoin",
    "runonflux/kadena-chainweb-node": "crypto_kadena",
    "touilleio/alephium-standalone": "crypto_alephium",
    "opentensor/subtensor": "crypto_bittensor",
    "timpiltd/timpi-collector": "crypto_timpi_collector",
    "timpiltd/timpi-geocore": "crypto_timpi_geocore",
    "ghcr.io/girderworks/edge": NODES,
    "ghcr.io/girderworks/feather": NODES,
    "runonflux/wp-nginx": "wordpress",
}
TRACKED = sorted(
    {key for key in COUNTS.values() if "_" in key} | {"gaming_dragonwilds", "gaming_fivem", "gaming_project_zomboid"}
)
SPELLINGS = {  # other ways to write an image, without a tag: the name that it is counted under
    "docker.io/presearch/node": "presearch/node",
    "index.docker.io/Presearch/Node": "presearch/node",
    "registry-1.docker.io/kaspanet/rusty-kaspad": "kaspanet/rusty-kaspad",
    "Docker.io/RunOnFlux/Orbit": "runonflux/orbit",
    "docker.io/library/nginx": "nginx",
    "library/nginx": "nginx",
    "GHCR.io/girderworks/edge": "ghcr.io/girderworks/edge",
}
ORBIT = "runonflux/orbit"
WATCHTOWER = "containrrr/watchtower"
