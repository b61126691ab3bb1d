"""Select revenue by day and period, to date, from the daily totals.

To-date sums use totals for whole days and rows for the day of the cut. If those rows are pruned, that day counts as
a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.db import connection

from fluxtracker.money import Pair
from fluxtracker.periods import DAY, Bucket, Period, midnight
from revenue.models import LedgerState, Payment
from revenue.querysets import SUMMED


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over days. None: not known yet."""

    revenue_sat: int | None
    payments: int | None
    usd_micro: int | None
    """Sum over priced payments; None if there are payments but none is priced."""
    usd_missing: int
    """Number of payments without a price yet."""


@dataclass(frozen=True, slots=True)
class DayReport:
    day: date
    sums: Sums
    complete: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Sums of a period. `complete`: all its days are over and fully in the ledger."""

    period: Period
    sums: Sums
    complete: bool = False


@dataclass(frozen=True)
class Dollars(Pair):
    """Micro-dollars, and the number of payments without a price."""

    missing: int
    missing_before: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A period so far against one before it."""

    current: Part
    previous: Part
    whole_days: bool = False
    """Whether the last day of the previous period is whole although the cut lies in it: its rows are pruned."""

    @property
    def flux(self) -> Pair:
        """Return satoshi."""
        return Pair(self.current.sums.revenue_sat, self.previous.sums.revenue_sat)

    @property
    def usd(self) -> Dollars:
        now, before = self.current.sums, self.previous.sums
        return Dollars(now.usd_micro, before.usd_micro, now.usd_missing, before.usd_missing)

    @property
    def payments(self) -> Pair:
        return Pair(self.current.sums.payments, self.previous.sums.payments)


NOTHING = dict.fromkeys(SUMMED, 0)
SUMS = ", ".join(f"CAST(sum({column}) AS bigint)" for column in SUMMED)
DAYS = f'SELECT day, {SUMS} FROM "revenue_dailytotal" WHERE day BETWEEN %s AND %s GROUP BY day'  # noqa: S608  our own names


@dataclass(frozen=True, slots=True)
class Totals:
    """The daily totals of a range of days."""

    rows: Mapping[date, Mapping[str, int]]
    ledger: LedgerState

    @classmethod
    def load(cls, first: date, last: date) -> Totals:
        """Load the totals in at most three queries."""
        with connection.cursor() as cursor:
            cursor.execute(DAYS, [first, last])
            rows = {day: dict(zip(SUMMED, sums, strict=True)) for day, *sums in cursor.fetchall()}
        return cls(rows, LedgerState.known())

    def of(self, days: Iterable[date]) -> Sums:
        """Return the sums of the days, unknown without a payment or a sync that read any of them."""
        days = list(days)
        rows = [row for day in days if (row := self.rows.get(day))]
        return self._sums(rows[0] if len(rows) == 1 else _added(rows), days)

    def day(self, day: date, now: datetime) -> DayReport:
        return DayReport(day, self._sums(self.rows.get(day, NOTHING), [day]), self.ledger.has_all_of(day, now))

    def _sums(self, row: Mapping[str, int], days: Collection[date]) -> Sums:
        payments, priced = row["payments"], row["priced"]
        if not payments and not any(map(self.ledger.knows, days)):
            return Sums(None, None, None, 0)
        usd_micro = row["usd_micro"] if priced or not payments else None
        return Sums(row["revenue_sat"], payments, usd_micro, payments - priced)


def _added(rows: Collection[Mapping[str, int]]) -> dict[str, int]:
    return {key: sum(row[key] for row in rows) for key in SUMMED}


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """A calendar period so far, compared with the previous one, whole and cut at the same elapsed time."""

    bucket: Bucket
    whole: Comparison
    to_date: Comparison
    ledger: LedgerState
    now: datetime
    days: Sequence[DayReport] = ()
    """Oldest first."""

    @property
    def is_stale(self) -> bool:
        return self.ledger.is_stale(self.now)

    @property
    def count(self) -> int:
        return len(self.days)


def period_report(bucket: Bucket, now: datetime, listed: Period | None = None) -> PeriodReport:
    """Return the report of the period that `now` lies in, with each day of `listed`."""
    today, first = now.date(), periods(bucket, now)[1].first_day
    totals = Totals.load(min(listed.first_day, first) if listed else first, today)
    (report,) = period_reports([bucket], totals, now)
    return replace(report, days=[totals.day(day, now) for day in listed.days()] if listed else ())


def period_reports(buckets: Iterable[Bucket], totals: Totals, now: datetime) -> list[PeriodReport]:
    """Return reports of several periods. `totals` reach back to the earliest previous one. At most one query."""
    cuts = {bucket: cut(Period.containing(bucket, now), now, totals.ledger) for bucket in buckets}
    parted = parts(cuts.values())
    return [
        PeriodReport(bucket, compare(totals, bucket, now), to_date(one, totals, parted), totals.ledger, now)
        for bucket, one in cuts.items()
    ]


