"""What a chart draws: metrics by day, week or month, with the gaps left in and each doubt said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Min

from fluxtracker import money
from metrics.catalogue import Number
from metrics.latest import metrics_stamp
from revenue.models import DailyTotal
from revenue.reports import Sums, Totals
from revenue.stamp import ledger_stamp
from snapshots.buckets import Bucket, Span, split
from snapshots.choices import Choice, Kind
from snapshots.dayvalues import DayValues, Live
from snapshots.models import Snapshot
from snapshots.stamp import snapshot_stamp

MOST_METRICS = 8
MOST_DAYS = 3660
DAY = timedelta(days=1)
GROWN_LATE_S = 600
LEDGER, LIVE, TAKEN, UNKNOWN = "ledger", "live", Snapshot.Source.TAKEN.value, ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to draw, both days included. `previous`: also as many days right before; `cumulative`: sums add up."""

    choices: tuple[Choice, ...]
    first: date
    last: date
    bucket: Bucket = Bucket.DAY
    previous: bool = False
    cumulative: bool = False

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Line:
    """One value for each span. `partial`: numbers of the spans whose value does not hold all of it.

    That is: a day that is not over, not known or not wholly priced, or a week or month of which the range has a part.
    """

    points: list[Number | None]
    sources: list[str]
    partial: list[int]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric. `live`: its last point is the last reading."""

    choice: Choice
    line: Line
    ghost: Line | None
    live: Live | None


@dataclass(frozen=True, slots=True)
class Chart:
    """The series of one view. `completed_at`: of the ledger; None also where nothing of it was asked for."""

    wanted: Wanted
    spans: list[Span]
    before: list[Span] | None
    series: list[Series]
    completed_at: datetime | None
    today: date


@dataclass(frozen=True, slots=True)
class Summed:
    """The ledger's sums of a span. `complete`: each of its days is over and has all its payments."""

    sums: Sums
    complete: bool
    cut: bool


def read(*, wanted: Wanted, now: datetime) -> Chart:
    """At most eight queries for any range and any metrics; one more with the days before."""
    spans = split(wanted.first, wanted.last, wanted.bucket)
    before = [span.back(wanted.days) for span in spans] if wanted.previous else None
    known = DayValues.load(wanted.choices, (before or spans)[0].first, wanted.last, now)
    began = DailyTotal.objects.first_day() if before and known.totals else None
    draw = _Drawn(known, spans, wanted.cumulative, now)
    draw_ghost = _Drawn(known, before or [], wanted.cumulative, now, began or date.max)
    series = [
        Series(choice, draw.line(choice), draw_ghost.line(choice) if before else None, known.live.get(choice.key))
        for choice in wanted.choices
    ]
    completed_at = known.totals.ledger.completed_at if known.totals else None
    return Chart(wanted, spans, before, series, completed_at, now.date())


def stamp(now: datetime) -> tuple[Any, ...]:
    """Changes with the ledger, the snapshots, the readings and the day; and with time, as sources grow late."""
    return ledger_stamp(), snapshot_stamp(), metrics_stamp(), now.date(), int(now.timestamp()) // GROWN_LATE_S


def first_day() -> date | None:
    """The first day of which anything is known; None when nothing is. Two queries."""
    days = DailyTotal.objects.first_day(), Snapshot.objects.aggregate(first=Min("day"))["first"]
    return min((day for day in days if day is not None), default=None)


def last_days(days: int, today: date) -> tuple[date, date]:
    """The range of that many days that ends today."""
    return today - DAY * (days - 1), today


def all_days(today: date) -> tuple[date, date]:
    """From the first day anything is known of until today, cut to the longest range there is."""
    first = min(first_day() or today, today)
    return max(first, today - DAY * (MOST_DAYS - 1)), today


class _Drawn:
    """The spans of one stretch of time, with the ledger's sums made once for all metrics; before `began`, none."""

    def __init__(
        self, known: DayValues, spans: Sequence[Span], cumulative: bool, now: datetime, began: date = date.min
    ) -> None:
        self.known, self.spans, self.cumulative = known, spans, cumulative
        self.summed = [_summed(known.totals, span, now, began) for span in spans] if known.totals else []

    def line(self, choice: Choice) -> Line:
        if choice.kind == Kind.STATE:
            return _states(self.known, choice.key, self.spans)
        return _sums(self.summed, choice.key, self.cumulative)


def _summed(totals: Totals, span: Span, now: datetime, began: date) -> Summed:
    days = span.days()
    sums = totals.of(days) if span.last >= began else Sums(None, None, None, 0)
    complete = span.first >= began and all(totals.ledger.has_all_of(day, now) for day in days)
    return Summed(sums, complete, span.cut)


# For each sum: its integer in the ledger, and how that integer is written.
PARTS: dict[str, tuple[Callable[[Sums], int | None], Callable[[int], Number]]] = {
    "revenue_flux": (lambda sums: sums.revenue_sat, money.flux),
    "revenue_usd": (lambda sums: sums.usd_micro, lambda micro: float(money.usd(micro) or 0)),
    "payments": (lambda sums: sums.payments, lambda count: count),
}


def _sums(summed: Iterable[Summed], key: str, cumulative: bool) -> Line:
    """Cumulative: the sum from the first day on, in integers; once a part is missing, all that follows lacks it."""
    part, write = PARTS[key]
    line, total, lacking = Line([], [], []), 0, False
    for number, span in enumerate(summed):
        value = part(span.sums)
        lacks = not span.complete or (key == "revenue_usd" and span.sums.usd_missing > 0)
        lacking = lacking or lacks
        if value is not None and cumulative:
            value = total = total + value
        line.points.append(None if value is None else write(value))
        line.sources.append(UNKNOWN if value is None else LEDGER)
        if value is not None and (lacking if cumulative else lacks or span.cut):
            line.partial.append(number)
    return line


def _states(known: DayValues, key: str, spans: Iterable[Span]) -> Line:
    """The last value that is known of each span, and where it comes from."""
    days, live = known.states[key], known.live.get(key)
    line = Line([], [], [])
    for span in spans:
        day = span.last
        while day > span.first and day not in days:
            day -= DAY
        value = days.get(day)
        line.points.append(value)
        is_live = live is not None and day == live.read_at.date()
        line.sources.append(UNKNOWN if value is None else LIVE if is_live else known.sources.get(day, TAKEN))
    return line
