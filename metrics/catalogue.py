"""List every metric by its key, and the tracked apps of a new installation (docs/upstream.md#tracked-apps)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from metrics.models import Source, TrackedApp
from ops.registry import Hook

Number = int | float
Values = Mapping[str, Number | None]
Value = TypeVar("Value")

CORES, GB, PERCENT, COUNT, USD = "cores", "GB", "%", "", "USD"
COUNTED = (TrackedApp.Category.GAMING, TrackedApp.Category.CRYPTO)
"""The categories whose tracked apps are metrics of their own; those of the others are fixed columns."""

past_counts: Hook[Callable[[Callable[[str], bool], str, date], Sequence[tuple[date, int | None, int | None]]]] = Hook()
"""Returns days with the containers of the images that fit, and with what was counted under a column then."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of the network. `unit` is empty for counts; `source` names the `Source` that tells it."""

    key: str
    label: str
    unit: str
    source: str
    group: str


FIXED = (
    Metric("node_total", "Nodes", COUNT, Source.Name.NODES, "nodes"),
    Metric("node_cumulus", "Cumulus nodes", COUNT, Source.Name.NODES, "nodes"),
    Metric("node_nimbus", "Nimbus nodes", COUNT, Source.Name.NODES, "nodes"),
    Metric("node_stratus", "Stratus nodes", COUNT, Source.Name.NODES, "nodes"),
    Metric("total_cpu_cores", "CPU cores", CORES, Source.Name.CLOUD, "cloud"),
    Metric("used_cpu_cores", "CPU cores used", CORES, Source.Name.CLOUD, "cloud"),
    Metric("cpu_utilization_percent", "CPU utilisation", PERCENT, Source.Name.CLOUD, "cloud"),
    Metric("total_ram_gb", "RAM", GB, Source.Name.CLOUD, "cloud"),
    Metric("used_ram_gb", "RAM used", GB, Source.Name.CLOUD, "cloud"),
    Metric("ram_utilization_percent", "RAM utilisation", PERCENT, Source.Name.CLOUD, "cloud"),
    Metric("total_storage_gb", "Storage", GB, Source.Name.CLOUD, "cloud"),
    Metric("used_storage_gb", "Storage used", GB, Source.Name.CLOUD, "cloud"),
    Metric("storage_utilization_percent", "Storage utilisation", PERCENT, Source.Name.CLOUD, "cloud"),
    Metric("total_apps", "Running containers", COUNT, Source.Name.APPS, "apps"),
    Metric("watchtower_count", "Watchtower", COUNT, Source.Name.APPS, "apps"),
    Metric("gitapps_count", "Deployed from git", COUNT, Source.Name.APPS, "apps"),
    Metric("dockerapps_count", "Docker images", COUNT, Source.Name.APPS, "apps"),
    Metric("gitapps_percent", "Share deployed from git", PERCENT, Source.Name.APPS, "apps"),
    Metric("dockerapps_percent", "Share of Docker images", PERCENT, Source.Name.APPS, "apps"),
    Metric("gaming_apps_total", "Game servers", COUNT, Source.Name.APPS, "gaming"),
    Metric("crypto_nodes_total", "Crypto nodes", COUNT, Source.Name.APPS, "crypto"),
    Metric("wordpress_count", "WordPress", COUNT, Source.Name.APPS, "wordpress"),
    Metric("flux_price_usd", "FLUX price", USD, Source.Name.PRICE, "price"),
)

RATIOS = {  # metric: part, whole
    "cpu_utilization_percent": ("used_cpu_cores", "total_cpu_cores"),
    "ram_utilization_percent": ("used_ram_gb", "total_ram_gb"),
    "storage_utilization_percent": ("used_storage_gb", "total_storage_gb"),
    "gitapps_percent": ("gitapps_count", "total_apps"),
    "dockerapps_percent": ("dockerapps_count", "total_apps"),
}
TOTALS = ("node_total", "total_apps", "total_cpu_cores", "total_ram_gb", "total_storage_gb")
"""The five totals of which a snapshot needs four (docs/contract.md#snapshots-and-instances)."""


GROUPS: Mapping[str, Mapping[str, str]] = {  # group: key in answers: metric
    "nodes": {
        "total": "node_total",
        "cumulus": "node_cumulus",
        "nimbus": "node_nimbus",
        "stratus": "node_stratus",
    },
    "cpu": {"total": "total_cpu_cores", "used": "used_cpu_cores", "utilization": "cpu_utilization_percent"},
    "ram": {"total": "total_ram_gb", "used": "used_ram_gb", "utilization": "ram_utilization_percent"},
    "storage": {"total": "total_storage_gb", "used": "used_storage_gb", "utilization": "storage_utilization_percent"},
    "apps": {
        "total": "total_apps",
        "watchtower": "watchtower_count",
        "gitapps": "gitapps_count",
        "dockerapps": "dockerapps_count",
        "gitapps_percent": "gitapps_percent",
        "dockerapps_percent": "dockerapps_percent",
    },
    "gaming": {"total": "gaming_apps_total"},
    "crypto": {"total": "crypto_nodes_total"},
    "wordpress": {"count": "wordpress_count"},
}


def grouped(value: Callable[[str], Value], name: str, tracked: Iterable[TrackedApp] = ()) -> dict[str, Value]:
    """Return a group's values by their keys in answers, those of tracked apps included."""
    columns = {app.key: app.column for app in tracked if app.category == name}
    return {key: value(metric) for key, metric in ({**GROUPS[name], **columns}).items()}


def metrics() -> list[Metric]:
    """Return the fixed metrics and one for each active tracked game and crypto node. One query."""
    return [*FIXED, *map(tracked_metric, tracked_apps())]