def daily(totals: Totals, today: date, days: int, now: datetime) -> list[DayReport]:
    """Return the last `days` days including today, oldest first."""
    every = (today - timedelta(days=back) for back in range(days - 1, -1, -1))
    return [totals.day(day, now) for day in every]


def compare(totals: Totals, bucket: Bucket, now: datetime) -> Comparison:
    """Compare the current calendar period so far with the whole previous one."""
    current, previous = periods(bucket, now)
    complete = all(totals.ledger.has_all_of(day, now) for day in previous.days())
    return Comparison(
        Part(current, totals.of(current.days())), Part(previous, totals.of(previous.days()), complete=complete)
    )


def periods(bucket: Bucket, now: datetime) -> tuple[Period, Period]:
    """Return the current calendar period up to today's end, and the whole previous one."""
    whole = Period.containing(bucket, now)
    return Period(whole.start, midnight(now.date() + DAY), bucket), whole.previous()


DaySums = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """Both periods as far as the current one has gone."""

    current: Period
    previous: Period
    whole_days: bool
    """Whether the last day of the previous period is whole although the cut lies in it: its rows are pruned."""

    @property
    def parted(self) -> date | None:
        """Return the day that counts only up to the cut, None if all days count whole."""
        last, end = self.previous.last_day, self.previous.end
        return None if end == midnight(last) + DAY else last


def cut(whole: Period, now: datetime, ledger: LedgerState) -> Cut:
    """Return where both periods end, to the second like block times."""
    now = now.replace(microsecond=0)
    current, previous = whole.to_date(now), whole.previous().cut_like(whole, now)
    result = Cut(current, previous, whole_days=False)
    if result.parted and previous.start < previous.end and ledger.is_closed(result.parted):
        return Cut(current, replace(previous, end=midnight(result.parted) + DAY), whole_days=True)
    return result


def parts(cuts: Iterable[Cut]) -> dict[date, DaySums]:
    """Return the revenue of the parted days up to their cuts.

    One query over the rows of those days, none if there are none.
    """
    instants = {one.parted: one.previous.end for one in cuts if one.parted}
    if not instants:
        return {}
    return {row["day"]: row for row in Payment.objects.until(instants).sums_by_day()}


def to_date(cut: Cut, totals: Totals, parts: Mapping[date, DaySums]) -> Comparison:
    """Return the sums of both periods. `totals` cover both, `parts` hold the parted day."""
    now = totals.of(Period.of_days(cut.current.first_day, cut.current.end.date()).days())
    before = _with_part(totals, cut.parted, parts).of(cut.previous.days())
    return Comparison(Part(cut.current, now), Part(cut.previous, before), cut.whole_days)


def _with_part(totals: Totals, day: date | None, parts: Mapping[date, DaySums]) -> Totals:
    """Return the totals with only part of the day."""
    if day is None:
        return totals
    others = dict(totals.rows)
    others.pop(day, None)
    return replace(totals, rows=others | {key: row for key, row in parts.items() if key == day})


def rolling(period: Period, now: datetime) -> Comparison | None:
    """Compare a span of at least a day that ends now with the same time before it. Four queries.

    None if the rows of a day to cut are pruned.
    """
    previous = period.previous()
    totals = Totals.load(previous.first_day, now.date())
    cuts = {instant.date(): instant for instant in (previous.start, period.start)}
    if any(map(totals.ledger.is_closed, cuts)):
        return None
    received = {row["day"]: row for row in Payment.objects.until(cuts).sums_by_day()}
    since = _without(totals, period.first_day, received)
    until = _without(_with_part(totals, period.first_day, received), previous.first_day, received)
    return Comparison(Part(period, since.of(period.days())), Part(previous, until.of(previous.days())))


def _without(totals: Totals, day: date, parts: Mapping[date, DaySums]) -> Totals:
    """Return the totals without the day's revenue up to its cut."""
    if day not in parts or day not in totals.rows:
        return totals
    row = {key: value - parts[day][key] if key in SUMMED else value for key, value in totals.rows[day].items()}
    return replace(totals, rows={**totals.rows, day: row})


def of_period(period: Period, now: datetime) -> Comparison:
    """Compare a past calendar period with the one before it, both whole. Two queries."""
    previous = period.previous()
    totals = Totals.load(previous.first_day, period.last_day)
    current, before = (
        Part(side, totals.of(side.days()), complete=all(totals.ledger.has_all_of(day, now) for day in side.days()))
        for side in (period, previous)
    )
    return Comparison(current, before)


def until_now(period: Period, now: datetime) -> tuple[Comparison, Part, LedgerState]:
    """Compare ongoing days with the same time before them, and with all those previous days. Three queries."""
    previous = period.previous()
    totals = Totals.load(previous.first_day, now.date())
    one = cut(period, now, totals.ledger)
    complete = all(totals.ledger.has_all_of(day, now) for day in previous.days())
    whole = Part(previous, totals.of(previous.days()), complete=complete)
    return to_date(one, totals, parts([one])), whole, totals.ledger
