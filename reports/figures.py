"""Define a report's figures: value, previous value, change and coverage.

An unknown figure is None with its reason, as is one of a period with a missing day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from math import fsum

from fluxtracker import formatting
from fluxtracker.money import Number, Pair


class Group(StrEnum):
    MONEY = "money"
    CUSTOMERS = "customers"
    VOLUME = "volume"
    NETWORK = "network"


class Unit(StrEnum):
    FLUX = "FLUX"
    USD = "USD"
    PRICE = "USD per FLUX"
    COUNT = "count"
    PERCENT = "%"
    CORES = "cores"
    GB = "GB"
    MONTHS = "instance-months"
    USD_A_MONTH = "USD per instance-month"
    INDEX = "index"


PLACES: Mapping[Unit, int] = {
    Unit.FLUX: 8,
    Unit.USD: 2,
    Unit.PRICE: 10,
    Unit.COUNT: 2,
    Unit.PERCENT: 2,
    Unit.CORES: 1,
    Unit.GB: 1,
    Unit.MONTHS: 2,
    Unit.USD_A_MONTH: 4,
    Unit.INDEX: 2,
}


class How(StrEnum):
    """Ways to aggregate a period's days."""

    SUM = "sum"
    MEAN = "mean"
    RATIO = "ratio"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Known:
    """Value of a period. `coverage`: percent of its data that is known, None without data."""

    value: Number | Decimal | None
    coverage: float | None = 100.0
    reason: str = ""
    """Why the value is None."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Definition of a figure."""

    key: str
    group: Group
    label: str
    unit: Unit
    how: How


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a report. `change` is percent of the previous value or, for percentages, points."""

    key: str
    group: Group
    label: str
    unit: Unit
    how: How
    value: Number | None
    previous: Number | None
    difference: Number | None
    change: float | None
    trend: str | None
    coverage: float | None
    previous_coverage: float | None
    reason: str
    previous_reason: str

    @classmethod
    def of(cls, spec: Spec, now: Known, before: Known) -> Figure:
        pair = Pair(_rounded(now.value, spec.unit), _rounded(before.value, spec.unit))
        change = pair.points if spec.unit == Unit.PERCENT else pair.percentage
        return cls(
            spec.key, spec.group, spec.label, spec.unit, spec.how, pair.current, pair.previous,
            _rounded(pair.change, spec.unit), change, pair.trend, _share(now.coverage), _share(before.coverage),
            now.reason, before.reason,
        )  # fmt: skip

    @property
    def change_unit(self) -> str:
        return "points" if self.unit == Unit.PERCENT else "percent"

    @property
    def notes(self) -> list[str]:
        """Return sentences about missing values."""
        sentences = [f"n/a because {self.reason}"] if self.reason else []
        return sentences + ([f"previous n/a because {self.previous_reason}"] if self.previous_reason else [])


NO_FIGURE = Known(None, None, "unknown to this version")


def compared(specs: Iterable[Spec], now: Mapping[str, Known], before: Mapping[str, Known]) -> list[Figure]:
    """Return one line per figure, in order."""
    return [Figure.of(spec, now.get(spec.key, NO_FIGURE), before.get(spec.key, NO_FIGURE)) for spec in specs]


def share(part: float, whole: float) -> float:
    """Return the part in percent, 100 if the whole is 0."""
    return 100 * part / whole if whole else 100.0


def unknown(reason: str, coverage: float | None = 0.0) -> Known:
    return Known(None, coverage, reason)


def missing(what: str, lacking: Sequence[date], days: int) -> Known:
    """Return an unknown value that names the missing days."""
    named = ", ".join(map(formatting.day, lacking[:3])) + (" and others" if len(lacking) > 3 else "")
    where = "on that day" if days == 1 else f"on {len(lacking)} of {days} days ({named})"
    return unknown(f"{what} {where}", share(days - len(lacking), days))


def mean(values: Mapping[date, Number | Decimal | None], days: Sequence[date], what: str) -> Known:
    """Return the mean of the days, unknown if a day is missing."""
    lacking = [day for day in days if values.get(day) is None]
    if lacking:
        return missing(what, lacking, len(days))
    known = [float(value) for day in days if (value := values[day]) is not None]
    return Known(fsum(known) / len(known))


def ratio(part: Known, whole: Known, scale: int = 100) -> Known:
    """Return a part of a whole, by default in percent; unknown if either is unknown or the whole is 0."""
    for side in (part, whole):
        if side.value is None:
            return side
    assert part.value is not None and whole.value is not None  # noqa: S101, PT018  for the types
    if not whole.value:
        return unknown("there is nothing to divide by", 100.0)
    lower = [side.coverage for side in (part, whole) if side.coverage is not None]
    return Known(_exact(part.value) * scale / _exact(whole.value), min(lower, default=None))


def _exact(value: Number | Decimal) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _rounded(value: Number | Decimal | None, unit: Unit) -> Number | None:
    """Return a JSON number with its unit's decimals; whole counts stay whole."""
    if value is None or isinstance(value, int):
        return value
    return float(round(_exact(value), PLACES[unit])) or 0.0


def _share(coverage: float | None) -> float | None:
    return None if coverage is None else round(coverage, 2)
