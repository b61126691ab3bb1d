"""Select metric values by day, week or month, with gaps and marks, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from itertools import groupby, islice
from operator import or_
from typing import Any

from django.db.models import Min, Q

from deployments.selectors import stamp as messages_stamp
from fluxtracker import money
from fluxtracker.periods import Bucket, Period, Span, midnight, split
from metrics.metric_keys import RATIOS, Number, percent
from metrics.models import ImageCount, Source
from metrics.selectors import Latest, metrics_stamp
from revenue.models import DailyTotal
from revenue.period_totals import Sums, Totals
from snapshots.models import ImageDay, Snapshot
from snapshots.selectors import snapshot_stamp, with_closes
from snapshots.series.choices import FLUX, MONEY, STATES, USD, Choice
from snapshots.series.economics import UNKNOWN as UNKNOWN_SUMS
from snapshots.series.economics import Streams, Summed, states
from snapshots.series.economics import first_day as first_day_of_streams

Days = dict[date, Number]
COLUMNS = frozenset(field.name for field in Snapshot._meta.concrete_fields)
ALL_IMAGES = "total_apps"  # containers were read, so an image without a row had none


@dataclass(frozen=True, slots=True)
class Live:
    """Today's value is the last reading. `stale`: the source is late, or has failed since."""

    read_at: datetime
    stale: bool


@dataclass(frozen=True, slots=True)
class DayValues:
    """`totals` is None if nothing of the ledger is requested; a day not in `states` is unknown.

    `sources`: the origin of snapshot values.
    """

    totals: Totals | None
    states: Mapping[str, Days]
    sources: Mapping[date, str]
    live: Mapping[str, Live]
    streams: Streams | None = None

    @classmethod
    def load(cls, choices: Sequence[Choice], first: date, last: date, now: datetime) -> DayValues:
        """Read the days with at most 13 queries for any range and any number of metrics."""
        taken = [choice for choice in choices if not choice.is_sum and not choice.stream]
        values, sources = _snapshots(taken, first, last) if taken else ({}, {})
        live: dict[str, Live] = {}
        if taken and first <= now.date() <= last:
            live = _add_readings(values, taken, now)
        values |= states({choice.key for choice in choices if choice in STATES}, first, last)
        has_money = any(choice.is_sum or choice in MONEY for choice in choices)
        totals = Totals.load(first, last) if has_money else None
        parts = [choice for choice in choices if choice in MONEY]
        streams = Streams.load(parts, totals, Span(first, last), now) if parts and totals else None
        return cls(totals, values, sources, live, streams)


def first_day_of(choices: Sequence[Choice]) -> date | None:
    """Return the first day on which any of these metrics is known, if any. At most six queries."""
    firsts: list[date | None] = []
    if any(choice.is_sum for choice in choices):
        firsts.append(DailyTotal.objects.first_day())
    if streams := {choice.stream for choice in choices if choice.stream}:
        firsts.append(first_day_of_streams(streams))
    if knowing := [_knowing(choice) for choice in choices if not choice.is_sum and not choice.stream]:
        known = Snapshot.objects.filter(reduce(or_, knowing))
        firsts.append(known.aggregate(first=Min("day"))["first"])
    if images := [choice.image for choice in choices if choice.image]:
        firsts.append(ImageDay.objects.filter(image__in=images).aggregate(first=Min("day"))["first"])
    return min((day for day in firsts if day is not None), default=None)


def _knowing(choice: Choice) -> Q:
    """Return snapshots with the metric, including those with 0 containers of an image, see below."""
    if choice.image:
        return Q(source=Snapshot.Source.TAKEN, **{f"{ALL_IMAGES}__isnull": False})
    if choice.key in COLUMNS or choice.key in RATIOS:
        return Q(**{f"{column}__isnull": False for column in _columns([choice.key])})
    return Q(counts__has_key=choice.key)


def _snapshots(choices: Sequence[Choice], first: date, last: date) -> tuple[dict[str, Days], dict[date, str]]:
    images = {choice.image: choice.key for choice in choices if choice.image}
    plain = [choice.key for choice in choices if not choice.image]
    columns = sorted(_columns(plain) | ({ALL_IMAGES} if images else set()))
    rows = list(Snapshot.objects.filter(day__range=(first, last)).values("day", "source", *columns))
    rows = with_closes(rows) if "flux_price_usd" in columns else rows
    states = {key: _days(key, rows) for key in plain}
    if images:
        states |= _image_days(images, rows, first, last)
    return states, {row["day"]: row["source"] for row in rows}


def _columns(keys: Iterable[str]) -> set[str]:
    """Return the columns needed for the metrics."""
    needed: set[str] = set()
    for key in keys:
        needed |= set(RATIOS.get(key) or [key if key in COLUMNS else "counts"])
    return needed


def _days(key: str, rows: Iterable[Mapping[str, Any]]) -> Days:
    if key in RATIOS:
        part, whole = RATIOS[key]
        pairs: Iterator[tuple[date, Any]] = ((row["day"], percent(row[part], row[whole])) for row in rows)
    elif key in COLUMNS:
        pairs = ((row["day"], row[key]) for row in rows)
    else:
        pairs = ((row["day"], row["counts"].get(key)) for row in rows)
    return {day: float(value) if isinstance(value, Decimal) else value for day, value in pairs if value is not None}


