"""Revenue by day and by calendar period, from the daily totals: they outlive the payments behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fluxtracker.fresh import is_fresh
from fluxtracker.periods import Length, Period, midnight
from revenue.models import DailyTotal, LedgerState, Quarantined

DAY = timedelta(days=1)
STALE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Sums:
    """What some days add up to. None: nobody can know yet."""

    revenue_sat: int | None
    payments: int | None
    usd_micro: int | None
    """Sum over the priced payments; None when there are payments and none is priced."""
    usd_missing: int
    """How many payments have no price yet."""


@dataclass(frozen=True, slots=True)
class DayReport:
    day: date
    sums: Sums
    complete: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A calendar period so far against the whole one before it."""

    current: Period
    previous: Period
    now: Sums
    before: Sums
    is_before_complete: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """What decides whether a day is known and whether it is complete."""

    completed_at: datetime | None
    """`LedgerState.read_until`: no later than what the chain's source could tell."""
    closed_through: date | None
    complete_until: datetime | None = None
    """By the chain's time: `LedgerState.complete_until`."""
    lacking: frozenset[date] = frozenset()
    """Days of which a transaction waits in the quarantine."""

    @classmethod
    def load(cls) -> Ledger:
        """One query; two while there is a quarantine."""
        state = LedgerState.known()
        lacking = frozenset(Quarantined.objects.days() if state.has_quarantine else ())
        return cls(state.read_until, state.closed_through, state.complete_until, lacking)

    def knows(self, day: date) -> bool:
        """Whether a completed sync has looked into the day: only then is no payment a 0."""
        return self.is_closed(day) or (self.completed_at is not None and day <= self.completed_at.date())

    def has_all_of(self, day: date, now: datetime) -> bool:
        """Return whether the day is over, by the chain's time and by ours, and every payment of it is in."""
        if self.is_closed(day):
            return True
        end = midnight(day) + DAY
        is_over = self.complete_until is not None and end <= min(self.complete_until, now)
        return is_over and day not in self.lacking

    def is_stale(self, now: datetime) -> bool:
        return not is_fresh(self.completed_at, now, STALE)

    def is_closed(self, day: date) -> bool:
        """Whether the day's rows are pruned and its total is frozen."""
        return self.closed_through is not None and day <= self.closed_through


@dataclass(frozen=True, slots=True)
class Totals:
    """The daily totals of a range of days."""

    rows: Mapping[date, Mapping[str, int]]
    ledger: Ledger

    @classmethod
    def load(cls, first: date, last: date) -> Totals:
        rows = DailyTotal.objects.between(first, last).by_day()
        return cls({row["day"]: row for row in rows}, Ledger.load())

    def of(self, days: Iterable[date]) -> Sums:
        """The sums of the days. Unknown when there is no payment and no sync has looked into any of them."""
        days = list(days)
        rows = [self.rows[day] for day in days if day in self.rows]
        payments, priced = (sum(row[key] for row in rows) for key in ("payments", "priced"))
        if not payments and not any(map(self.ledger.knows, days)):
            return Sums(None, None, None, 0)
        usd = sum(row["usd_micro"] for row in rows) if priced or not payments else None
        return Sums(sum(row["revenue_sat"] for row in rows), payments, usd, payments - priced)


def daily(totals: Totals, today: date, days: int, now: datetime) -> list[DayReport]:
    """The last `days` days, today included, oldest first."""
    every = (today - timedelta(days=back) for back in range(days - 1, -1, -1))
    return [DayReport(day, totals.of([day]), totals.ledger.has_all_of(day, now)) for day in every]


def compare(totals: Totals, length: Length, now: datetime) -> Comparison:
    """The calendar period that `now` lies in, so far, against the whole one before."""
    current, previous = periods(length, now)
    is_before_complete = all(totals.ledger.has_all_of(day, now) for day in previous.days())
    return Comparison(current, previous, totals.of(current.days()), totals.of(previous.days()), is_before_complete)


def periods(length: Length, now: datetime) -> tuple[Period, Period]:
    """The current calendar period up to today's end, and the whole previous one."""
    whole = Period.containing(length, now)
    return Period(whole.start, midnight(now.date() + DAY), length), whole.previous()
