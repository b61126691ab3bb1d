"""Read the period of a query, such as `?period=W&at=2026-W45` or `?range=last_7d`, and name it. Periods are UTC.

A panel's own keys override the range of all panels. An unknown period falls back to this week, an unknown or future
`at` to now, a wrong range to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.http import QueryDict

from fluxtracker import formatting
from fluxtracker.periods import DAY, Bucket, Period, Span, midnight, read_key
from fluxtracker.ranges import Range, WrongRange, read_range

RANGE = "range"
KEYS = ("period", "at", RANGE)
OWN = ("period", "at", "days", "start", "end", "from", "to", "page")  # replaced by a range for all panels
EARLIEST, LATEST = 2009, 2199  # years of an `at`
QUARTER_MONTHS = 3


class Choice(NamedTuple):
    """An entry of the switch. `short` is its label on phones; `last` and `ago` name the comparison."""

    key: str
    label: str
    short: str
    this: str
    last: str
    ago: str
    bucket: Bucket
    rolling: timedelta | None = None


CHOICES = (
    Choice("24H", "24 h", "24h", "last 24 hours", "the 24 hours before", "yesterday", Bucket.DAY, DAY),
    Choice("7D", "7 d", "7d", "last 7 days", "the 7 days before", "7 days ago", Bucket.WEEK, 7 * DAY),
    Choice("D", "Day", "D", "today", "yesterday", "yesterday", Bucket.DAY),
    Choice("W", "Week", "W", "this week", "last week", "7 days ago", Bucket.WEEK),
    Choice("M", "Month", "M", "this month", "last month", "30 days ago", Bucket.MONTH),
    Choice("Q", "Quarter", "Q", "this quarter", "last quarter", "90 days ago", Bucket.QUARTER),
    Choice("Y", "Year", "Y", "this year", "last year", "365 days ago", Bucket.YEAR),
)
BY_KEY: Mapping[str, Choice] = {choice.key: choice for choice in CHOICES}
USUAL = BY_KEY["W"]
OF_BUCKET: Mapping[Bucket, Choice] = {choice.bucket: choice for choice in CHOICES if not choice.rolling}
PRESENT = {bucket: f"this_{bucket}" for bucket in Bucket} | {Bucket.DAY: "today"}
LONGEST = {Bucket.DAY: 1, Bucket.WEEK: 7, Bucket.MONTH: 31, Bucket.QUARTER: 92}  # days


@dataclass(frozen=True, slots=True)
class Chosen:
    """The period of a query: a whole calendar period, the last 24 hours or 7 days, or the days of a range.

    A range has a `choice` too: its calendar period, or one about as long.
    """

    choice: Choice
    period: Period
    now: datetime
    range: Range | None = None

    @property
    def is_calendar(self) -> bool:
        """Return whether it has a previous and a next period."""
        return not self.choice.rolling and self.period.bucket is not None

    @property
    def key(self) -> str:
        """Return the query's `period`, empty with a range."""
        return "" if self.range else self.choice.key

    @property
    def step_key(self) -> str:
        """Return the query key changed by steps."""
        return RANGE if self.range else "at"

    @property
    def before(self) -> str:
        """Return the comparison of a past period: `the week before`, `the 10 days before`."""
        return f"the {self.choice.bucket if self.is_calendar else _length(self.period)} before"

    @property
    def is_past(self) -> bool:
        return not self.choice.rolling and self.period.end <= self.now

    @property
    def this(self) -> str:
        """Return its name: `this week`, `week 45, 2 – 8 Nov`, `October 2026`."""
        if self.range and self.range.name:
            return self.range.name
        return self.choice.this if not self.is_past and self.is_calendar else self._name()

    def _name(self) -> str:
        return self.choice.this if self.choice.rolling else name(self.period, self.now)

    @property
    def last(self) -> str:
        """Return the name of the previous period."""
        if not self.is_calendar and not self.choice.rolling:
            return self.before
        return name(self.period.previous(), self.now) if self.is_past else self.choice.last

    @property
    def at(self) -> str:
        """Return its `at`, empty for the current period."""
        return self.period.key if self.is_past else ""

    @property
    def step_back(self) -> str:
        """Return the `at` of the previous period, empty for a rolling one."""
        return self.period.previous().key if self.is_calendar else ""

    @property
    def step_on(self) -> str:
        """Return the `at` of the period after a past one."""
        after = Period.containing(self.choice.bucket, self.period.end)
        return after.key if self.is_past and after.end <= self.now else self.step_now

    @property
    def step_now(self) -> str:
        """Return the `at` of the current period: none, or a range's word."""
        return PRESENT[self.choice.bucket] if self.range else ""


