"""Select what daily rows of money by source, of accruals, of the fill and of censuses tell: the figures of the API."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Min

from deployments import run_rate
from deployments.models import FillDay, MessagesState
from deployments.run_rate import Flow
from deployments.splits import breakdown
from deployments.splits.daily import SOURCE, Splits
from fluxtracker.periods import Span
from metrics.census.selectors import OPERATORS, records
from metrics.metric_keys import Number
from metrics.models import CensusDay
from revenue.labels import SOURCES
from revenue.models import DailyTotal
from revenue.selectors import Sums, Totals
from snapshots.series.choices import ACCRUED, BY_SOURCE, BY_TIME, COUNTRIES, FILL, OPERATED, Choice

IN_CENSUS = {OPERATED: (OPERATORS[0], "count"), COUNTRIES: ("concentration", COUNTRIES, "count")}
UNKNOWN = Sums(None, None, None, 0)


@dataclass(frozen=True, slots=True)
class Summed:
    """The ledger's sums of a span. `complete`: each of its days is over and has all its payments."""

    sums: Sums
    complete: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class Streams:
    """Parts of the revenue, and the way it is earned. None: not asked for."""

    totals: Totals
    splits: Splits | None
    is_read: bool | None
    now: datetime

    @classmethod
    def load(cls, choices: Iterable[Choice], totals: Totals, span: Span, now: datetime) -> Streams:
        """At most three queries."""
        asked = {choice.stream for choice in choices}
        splits = Splits.load(SOURCE, span.first, span.last) if asked & BY_SOURCE.keys() else None
        is_read = MessagesState.known().complete_at is not None if asked & BY_TIME.keys() else None
        return cls(totals, splits, is_read, now)

    def of(self, spans: Sequence[Span]) -> Mapping[str, list[Summed]]:
        """Return each stream by span, as the API's rows have it. At most two queries."""
        found: dict[str, list[Summed]] = {}
        if self.splits is not None and spans:
            rows = [breakdown.row(span, self.totals, self.splits, SOURCES, self.now) for span in spans]
            found |= {name: [_part(row, name) for row in rows] for name in BY_SOURCE}
        if self.is_read is not None and spans:
            flows = run_rate.flow_rows(spans, self.totals, self.is_read, self.now)
            rows_of = list(zip(flows, spans, strict=True))
            found |= {name: [_flow(row, span, name) for row, span in rows_of] for name in BY_TIME}
        return found


def _part(row: breakdown.Row, name: str) -> Summed:
    sums = breakdown.organic(row) if name == breakdown.ORGANIC else row.parts and row.parts[name]
    return Summed(sums or UNKNOWN, row.complete, row.span.cut)


def _flow(row: Flow, span: Span, name: str) -> Summed:
    """Return what flowed. Days that no sync has looked into are not known: what they would earn is a forecast."""
    amount = run_rate.UNKNOWN if row.cash.sat is None else getattr(row, name)
    is_flow = name == ACCRUED
    sums = Sums(amount.sat, None, amount.usd_micro, row.usd_missing if is_flow else 0)
    return Summed(sums, row.mrr.sat is not None, span.cut and is_flow)


def states(asked: Collection[str], first: date, last: date) -> dict[str, dict[date, Number]]:
    """Return the last state of each day by key. At most two queries."""
    found: dict[str, dict[date, Number]] = {key: {} for key in asked}
    if FILL in asked:
        rows = FillDay.objects.filter(day__range=(first, last))
        found[FILL] = {row.day: round(row.percent, 2) for row in rows if row.percent is not None}
    paths = {key: path for key, path in IN_CENSUS.items() if key in asked}
    for day, told in records(first, last, of_list=OPERATED in paths, of_facts=COUNTRIES in paths) if paths else ():
        for key, path in paths.items():
            if (value := _at(told, path)) is not None:
                found[key][day] = value
    return found


def _at(told: Any, path: Iterable[str]) -> Number | None:
    for name in path:
        told = told.get(name) if isinstance(told, dict) else None
    return told  # type: ignore[no-any-return]  # of JSON


def first_day(asked: set[str]) -> date | None:
    """Return the first day of which one of these streams may be known. At most three queries."""
    days = [DailyTotal.objects.first_day()] if asked - IN_CENSUS.keys() - {FILL} else []
    models = [model for model, keys in ((FillDay, {FILL}), (CensusDay, IN_CENSUS.keys())) if asked & keys]
    days += [model.objects.aggregate(first=Min("day"))["first"] for model in models]
    return min((day for day in days if day is not None), default=None)
