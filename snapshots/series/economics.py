"""Select the API's figures from daily rows: revenue by source, accruals, fill and censuses."""

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
from revenue.period_totals import Sums, Totals
from snapshots.series.choices import ACCRUED, BY_SOURCE, BY_TIME, COUNTRIES, FILL, OPERATED, Choice

IN_CENSUS = {OPERATED: (OPERATORS[0], "count"), COUNTRIES: ("concentration", COUNTRIES, "count")}
UNKNOWN = Sums(None, None, None, 0)


@dataclass(frozen=True, slots=True)
class Summed:
    """The ledger's sums of a span. `complete`: all its days are over and fully in the ledger."""

    sums: Sums
    complete: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class Streams:
    """Parts of the revenue, and how it is earned. None: not requested."""

    totals: Totals
    splits: Splits | None
    is_read: bool | None
    now: datetime

    @classmethod
    def load(cls, choices: Iterable[Choice], totals: Totals, span: Span, now: datetime) -> Streams:
        """Load the streams in at most three queries."""
        streams = {choice.stream for choice in choices}
        splits = Splits.load(SOURCE, span.first, span.last) if streams & BY_SOURCE.keys() else None
        is_read = MessagesState.known().complete_at is not None if streams & BY_TIME.keys() else None
        return cls(totals, splits, is_read, now)

    def of(self, spans: Sequence[Span]) -> Mapping[str, list[Summed]]:
        """Return each stream by span, as in the API's rows. At most two queries."""
        streams: dict[str, list[Summed]] = {}
        if self.splits is not None and spans:
            rows = [breakdown.row(span, self.totals, self.splits, SOURCES, self.now) for span in spans]
            streams |= {name: [_part(row, name) for row in rows] for name in BY_SOURCE}
        if self.is_read is not None and spans:
            flows = run_rate.flow_rows(spans, self.totals, self.is_read, self.now)
            rows_of = list(zip(flows, spans, strict=True))
            streams |= {name: [_flow(row, span, name) for row, span in rows_of] for name in BY_TIME}
        return streams


def _part(row: breakdown.Row, name: str) -> Summed:
    sums = breakdown.organic(row) if name == breakdown.ORGANIC else row.parts and row.parts[name]
    return Summed(sums or UNKNOWN, row.complete, row.span.cut)


def _flow(row: Flow, span: Span, name: str) -> Summed:
    """Return the flow, unknown on days that no sync has read, as their earnings would be a forecast."""
    amount = run_rate.UNKNOWN if row.cash.sat is None else getattr(row, name)
    is_flow = name == ACCRUED
    sums = Sums(amount.sat, None, amount.usd_micro, row.usd_missing if is_flow else 0)
    return Summed(sums, row.mrr.sat is not None, span.cut and is_flow)


def states(requested: Collection[str], first: date, last: date) -> dict[str, dict[date, Number]]:
    """Return the last state of each day by key. At most two queries."""
    values: dict[str, dict[date, Number]] = {key: {} for key in requested}
    if FILL in requested:
        rows = FillDay.objects.filter(day__range=(first, last))
        values[FILL] = {row.day: round(row.percent, 2) for row in rows if row.percent is not None}
    paths = {key: path for key, path in IN_CENSUS.items() if key in requested}
    for day, record in records(first, last, of_list=OPERATED in paths, of_facts=COUNTRIES in paths) if paths else ():
        for key, path in paths.items():
            if (value := _at(record, path)) is not None:
                values[key][day] = value
    return values


def _at(value: Any, path: Iterable[str]) -> Number | None:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value  # type: ignore[no-any-return]  # of JSON


def first_day(streams: set[str]) -> date | None:
    """Return the first day on which any of these streams may be known. At most three queries."""
    days = [DailyTotal.objects.first_day()] if streams - IN_CENSUS.keys() - {FILL} else []
    models = [model for model, keys in ((FillDay, {FILL}), (CensusDay, IN_CENSUS.keys())) if streams & keys]
    days += [model.objects.aggregate(first=Min("day"))["first"] for model in models]
    return min((day for day in days if day is not None), default=None)
