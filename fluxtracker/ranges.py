"""Read the range of a query: `this_month`, `last_7d`, `2026-10`, `2025-01..2026-10`. Whole UTC days.

Words move with the clock: `this_...` is the current calendar period, `last_...` the previous one, `last_7d` (`w`,
`m`, `q`, `y`) this many days or calendar periods up to the current one. Everything else is fixed; an open end
(`2025-01..`) is today.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from fluxtracker.periods import DAY, Bucket, Period, midnight, read_key

MOST_DAYS = 3_660
EARLIEST, LATEST = date(2000, 1, 1), date(2199, 12, 31)
EXPECTED = "expected a range such as this_month, last_7d, 2026-10, 2026-W45 or 2025-01..2026-10"
SO_MANY = re.compile(r"last_([1-9][0-9]{0,3})([dwmqy])", re.ASCII)
WORDS = {"today": (Bucket.DAY, False), "yesterday": (Bucket.DAY, True)} | {
    f"{word}_{bucket}": (bucket, word == "last") for word in ("this", "last") for bucket in Bucket if bucket != "day"
}


class WrongRange(ValueError):
    """An invalid range; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of UTC days. `period` has all of them, including future days of a calendar period."""

    text: str
    """As addresses have it."""
    period: Period
    today: date
    name: str = ""
    """In words, where it moves with the clock: `last 7 days`."""

    @property
    def first(self) -> date:
        return self.period.first_day

    @property
    def last(self) -> date:
        """Return the last day that has begun."""
        return min(self.period.last_day, self.today)

    @property
    def goes_on(self) -> bool:
        return self.period.last_day >= self.today


def read_range(text: str, today: date) -> Range:
    """Return the range named by the text. WrongRange for anything else, and for ranges in the future."""
    requested = text.strip().lower()
    result = _named(requested, today) or _counted(requested, today) or _between(requested, today)
    if result is None:
        raise WrongRange(EXPECTED)
    if result.first > today:
        raise WrongRange("the range must not begin in the future")
    if result.first < EARLIEST or (result.last - result.first).days >= MOST_DAYS:
        raise WrongRange(f"the range may have at most {MOST_DAYS} days, from {EARLIEST} on")
    return result


def _named(text: str, today: date) -> Range | None:
    if text not in WORDS:
        return None
    bucket, is_last = WORDS[text]
    period = Period.containing(bucket, midnight(today))
    return Range(text, period.previous() if is_last else period, today, text.replace("_", " "))


def _counted(text: str, today: date) -> Range | None:
    match = SO_MANY.fullmatch(text)
    if match is None:
        return None
    count, bucket = int(match[1]), Bucket.of_letter(match[2].upper())
    period = Period.containing(bucket, midnight(today))
    begin = Period.containing(bucket, period.start - (count - 1) * DAY) if bucket == Bucket.DAY else period
    for _ in range(count - 1 if bucket != Bucket.DAY else 0):
        begin = begin.previous() if begin.first_day >= EARLIEST else begin
    name = f"last {count} {bucket}s" if count > 1 else f"this {bucket}"
    return Range(text, Period(begin.start, period.end), today, name.replace("this day", "today"))


def _between(text: str, today: date) -> Range | None:
    first, dots, last = text.upper().partition("..")
    begin, end = (_calendar(end) for end in (first, last or (str(today) if dots else first)))
    if begin is None or end is None:
        return None
    if begin.start >= end.end:
        raise WrongRange("the range must not end before it begins")
    if not dots:
        return Range(begin.key, begin, today)
    return Range(f"{begin.key}..{end.key if last else ''}", Period(begin.start, end.end), today)


def _calendar(text: str) -> Period | None:
    key = read_key(text)
    if key is None or not EARLIEST <= key[1] <= LATEST - 366 * DAY:
        return None
    return Period.containing(key[0], midnight(key[1]))