def tracked_apps() -> list[TrackedApp]:
    """Return the active games and crypto nodes, by category and name."""
    return list(TrackedApp.objects.filter(active=True, category__in=COUNTED))


def tracked_metric(app: TrackedApp) -> Metric:
    return Metric(app.column, app.name, COUNT, Source.Name.APPS, app.category)


def with_ratios(values: Values) -> dict[str, Number | None]:
    """Return the values and what follows from them: percentages with 2 decimals, None where a side is not known."""
    return {**values} | {key: percent(values.get(part), values.get(whole)) for key, (part, whole) in RATIOS.items()}


def percent(part: Number | None, whole: Number | None) -> float | None:
    """`part` of `whole` in percent with 2 decimals; None when a side is not known or the whole is 0."""
    if part is None or not whole:
        return None
    return float(round(Decimal(str(part)) * 100 / Decimal(str(whole)), 2))


# name, key, category, image patterns, name patterns
TRACKED: tuple[tuple[str, str, str, list[str], list[str]], ...] = (
    ("Palworld", "palworld", "gaming",
     ["thijsvanloef/palworld-server-docker", "runonflux/palworld-server-flux"],
     ["palworld"]),
    ("Enshrouded", "enshrouded", "gaming",
     ["jktuned/enshrouded-server", "sknnr/enshrouded-dedicated-server"],
     ["enshrouded"]),
    ("Minecraft", "minecraft", "gaming", ["itzg/minecraft-server", "itzg/minecraft-bedrock-server"],
     ["minecraftj", "minecraftb", "minecraftserver", "minecraftbedrockserver"]),
    ("Valheim", "valheim", "gaming",
     ["mbround18/valheim", "littlestache/valheim-flux", "lloesche/valheim-server"],
     ["valheim"]),
    ("Satisfactory", "satisfactory", "gaming", ["wolveix/satisfactory-server"], []),
    ("Rust", "rust", "gaming",
     ["littlestache/rust-server", "pfeiffermax/rust-game-server"],
     ["rustserver", "rustserveroxide"]),
    ("Terraria", "terraria", "gaming", ["littlestache/terraria"], ["terraria"]),
    ("ARK Survival", "ark", "gaming", ["thmhoag/arkserver"], []),
    ("Windrose", "windrose", "gaming", ["indifferentbroccoli/windrose-server-docker"], ["windrose"]),
    ("RuneScape: Dragonwilds", "dragonwilds", "gaming", [], ["dragonwilds"]),
    ("FiveM", "fivem", "gaming", [], ["fivem"]),
    ("Project Zomboid", "project_zomboid", "gaming", [], ["projectzomboid"]),
    ("Factorio", "factorio", "gaming", ["factorio"], []),
    ("Presearch", "presearch", "crypto", ["presearch/node"], ["presearchnode*"]),
    ("Streamr", "streamr", "crypto", ["streamr/node"], ["streamrnode*"]),
    ("Ravencoin", "ravencoin", "crypto", ["dramirezrt/ravencoin-core-server"], []),
    ("Kadena", "kadena", "crypto", ["runonflux/kadena-chainweb-node"], []),
    ("Alephium", "alephium", "crypto", ["touilleio/alephium-standalone"], []),
    ("Bittensor", "bittensor", "crypto", ["opentensor/subtensor"], []),
    ("Timpi Collector", "timpi_collector", "crypto", ["timpiltd/timpi-collector"], []),
    ("Timpi Geocore", "timpi_geocore", "crypto", ["timpiltd/timpi-geocore"], []),
    ("Kaspa", "kaspa", "crypto", ["kaspanet/rusty-kaspad"], ["kaspanode*"]),
    ("WordPress", "wordpress", "wordpress", ["runonflux/wp-nginx"], ["wordpress"]),
    ("Orbit", "orbit", "git", ["runonflux/orbit"], []),
    ("Watchtower", "watchtower", "system", ["containrrr/watchtower"], []),
)  # fmt: skip

# key, order, image keywords, name patterns
CATEGORIES: tuple[tuple[str, int, list[str], list[str]], ...] = (
    ("excluded", 0, ["-server-website", "flux-dns-fdm"], []),
    ("gaming", 1,
     ["minecraft", "palworld", "enshrouded", "valheim", "satisfactory", "ark-survival", "arkserver", "rust-server",
      "terraria", "factorio", "7daystodie", "vrising", "projectzomboid", "conan-exiles", "game-server",
      "arma-reforger", "soulmask", "abioticfactor", "windrose", "unturned", "garrysmod"],
     ["palworld", "minecraftj", "minecraftb", "minecraftserver", "minecraftbedrockserver", "projectzomboid", "windrose",
      "enshrouded", "rustserver", "rustserveroxide", "fivem", "valheim", "terraria", "dragonwilds"]),
    ("crypto", 2,
     ["presearch/node", "streamr/node", "streamr/broker-node", "ravencoin", "kadena-chainweb", "bitcoin-core",
      "bitcoin-cash-node", "litecoin", "dogecoin", "zcash", "monero", "fironode", "firod", "neoxa-node", "iron-fish",
      "ironfish", "rusty-kaspad", "alephium-standalone", "alephium/explorer", "bittensor", "subtensor",
      "client-go:stable", "polkadot-docker", "wanchain/client-go", "thornode", "thorchain", "timpi-collector",
      "timpi-geocore", "beldex", "mysteriumnetwork/myst", "girderworks/", "blockbook", "runonflux/explorer",
      "zelcash/dibi-fetch", "brise-node", "fusenet/node", "raven-insight", "dash-insight", "runonflux/fusionbalances",
      "authsteem"],
     ["presearchnode*", "streamrnode*", "kaspanode*", "blockbook*"]),
    ("wordpress", 3, ["wordpress", "wp-nginx"], ["wordpress"]),
)  # fmt: skip
