"""Read the period of an address, such as `?period=W&at=2026-W45` or `?range=last_7d`, and name it. Periods are UTC.

A panel's own keys go before the range of all panels. A period that is not known falls back to this week, an `at` that
is not known or lies ahead to now, a wrong range to none.
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
OWN = ("period", "at", "days", "start", "end", "from", "to", "page")  # what one range for all panels takes the place of
EARLIEST, LATEST = 2009, 2199  # years of an `at`
QUARTER_MONTHS = 3


class Choice(NamedTuple):
    """An entry of the switch. `short` is its label on a phone; `last` and `ago` name what it is compared with."""

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
    """The period of an address: a calendar period, whole, the last 24 hours or 7 days, or the days of a range.

    `choice` is of a range, too: the calendar period that it is, or one about as long.
    """

    choice: Choice
    period: Period
    now: datetime
    range: Range | None = None

    @property
    def is_calendar(self) -> bool:
        """Return whether there is one before and one after it."""
        return not self.choice.rolling and self.period.bucket is not None

    @property
    def key(self) -> str:
        """Return the address's `period`; empty where a range says which."""
        return "" if self.range else self.choice.key

    @property
    def step_key(self) -> str:
        """Return the key of the address that steps change."""
        return RANGE if self.range else "at"

    @property
    def before(self) -> str:
        """Return what a past period is compared with: `the week before`, `the 10 days before`."""
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
        """Return the name of the period before it."""
        if not self.is_calendar and not self.choice.rolling:
            return self.before
        return name(self.period.previous(), self.now) if self.is_past else self.choice.last

    @property
    def at(self) -> str:
        """Return the address's `at` of it; empty for what goes on."""
        return self.period.key if self.is_past else ""

    @property
    def step_back(self) -> str:
        """Return the `at` of the period before; empty where time only rolls."""
        return self.period.previous().key if self.is_calendar else ""

    @property
    def step_on(self) -> str:
        """Return the `at` of the period after a past one; the present one's where that is it."""
        after = Period.containing(self.choice.bucket, self.period.end)
        return after.key if self.is_past and after.end <= self.now else self.step_now

    @property
    def step_now(self) -> str:
        """Return the `at` of the present period: none; of a range its word."""
        return PRESENT[self.choice.bucket] if self.range else ""


def chosen(query: QueryDict, now: datetime) -> Chosen:
    """Return the period that the address asks for."""
    if asked := range_of(query, now.date(), "period", "at"):
        days = len(Span(asked.first, asked.last).days())
        bucket = asked.period.bucket or next((one for one, most in LONGEST.items() if days <= most), Bucket.YEAR)
        return Chosen(OF_BUCKET[bucket], asked.period, now, asked)
    choice = BY_KEY.get(query.get("period", "").upper(), USUAL)
    if choice.rolling:
        end = now.replace(microsecond=0)
        return Chosen(choice, Period(end - choice.rolling, end), now)
    day = day_of(query.get("at", ""))
    moment = now if day is None else min(midnight(day), now)
    return Chosen(choice, Period.containing(choice.bucket, moment), now)


def range_of(query: QueryDict, today: date, *own: str) -> Range | None:
    """Return the range of all panels; None without one, for a wrong one, and where the panel's own keys say which."""
    text = query.get(RANGE, "").strip()
    if text and not any(query.get(key) for key in own):
        with suppress(WrongRange):
            return read_range(text, today)
    return None


def day_of(text: str) -> date | None:
    """Return the first day of `2026`, `2026-Q3`, `2026-11`, `2026-W45` or `2026-11-04`; None for anything else."""
    text = text.strip().upper()
    found = read_key(text)
    return found[1] if found and EARLIEST <= int(text[:4]) <= LATEST else None


def name(period: Period, now: datetime) -> str:
    """Return a past period in words; with its year where that is not this one."""
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
    """Return `Mon 9 Nov – Thu 12 Nov, 14:05 UTC`; whole days without their midnight."""
    start, end = period.start, period.end
    if end <= start:
        return f"{day_words(start, now)}, 00:00 UTC"
    if end.time() == start.time() == midnight(end.date()).time():
        return between(start, period.last_day, now)
    since = "" if start == midnight(start.date()) else f"{start:, %H:%M}"
    return f"{_joined(day_words(start, now) + since, day_words(end, now))}, {end:%H:%M} UTC"


def between(first: date, last: date, now: datetime) -> str:
    """Return `Mon 9 Nov – Sun 15 Nov`; one day alone where both are the same."""
    return _joined(day_words(first, now), day_words(last, now))


def day_words(day: date, now: datetime, *, weekday: bool = True) -> str:
    """Return `Mon 9 Nov`, and the year where it is not this one."""
    year = "" if day.year == now.year else f" {day.year}"
    return f"{day:%a} {day.day} {day:%b}{year}" if weekday else f"{day.day} {day:%b}{year}"


def _joined(first: str, last: str) -> str:
    return " – ".join(dict.fromkeys((first, last)))