def _image_days(
    images: Mapping[str, str], rows: Iterable[Mapping[str, Any]], first: date, last: date
) -> dict[str, Days]:
    """Return days by image. Only taken snapshots list every image, so a missing one had no containers there."""
    whole = [row["day"] for row in rows if row["source"] == Snapshot.Source.TAKEN and row[ALL_IMAGES] is not None]
    states: dict[str, Days] = {key: dict.fromkeys(whole, 0) for key in images.values()}
    counts = ImageDay.objects.filter(image__in=list(images), day__range=(first, last))
    for image, day, count in counts.values_list("image", "day", "count"):
        states[images[image]][day] = count
    return states


def _add_readings(states: dict[str, Days], choices: Sequence[Choice], now: datetime) -> dict[str, Live]:
    """Replace today's snapshot values with the latest readings. Return which metrics those are."""
    latest, today, live = Latest.load(now), now.date(), {}
    values = {**latest.values} | _image_counts(choices)
    for choice in choices:
        view, value = latest.sources[choice.source or Source.Name.APPS], values.get(choice.key)
        if value is not None and view.read_at is not None and view.read_at.date() == today:
            states[choice.key][today] = value
            live[choice.key] = Live(view.read_at, stale=view.status != "ok")
    return live


def _image_counts(choices: Sequence[Choice]) -> dict[str, int]:
    images = {choice.image: choice.key for choice in choices if choice.image}
    if not images:
        return {}
    counts = dict(ImageCount.objects.filter(image__in=list(images)).values_list("image", "count"))
    return {key: counts.get(image, 0) for image, key in images.items()}


MOST_METRICS = 8
DRAWN = (Bucket.DAY, Bucket.WEEK, Bucket.MONTH, Bucket.QUARTER)
MOST_DAYS = 3660
DAY = timedelta(days=1)
GROWN_LATE_S = 600
NOTHING = Summed(UNKNOWN_SUMS, complete=False, cut=False)
LEDGER, LIVE, TAKEN, UNKNOWN = "ledger", "live", Snapshot.Source.TAKEN.value, ""
PLAIN = (LEDGER, TAKEN, UNKNOWN)


@dataclass(frozen=True, slots=True)
class SeriesRequest:
    """Range to draw, inclusive. `previous`: also as many buckets right before; `cumulative`: sums add up."""

    choices: tuple[Choice, ...]
    first: date
    last: date
    bucket: Bucket = Bucket.DAY
    previous: bool = False
    cumulative: bool = False

    @property
    def length(self) -> int:
        """Return the number of days."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Days whose values were not read on their day."""

    source: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Line:
    """One value per span. `partial`: indexes of spans with incomplete values.

    Incomplete: a day that is not over, not known or not fully priced, or a week or month cut by the range.
    """

    spans: Sequence[Span]
    points: list[Number | None] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    partial: list[int] = field(default_factory=list)

    @property
    def partial_days(self) -> list[date]:
        return [self.spans[number].first for number in self.partial]

    @property
    def marks(self) -> list[Mark]:
        """Return runs of spans with values neither taken on their day nor from the ledger."""
        runs = [(source, list(run)) for source, run in groupby(range(len(self.spans)), key=self.sources.__getitem__)]
        marks = [(source, self.spans[run[0]], self.spans[run[-1]]) for source, run in runs if source not in PLAIN]
        return [Mark(source, first.first, last.last) for source, first, last in marks]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric. `live`: its last point is the last reading."""

    choice: Choice
    line: Line
    ghost: Line | None
    live: Live | None


@dataclass(frozen=True, slots=True)
class Chart:
    """The series of one view. `completed_at`: the ledger's; None also if nothing of it is requested."""

    request: SeriesRequest
    spans: list[Span]
    before: list[Span] | None
    series: list[Series]
    completed_at: datetime | None
    today: date

    @property
    def count(self) -> int:
        return len(self.spans)

    @property
    def dates(self) -> list[date]:
        return [span.first for span in self.spans]

    @property
    def ends(self) -> list[date]:
        return [span.last for span in self.spans]

    @property
    def previous(self) -> dict[str, Any] | None:
        """Return the previous days: the first, the last, and the first of each point."""
        if not self.before:
            return None
        dates = [span.first for span in self.before]
        return {"first": dates[0], "last": self.before[-1].last, "dates": dates}


def read(*, request: SeriesRequest, now: datetime) -> Chart:
    """Return the chart with at most 15 queries for any range and metrics, or 18 with the previous days."""
    spans = split(request.first, request.last, request.bucket)
    before = _before(spans, request.bucket) if request.previous else None
    known = DayValues.load(request.choices, (before or spans)[0].first, request.last, now)
    began = DailyTotal.objects.first_day() if before and known.totals else None
    draw = _Drawn(known, spans, request.cumulative, now)
    draw_ghost = _Drawn(known, before or [], request.cumulative, now, began or date.max)
    series = [
        Series(choice, draw.line(choice), draw_ghost.line(choice) if before else None, known.live.get(choice.key))
        for choice in request.choices
    ]
    completed_at = known.totals.ledger.read_until if known.totals else None
    return Chart(request, spans, before, series, completed_at, now.date())


