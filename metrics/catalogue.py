"""Every metric by the name under which readings, snapshots and the API know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from metrics.models import Source, TrackedApp

Number = int | float
Values = Mapping[str, Number | None]

CORES, GB, PERCENT, COUNT, USD = "cores", "GB", "%", "", "USD"
COUNTED = (TrackedApp.Category.GAMING, TrackedApp.Category.CRYPTO)
"""The categories whose tracked apps are metrics of their own; those of the others are fixed columns."""


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


def metrics() -> list[Metric]:
    """The fixed metrics and one for each active tracked game and crypto node. One query."""
    return [*FIXED, *map(tracked_metric, tracked_apps())]


def tracked_apps() -> list[TrackedApp]:
    """The active games and crypto nodes, by category and name."""
    return list(TrackedApp.objects.filter(active=True, category__in=COUNTED))


def tracked_metric(app: TrackedApp) -> Metric:
    return Metric(app.column, app.name, COUNT, Source.Name.APPS, app.category)


def with_ratios(values: Values) -> dict[str, Number | None]:
    """The values and what follows from them: percentages with 2 decimals, None where a side is not known."""
    return {**values} | {key: percent(values.get(part), values.get(whole)) for key, (part, whole) in RATIOS.items()}


def percent(part: Number | None, whole: Number | None) -> float | None:
    """`part` of `whole` in percent with 2 decimals; None when a side is not known or the whole is 0."""
    if part is None or not whole:
        return None
    return float(round(Decimal(str(part)) * 100 / Decimal(str(whole)), 2))
