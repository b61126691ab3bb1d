"""Figures of the network: nodes, cloud, running apps, and what the rewards are covered by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from fluxtracker.periods import Period
from metrics.metric_keys import with_ratios
from reports.figures import Group, How, Known, Spec, Unit, mean
from snapshots.models import Snapshot

STOCKS = (
    ("node_total", "Nodes", Unit.COUNT),
    ("node_cumulus", "Cumulus nodes", Unit.COUNT),
    ("node_nimbus", "Nimbus nodes", Unit.COUNT),
    ("node_stratus", "Stratus nodes", Unit.COUNT),
    ("total_cpu_cores", "CPU cores", Unit.CORES),
    ("used_cpu_cores", "CPU cores used", Unit.CORES),
    ("cpu_utilization_percent", "CPU utilisation", Unit.PERCENT),
    ("total_ram_gb", "RAM", Unit.GB),
    ("used_ram_gb", "RAM used", Unit.GB),
    ("ram_utilization_percent", "RAM utilisation", Unit.PERCENT),
    ("total_storage_gb", "Storage", Unit.GB),
    ("used_storage_gb", "Storage used", Unit.GB),
    ("storage_utilization_percent", "Storage utilisation", Unit.PERCENT),
    ("total_apps", "Running containers", Unit.COUNT),
)
COLUMNS = tuple(key for key, _, unit in STOCKS if unit != Unit.PERCENT)
SPECS = tuple(Spec(key, Group.NETWORK, label, unit, How.MEAN) for key, label, unit in STOCKS)

Rows = Mapping[date, Mapping[str, Any]]


def load(first: date, last: date) -> Rows:
    """Return the snapshots of the days. One query."""
    rows = Snapshot.objects.between(first, last).values("day", *COLUMNS)
    ratios = {"gitapps_count": None, "dockerapps_count": None}
    return {row["day"]: with_ratios({**ratios, **{key: row[key] for key in COLUMNS}}) for row in rows}


def stocks(period: Period, rows: Rows) -> dict[str, Known]:
    """Return the mean of each day's snapshot."""
    days = list(period.days())
    return {spec.key: _mean(spec.key, days, rows) for spec in SPECS}


def _mean(key: str, days: list[date], rows: Rows) -> Known:
    return mean({day: row[key] for day, row in rows.items()}, days, "no snapshot has it")
