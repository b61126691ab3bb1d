"""List every metric by key, and its place in answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from django.db.models import QuerySet

from fluxtracker.database import compiled_once
from metrics.models import Source, TrackedApp
from ops.registry import Hook

Number = int | float
Values = Mapping[str, Number | None]
Value = TypeVar("Value")

CORES, GB, PERCENT, COUNT, USD = "cores", "GB", "%", "", "USD"
COUNTED = (TrackedApp.Category.GAMING, TrackedApp.Category.CRYPTO)
"""The categories whose tracked apps are metrics of their own; those of the others are fixed columns."""

past_counts: Hook[Callable[[Callable[[str], bool], str, date], Sequence[tuple[date, int | None, int | None]]]] = Hook()
"""Returns days with the containers of matching images and the count of a column."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of the network. `unit` is empty for counts; `source` names its `Source`."""

    key: str
    label: str
    unit: str
    source: str
    group: str
    group_in_answers: str = ""
    key_in_answers: str = ""


NODES, CLOUD, APPS, PRICE = Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS, Source.Name.PRICE
FIXED = (
    Metric("node_total", "Nodes", COUNT, NODES, "nodes", "nodes", "total"),
    Metric("node_cumulus", "Cumulus nodes", COUNT, NODES, "nodes", "nodes", "cumulus"),
    Metric("node_nimbus", "Nimbus nodes", COUNT, NODES, "nodes", "nodes", "nimbus"),
    Metric("node_stratus", "Stratus nodes", COUNT, NODES, "nodes", "nodes", "stratus"),
    Metric("total_cpu_cores", "CPU cores", CORES, CLOUD, "cloud", "cpu", "total"),
    Metric("used_cpu_cores", "CPU cores used", CORES, CLOUD, "cloud", "cpu", "used"),
    Metric("cpu_utilization_percent", "CPU utilisation", PERCENT, CLOUD, "cloud", "cpu", "utilization"),
    Metric("total_ram_gb", "RAM", GB, CLOUD, "cloud", "ram", "total"),
    Metric("used_ram_gb", "RAM used", GB, CLOUD, "cloud", "ram", "used"),
    Metric("ram_utilization_percent", "RAM utilisation", PERCENT, CLOUD, "cloud", "ram", "utilization"),
    Metric("total_storage_gb", "Storage", GB, CLOUD, "cloud", "storage", "total"),
    Metric("used_storage_gb", "Storage used", GB, CLOUD, "cloud", "storage", "used"),
    Metric("storage_utilization_percent", "Storage utilisation", PERCENT, CLOUD, "cloud", "storage", "utilization"),
    Metric("total_apps", "Running containers", COUNT, APPS, "apps", "apps", "total"),
    Metric("watchtower_count", "Watchtower", COUNT, APPS, "apps", "apps", "watchtower"),
    Metric("gitapps_count", "Deployed from git", COUNT, APPS, "apps", "apps", "gitapps"),
    Metric("dockerapps_count", "Docker images", COUNT, APPS, "apps", "apps", "dockerapps"),
    Metric("gitapps_percent", "Share deployed from git", PERCENT, APPS, "apps", "apps", "gitapps_percent"),
    Metric("dockerapps_percent", "Share of Docker images", PERCENT, APPS, "apps", "apps", "dockerapps_percent"),
    Metric("gaming_apps_total", "Game servers", COUNT, APPS, "gaming", "gaming", "total"),
    Metric("crypto_nodes_total", "Crypto nodes", COUNT, APPS, "crypto", "crypto", "total"),
    Metric("wordpress_count", "WordPress", COUNT, APPS, "wordpress", "wordpress", "count"),
    Metric("flux_price_usd", "FLUX price", USD, PRICE, "price"),
)

RATIOS = {  # metric: part, whole
    "cpu_utilization_percent": ("used_cpu_cores", "total_cpu_cores"),
    "ram_utilization_percent": ("used_ram_gb", "total_ram_gb"),
    "storage_utilization_percent": ("used_storage_gb", "total_storage_gb"),
    "gitapps_percent": ("gitapps_count", "total_apps"),
    "dockerapps_percent": ("dockerapps_count", "total_apps"),
}
IN_USE = {part: whole for part, whole in RATIOS.values() if part.startswith("used_")}
"""The total of which each is in use."""
TOTALS = ("node_total", "total_apps", "total_cpu_cores", "total_ram_gb", "total_storage_gb")
"""The five totals of which a snapshot needs four (docs/contract.md#snapshots-and-instances)."""


GROUPS: Mapping[str, Mapping[str, str]] = {
    group: {metric.key_in_answers: metric.key for metric in metrics_of_group}
    for group, metrics_of_group in groupby(FIXED, key=attrgetter("group_in_answers"))
    if group
}
"""The metrics by their group in answers, then by their key there."""


def grouped(value: Callable[[str], Value], name: str, tracked: Iterable[TrackedApp] = ()) -> dict[str, Value]:
    """Return a group's values by key in answers, including tracked apps."""
    columns = {app.key: app.column for app in tracked if app.category == name}
    return {key: value(metric) for key, metric in ({**GROUPS[name], **columns}).items()}


def metrics() -> list[Metric]:
    """Return the fixed metrics and one per active tracked game and crypto node. One query."""
    return [*FIXED, *map(tracked_metric, tracked_apps())]


def tracked_apps(*, patterns: bool = False) -> list[TrackedApp]:
    """Return active games and crypto nodes by category and name, with patterns only on request."""
    return list(_active() if patterns else _without_patterns())


def _active() -> QuerySet[TrackedApp]:
    return TrackedApp.objects.filter(active=True, category__in=COUNTED)


_without_patterns = compiled_once(lambda: _active().defer("image_patterns", "name_patterns"))


def tracked_metric(app: TrackedApp) -> Metric:
    return Metric(app.column, app.name, COUNT, Source.Name.APPS, app.category)


def with_ratios(values: Values) -> dict[str, Number | None]:
    """Return the values and the percentages derived from them."""
    return {**values, **ratios(values)}


def ratios(values: Values) -> dict[str, float | None]:
    """Return percentages with 2 decimals, None if a part or whole is not known."""
    return {key: percent(values.get(part), values.get(whole)) for key, (part, whole) in RATIOS.items()}


NO_TIE = 1e-6


def percent(part: Number | None, whole: Number | None) -> float | None:
    """Return `part` of `whole` in percent with 2 decimals, None if either is not known or the whole is 0."""
    if part is None or not whole:
        return None
    result = part * 100 / whole
    if abs(result * 100 % 1 - 0.5) > NO_TIE:  # then a binary fraction rounds like the decimal one
        return round(result, 2)
    return float(round(Decimal(str(part)) * 100 / Decimal(str(whole)), 2))
