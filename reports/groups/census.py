"""Figures of the daily census: operators, places, versions, nodes that come and go, and what runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from django.db.models import Max

from deployments.models import FillDay
from fluxtracker.money import Number
from fluxtracker.periods import Period
from metrics.census.selectors import records
from metrics.models import NodeChange, Source
from reports.figures import Group, How, Known, Spec, Unit, mean, missing

Row = Mapping[str, Any]
Read = Callable[[Row], Number | None]


def _of(*path: str) -> Read:
    """Return what reads a number from a day's record; None where the record does not have it."""

    def read(row: Row) -> Number | None:
        found: Any = row
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found  # type: ignore[no-any-return]  # of JSON

    return read


def _newest(row: Row) -> Number | None:
    """Return the percent of nodes with the newest version of FluxOS, of those that tell theirs."""
    versions = (row.get("versions") or {}).get("fluxos") or []
    told = (row.get("coverage") or {}).get("withFluxos")
    newest = max(versions, key=lambda each: _numbers(each["version"]), default=None)
    return newest and told and round(100 * newest["nodes"] / told, 2)


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
SPECS = (
    Spec("fill_percent", Group.NETWORK, "Ordered instances that run", Unit.PERCENT, How.MEAN),
    Spec("expired_running", Group.NETWORK, "Instances that run after their end", Unit.COUNT, How.MEAN),
    *(Spec(key, Group.NETWORK, label, unit, How.MEAN) for key, (label, unit, _) in READ.items()),
    Spec("joins", Group.NETWORK, "Nodes that joined", Unit.COUNT, How.SUM),
    Spec("leaves", Group.NETWORK, "Nodes that left", Unit.COUNT, How.SUM),
)


def stamp() -> object:
    """Changes with every census and every record of the fill. Two small queries."""
    read = Source.objects.filter(name__in=Source.Census.values).order_by("name").values_list("name", "read_at")
    return tuple(read), FillDay.objects.aggregate(last=Max("read_at"))["last"]


def spread(period: Period) -> dict[str, Known]:
    """Return the means of the days' censuses. One query."""
    told = records(period.first_day, period.last_day)
    days = {day: {key: read(row) for key, (_, _, read) in READ.items()} for day, row in told}
    return {
        key: mean({day: row[key] for day, row in days.items()}, list(period.days()), "no census has it") for key in READ
    }


def changes(period: Period) -> dict[str, Known]:
    """Return how many nodes came and went. One query."""
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
    """Return the means of what the days recorded. One query."""
    rows = FillDay.objects.filter(day__range=(period.first_day, period.last_day))
    days = {row.day: row for row in rows}
    percents = {day: row.percent for day, row in days.items()}
    expired = {day: row.expired_running for day, row in days.items()}
    what, every = "it was not recorded", list(period.days())
    return {"fill_percent": mean(percents, every, what), "expired_running": mean(expired, every, what)}