def chosen(query: QueryDict, now: datetime) -> Chosen:
    """Return the period requested by the query."""
    if selected := range_of(query, now.date(), "period", "at"):
        days = len(Span(selected.first, selected.last).days())
        bucket = selected.period.bucket or next((one for one, most in LONGEST.items() if days <= most), Bucket.YEAR)
        return Chosen(OF_BUCKET[bucket], selected.period, now, selected)
    choice = BY_KEY.get(query.get("period", "").upper(), USUAL)
    if choice.rolling:
        end = now.replace(microsecond=0)
        return Chosen(choice, Period(end - choice.rolling, end), now)
    day = day_of(query.get("at", ""))
    moment = now if day is None else min(midnight(day), now)
    return Chosen(choice, Period.containing(choice.bucket, moment), now)


def range_of(query: QueryDict, today: date, *own: str) -> Range | None:
    """Return the range of all panels, None without a valid one or if the panel has its own keys."""
    text = query.get(RANGE, "").strip()
    if text and not any(query.get(key) for key in own):
        with suppress(WrongRange):
            return read_range(text, today)
    return None


def day_of(text: str) -> date | None:
    """Return the first day of `2026`, `2026-Q3`, `2026-11`, `2026-W45` or `2026-11-04`, None for anything else."""
    text = text.strip().upper()
    parsed = read_key(text)
    return parsed[1] if parsed and EARLIEST <= int(text[:4]) <= LATEST else None


def name(period: Period, now: datetime) -> str:
    """Return a past period in words, with its year unless it is this one."""
    day = period.first_day
    match period.bucket:
        case Bucket.WEEK:
            first = str(day.day) if day.month == period.last_day.month else day_words(day, now, weekday=False)
            return f"week {day.isocalendar().week}, {first} – {day_words(period.last_day, now, weekday=False)}"
        case Bucket.MONTH:
            return f"{day:%B %Y}"
        case Bucket.QUARTER:
            return f"Q{day.month // QUARTER_MONTHS + 1} {day.year}"
        case Bucket.YEAR:
            return f"{day.year}"
        case Bucket.DAY:
            return day_words(day, now)
    if period.start.day == period.end.day == 1:
        return _joined(f"{day:%b %Y}", f"{period.last_day:%b %Y}")
    return _joined(day_words(day, now, weekday=False), day_words(period.last_day, now, weekday=False))


def _length(period: Period) -> str:
    return formatting.plural((period.end - period.start).days, "day")


def stretch(period: Period, now: datetime) -> str:
    """Return `Mon 9 Nov – Thu 12 Nov, 14:05 UTC`, or whole days without midnight."""
    start, end = period.start, period.end
    if end <= start:
        return f"{day_words(start, now)}, 00:00 UTC"
    if end.time() == start.time() == midnight(end.date()).time():
        return between(start, period.last_day, now)
    since = "" if start == midnight(start.date()) else f"{start:, %H:%M}"
    return f"{_joined(day_words(start, now) + since, day_words(end, now))}, {end:%H:%M} UTC"


def between(first: date, last: date, now: datetime) -> str:
    """Return `Mon 9 Nov – Sun 15 Nov`, or one day if both are the same."""
    return _joined(day_words(first, now), day_words(last, now))


def day_words(day: date, now: datetime, *, weekday: bool = True) -> str:
    """Return `Mon 9 Nov`, with the year unless it is this one."""
    year = "" if day.year == now.year else f" {day.year}"
    return f"{day:%a} {day.day} {day:%b}{year}" if weekday else f"{day.day} {day:%b}{year}"


def _joined(first: str, last: str) -> str:
    return " – ".join(dict.fromkeys((first, last)))