def _before(spans: Sequence[Span], bucket: Bucket) -> list[Span]:
    """Return as many buckets right before: September for October. A cut one is cut alike."""
    if bucket == Bucket.DAY:
        return [span.back(len(spans)) for span in spans]
    period = Period.containing(bucket, midnight(spans[0].first))
    earlier = list(islice(_going_back(period.previous()), len(spans)))[::-1]
    whole = [Period.containing(bucket, midnight(span.first)) for span in spans]
    return [_like(span, own, other) for span, own, other in zip(spans, whole, earlier, strict=True)]


def _going_back(period: Period) -> Iterator[Period]:
    while True:
        yield period
        period = period.previous()


def _like(span: Span, own: Period, other: Period) -> Span:
    """Return the part of `other` that `span` covers of `own`."""
    if not span.cut:
        return Span(other.first_day, other.last_day)
    first = min(other.first_day + (span.first - own.first_day), other.last_day)
    return Span(first, min(first + (span.last - span.first), other.last_day), cut=True)


def stamp(now: datetime) -> tuple[Any, ...]:
    """Return a stamp that changes with ledger, messages, snapshots, readings, censuses, the day and late sources."""
    return messages_stamp(now), snapshot_stamp(), metrics_stamp(), int(now.timestamp()) // GROWN_LATE_S


def first_day() -> date | None:
    """Return the first day with any data, if any. Two queries."""
    days = DailyTotal.objects.first_day(), Snapshot.objects.aggregate(first=Min("day"))["first"]
    return min((day for day in days if day is not None), default=None)


def last_days(days: int, today: date) -> tuple[date, date]:
    """Return the range of this many days that ends today."""
    return today - DAY * (days - 1), today


def all_days(today: date) -> tuple[date, date]:
    """Return the range from the first day with data to today, cut to the longest allowed."""
    first = min(first_day() or today, today)
    return max(first, today - DAY * (MOST_DAYS - 1)), today


class _Drawn:
    """Spans of one stretch of time, with the ledger's sums computed once for all metrics; none before `began`."""

    def __init__(
        self, known: DayValues, spans: Sequence[Span], cumulative: bool, now: datetime, began: date = date.min
    ) -> None:
        self.known, self.spans, self.cumulative = known, spans, cumulative
        self.summed = {"": [_summed(known.totals, span, now, began) for span in spans] if known.totals else []}
        for stream, sums in (known.streams.of(spans) if known.streams else {}).items():
            pairs = zip(sums, spans, strict=True)
            self.summed[stream] = [each if span.last >= began else NOTHING for each, span in pairs]

    def line(self, choice: Choice) -> Line:
        if choice.stream in self.summed and (choice.is_sum or choice.stream):
            return _sums(Line(self.spans), self.summed[choice.stream], choice, self.cumulative and choice.is_sum)
        return _states(self.known, choice, self.spans)


def _summed(totals: Totals, span: Span, now: datetime, began: date) -> Summed:
    days = span.days()
    sums = totals.of(days) if span.last >= began else UNKNOWN_SUMS
    complete = span.first >= began and all(totals.ledger.has_all_of(day, now) for day in days)
    return Summed(sums, complete, span.cut)


# For each unit: its integer in the ledger, and its format.
PARTS: dict[str, tuple[Callable[[Sums], int | None], Callable[[int], Number]]] = {
    FLUX: (lambda sums: sums.revenue_sat, money.flux),
    USD: (lambda sums: sums.usd_micro, lambda micro: float(money.usd(micro) or 0)),
    "": (lambda sums: sums.payments, lambda count: count),
}


def _sums(line: Line, summed: Iterable[Summed], choice: Choice, cumulative: bool) -> Line:
    """Return sums, cumulative ones in integers from the first day on; after a missing part all are partial."""
    part, write = PARTS[choice.unit]
    total, lacking = 0, False
    for number, span in enumerate(summed):
        value = part(span.sums)
        lacks = not span.complete or (choice.unit == USD and span.sums.usd_missing > 0)
        lacking = lacking or lacks
        if value is not None and cumulative:
            value = total = total + value
        line.points.append(None if value is None else write(value))
        line.sources.append(UNKNOWN if value is None else LEDGER)
        if value is not None and (lacking if cumulative else lacks or span.cut):
            line.partial.append(number)
    return line


def _states(known: DayValues, choice: Choice, spans: Sequence[Span]) -> Line:
    """Return the last known value of each span, and its origin."""
    days, live = known.states[choice.key], known.live.get(choice.key)
    sources = {} if choice.stream else known.sources
    line = Line(spans)
    for span in spans:
        day = span.last
        while day > span.first and day not in days:
            day -= DAY
        value = days.get(day)
        line.points.append(value)
        is_live = live is not None and day == live.read_at.date()
        line.sources.append(UNKNOWN if value is None else LIVE if is_live else sources.get(day, TAKEN))
    return line
