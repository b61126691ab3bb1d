"""Compute network figures: nodes, cloud, running apps, the daily census, and rewards covered by fees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Max

from deployments import stored_block_times
from deployments.models import FillDay
from fluxtracker.money import SAT, Number
from fluxtracker.periods import Period
from metrics.census.selectors import records
from metrics.metric_keys import with_ratios
from metrics.models import NodeChange, Source
from reports.figures import Group, How, Known, Spec, Unit, mean, missing, ratio, unknown
from reports.subsidy import issued_sat
from revenue.models import LedgerState
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
STOCK_SPECS = tuple(Spec(key, Group.NETWORK, label, unit, How.MEAN) for key, label, unit in STOCKS)

Rows = Mapping[date, Mapping[str, Any]]


def load(first: date, last: date) -> Rows:
    """Return the snapshots of the days. One query."""
    rows = Snapshot.objects.between(first, last).values("day", *COLUMNS)
    ratios = {"gitapps_count": None, "dockerapps_count": None}
    return {row["day"]: with_ratios({**ratios, **{key: row[key] for key in COLUMNS}}) for row in rows}


def stocks(period: Period, rows: Rows) -> dict[str, Known]:
    """Return the mean of each day's snapshot."""
    days = list(period.days())
    return {spec.key: _mean(spec.key, days, rows) for spec in STOCK_SPECS}


def _mean(key: str, days: list[date], rows: Rows) -> Known:
    return mean({day: row[key] for day, row in rows.items()}, days, "no snapshot has it")


Row = Mapping[str, Any]
Read = Callable[[Row], Number | None]


def _of(*path: str) -> Read:
    """Return a function that reads a number from a day's record, None if missing."""

    def read(row: Row) -> Number | None:
        value: Any = row
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value  # type: ignore[no-any-return]  # of JSON

    return read


def _newest(row: Row) -> Number | None:
    """Return the percentage of nodes with the newest FluxOS, among those that report their version."""
    versions = (row.get("versions") or {}).get("fluxos") or []
    reporting = (row.get("coverage") or {}).get("withFluxos")
    newest = max(versions, key=lambda each: _numbers(each["version"]), default=None)
    return newest and reporting and round(100 * newest["nodes"] / reporting, 2)


def _numbers(version: str) -> list[int]:
    return [int("".join(filter(str.isdecimal, part)) or 0) for part in version.split(".")]


READ: Mapping[str, tuple[str, Unit, Read]] = {
    "operators": ("Operators (payment addresses)", Unit.COUNT, _of("by_payment_address", "count")),
    "nakamoto33": ("Nakamoto coefficient, 33 %", Unit.COUNT, _of("by_payment_address", "nakamoto33")),
    "nakamoto50": ("Nakamoto coefficient, 50 %", Unit.COUNT, _of("by_payment_address", "nakamoto50")),
    "hhi": ("HHI of operators", Unit.INDEX, _of("by_payment_address", "hhi")),
    "countries": ("Countries", Unit.COUNT, _of("concentration", "countries", "count")),
    "providers": ("Providers (AS)", Unit.COUNT, _of("concentration", "providers", "count")),
    "arcane_percent": ("Nodes on ArcaneOS", Unit.PERCENT, _of("arcane_percent")),
    "newest_fluxos_percent": ("Nodes on the newest FluxOS", Unit.PERCENT, _newest),
}
CENSUS_SPECS = (
    Spec("fill_percent", Group.NETWORK, "Ordered instances that run", Unit.PERCENT, How.MEAN),
    Spec("expired_running", Group.NETWORK, "Instances that run after their end", Unit.COUNT, How.MEAN),
    *(Spec(key, Group.NETWORK, label, unit, How.MEAN) for key, (label, unit, _) in READ.items()),
    Spec("joins", Group.NETWORK, "Nodes that joined", Unit.COUNT, How.SUM),
    Spec("leaves", Group.NETWORK, "Nodes that left", Unit.COUNT, How.SUM),
)


def census_stamp() -> object:
    """Return a stamp that changes with every census and fill record. Two small queries."""
    read = Source.objects.filter(name__in=Source.Census.values).order_by("name").values_list("name", "read_at")
    return tuple(read), FillDay.objects.aggregate(last=Max("read_at"))["last"]


def spread(period: Period) -> dict[str, Known]:
    """Return the means of the daily censuses. One query."""
    rows = records(period.first_day, period.last_day)
    days = {day: {key: read(row) for key, (_, _, read) in READ.items()} for day, row in rows}
    return {
        key: mean({day: row[key] for day, row in days.items()}, list(period.days()), "no census has it") for key in READ
    }


def changes(period: Period) -> dict[str, Known]:
    """Return how many nodes joined and left. One query."""
    rows = NodeChange.objects.filter(day__range=(period.first_day, period.last_day))
    joins, leaves, days = 0, 0, set[date]()
    for day, joined, left in rows.values_list("day", "joins", "leaves"):
        joins, leaves = joins + joined, leaves + left
        days.add(day)
    every = list(period.days())
    if lacking := [day for day in every if day not in days]:
        return dict.fromkeys(("joins", "leaves"), missing("no node list was compared", lacking, len(every)))
    return {"joins": Known(joins), "leaves": Known(leaves)}


def filled(period: Period) -> dict[str, Known]:
    """Return the means of the days' records. One query."""
    rows = FillDay.objects.filter(day__range=(period.first_day, period.last_day))
    days = {row.day: row for row in rows}
    percents = {day: row.percent for day, row in days.items()}
    expired = {day: row.expired_running for day, row in days.items()}
    what, every = "it was not recorded", list(period.days())
    return {"fill_percent": mean(percents, every, what), "expired_running": mean(expired, every, what)}


REWARD_SPECS = (Spec("reward_coverage", Group.NETWORK, "Rewards covered by fees", Unit.PERCENT, How.RATIO),)


def rewards_covered(*periods: Period, known: Mapping[Period, Mapping[str, Known]]) -> dict[Period, Known]:
    """Return fees / (block subsidy x blocks x mean price) of each period. Two queries."""
    ledger, timeline = LedgerState.known(), stored_block_times.timeline()
    result = {}
    for period in periods:
        if ledger.tip_height is None:
            result[period] = unknown("no block has been read yet")
            continue
        low, high = (timeline.height_at(at) + 1 for at in (period.start, period.end))
        try:
            issued = Decimal(issued_sat(low, high)) / SAT
        except ValueError as error:
            result[period] = unknown(str(error))
            continue
        price = known[period]["flux_price_usd"]
        rewards = price if price.value is None else Known(Decimal(price.value) * issued, price.coverage)
        result[period] = ratio(known[period]["fees_usd"], rewards)
    return result


SPECS = (*STOCK_SPECS, *CENSUS_SPECS, *REWARD_SPECS)
