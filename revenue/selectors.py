"""Select revenue by day and period, to date, and by app, from the daily totals.

To-date sums take whole days from the totals and sum rows on the day of the cut. If those rows are pruned, that day
counts as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import NamedTuple

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.expressions import Combinable

from fluxtracker.money import Pair
from fluxtracker.periods import DAY, Bucket, Period, is_fresh, midnight
from revenue.models import App, DailyTotal, LedgerState, Payment, Quarantined
from revenue.querysets import DailyTotalQuerySet

STALE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Sums:
    """What some days add up to. None: not known yet."""

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
class Part:
    """What a period adds up to. `complete`: each of its days is over, with every payment in."""

    period: Period
    sums: Sums
    complete: bool = False


@dataclass(frozen=True)
class Dollars(Pair):
    """Millionths, and how many payments have no price."""

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
        """Return the ledger's state. One query; two while there is a quarantine."""
        state = LedgerState.known()
        lacking = frozenset(Quarantined.objects.days() if state.has_quarantine else ())
        return cls(state.read_until, state.closed_through, state.complete_until, lacking)

    def knows(self, day: date) -> bool:
        """Return whether a completed sync has looked into the day: only then is no payment a 0."""
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
        """Return whether the day's rows are pruned and its total is frozen."""
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
        """Return the sums of the days. Unknown when there is no payment and no sync has looked into any of them."""
        days = list(days)
        rows = [self.rows[day] for day in days if day in self.rows]
        payments, priced = (sum(row[key] for row in rows) for key in ("payments", "priced"))
        if not payments and not any(map(self.ledger.knows, days)):
            return Sums(None, None, None, 0)
        usd = sum(row["usd_micro"] for row in rows) if priced or not payments else None
        return Sums(sum(row["revenue_sat"] for row in rows), payments, usd, payments - priced)

    def day(self, day: date, now: datetime) -> DayReport:
        return DayReport(day, self.of([day]), self.ledger.has_all_of(day, now))


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """A calendar period so far: against the whole one before, and against that one cut at the same elapsed time."""

    bucket: Bucket
    whole: Comparison
    to_date: Comparison
    ledger: Ledger
    now: datetime
    days: Sequence[DayReport] = ()
    """Oldest first."""

    @property
    def is_stale(self) -> bool:
        return self.ledger.is_stale(self.now)

    @property
    def count(self) -> int:
        return len(self.days)


def period_report(bucket: Bucket, now: datetime, days: int = 0) -> PeriodReport:
    """Return the report of the period that `now` lies in, and the last `days` days, today included."""
    today = now.date()
    totals = Totals.load(min(today - timedelta(days=days - 1), periods(bucket, now)[1].first_day), today)
    (report,) = period_reports([bucket], totals, now)
    return replace(report, days=daily(totals, today, days, now))


def period_reports(buckets: Iterable[Bucket], totals: Totals, now: datetime) -> list[PeriodReport]:
    """`totals` reach back to the earliest previous period. At most one query."""
    cuts = {bucket: cut(bucket, now, totals.ledger) for bucket in buckets}
    parted = parts(cuts.values())
    return [
        PeriodReport(bucket, compare(totals, bucket, now), to_date(one, totals, parted), totals.ledger, now)
        for bucket, one in cuts.items()
    ]


def daily(totals: Totals, today: date, days: int, now: datetime) -> list[DayReport]:
    """Return the last `days` days, today included, oldest first."""
    every = (today - timedelta(days=back) for back in range(days - 1, -1, -1))
    return [totals.day(day, now) for day in every]


def compare(totals: Totals, bucket: Bucket, now: datetime) -> Comparison:
    """Return the calendar period that `now` lies in, so far, against the whole one before."""
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
        """Return the day of which only the rows before the cut count; None when all days count whole."""
        last, end = self.previous.last_day, self.previous.end
        return None if end == midnight(last) + DAY else last


def cut(bucket: Bucket, now: datetime, ledger: Ledger) -> Cut:
    """Return where the periods of `now` end, to the second: payments have the whole seconds of their blocks."""
    now = now.replace(microsecond=0)
    whole = Period.containing(bucket, now)
    current, previous = whole.to_date(now), whole.previous().cut_like(whole, now)
    found = Cut(current, previous, whole_days=False)
    if found.parted and previous.start < previous.end and ledger.is_closed(found.parted):
        return Cut(current, replace(previous, end=midnight(found.parted) + DAY), whole_days=True)
    return found


def parts(cuts: Iterable[Cut]) -> dict[date, DaySums]:
    """Return what the parted days had received at their cuts.

    One query over the rows of those days; none without any.
    """
    instants = {one.parted: one.previous.end for one in cuts if one.parted}
    if not instants:
        return {}
    return {row["day"]: row for row in Payment.objects.until(instants).sums_by_day()}


def to_date(cut: Cut, totals: Totals, parts: Mapping[date, DaySums]) -> Comparison:
    """Sums of both sides. `totals` reach from the previous period's first day to today, `parts` hold the parted day."""
    now = totals.of(Period.of_days(cut.current.first_day, cut.current.end.date()).days())
    before = _with_part(totals, cut, parts).of(cut.previous.days())
    return Comparison(Part(cut.current, now), Part(cut.previous, before), cut.whole_days)


def _with_part(totals: Totals, cut: Cut, parts: Mapping[date, DaySums]) -> Totals:
    if cut.parted is None:
        return totals
    rows = {day: row for day, row in totals.rows.items() if day != cut.parted}
    if cut.parted in parts:
        rows[cut.parted] = parts[cut.parted]
    return replace(totals, rows=rows)


COLUMNS = {
    "app": "name",
    "payments": "payments",
    "flux": "revenue_sat",
    "usd": "usd_micro",
    "first": "first_paid_at",
    "last": "last_paid_at",
}
APP_ORDERS = [f"{sign}{key}" for key in COLUMNS for sign in ("-", "")]
DEFAULT_APP_ORDER = "-flux"


def apps(search: str = "", sort: str = DEFAULT_APP_ORDER) -> QuerySet[App]:
    """Apps with payments whose name has `search` in it. The name decides between equals."""
    found = App.objects.filter(payments__gt=0).order_by(*_order(sort))
    return found.filter(name__icontains=search) if search else found


def _order(sort: str) -> list[str | Combinable]:
    key = sort.removeprefix("-")
    order: list[str | Combinable] = [f"{'-' if sort.startswith('-') else ''}{COLUMNS[key]}"]
    if key == "usd":  # without any price: last, whatever the direction
        order.insert(0, ExpressionWrapper(Q(priced=0), output_field=BooleanField()))
    return order if key == "app" else [*order, "name"]


def transaction_url(txid: str) -> str:
    """Return the transaction's page at the explorer whose API is configured."""
    return f"{settings.FLUX_EXPLORER_URL.removesuffix('/api')}/tx/{txid}"


Stamp = tuple[int, datetime | None, int | None, date | None]


def ledger_stamp() -> Stamp | None:
    """Changes with every change of the ledger, and with every completed sync. One small query."""
    return LedgerState.objects.values_list("version", "completed_at", "tip_height", "closed_through").first()


def open_totals() -> DailyTotalQuerySet:
    """Return the totals of the days whose rows are not pruned. One query, for where those begin."""
    return DailyTotal.objects.filter(day__gt=LedgerState.last_closed_day() or date.min)


class DayRows(NamedTuple):
    """The rows of one address on one day."""

    day: date
    address: str
    payments: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: `skip` rows into the first of the `days` it lies on."""

    days: tuple[date, ...]
    skip: int
    rows: int
    """All rows on those days."""


@dataclass(frozen=True, slots=True)
class OpenDays:
    """Row counts by day and address, newest day first."""

    rows: tuple[DayRows, ...]

    @classmethod
    def load(cls) -> OpenDays:
        totals = open_totals().filter(payments__gt=0).order_by("-day")
        return cls(tuple(map(DayRows._make, totals.values_list("day", "address", "payments"))))

    def where(self, test: Callable[[DayRows], bool]) -> OpenDays:
        return OpenDays(tuple(filter(test, self.rows)))

    def between(self, first: date | None, last: date | None) -> OpenDays:
        if first is None and last is None:
            return self
        low, high = first or date.min, last or date.max
        return self.where(lambda row: low <= row.day <= high)

    def at(self, addresses: Collection[str]) -> OpenDays:
        return self.where(lambda row: row.address in addresses)

    @property
    def total(self) -> int:
        return sum(row.payments for row in self.rows)

    @property
    def addresses(self) -> set[str]:
        return {row.address for row in self.rows}

    def by_day(self) -> list[tuple[date, int]]:
        """Return rows a day, newest first."""
        days: Counter[date] = Counter()
        for row in self.rows:
            days[row.day] += row.payments
        return sorted(days.items(), reverse=True)

    def place(self, offset: int, limit: int, *, oldest_first: bool) -> Place:
        """Return the days on which the rows from `offset` on lie, in the order asked for."""
        days = self.by_day()
        return _place(reversed(days) if oldest_first else days, offset, limit)

    def since(self, rows: int) -> datetime | None:
        """Return an instant so that at least `rows` rows are not older; None when there are not so many."""
        day = _day_of(self.by_day(), rows)
        return None if day is None else midnight(day)

    def until(self, rows: int) -> datetime | None:
        """Return an instant so that at least `rows` rows are older; None when there are not so many."""
        day = _day_of(reversed(self.by_day()), rows)
        return None if day is None else midnight(day + DAY)


def _day_of(days: Iterable[tuple[date, int]], rows: int) -> date | None:
    """Return the day on which the row of this number lies; None when there are not so many."""
    seen = accumulate(days, lambda before, day: (day[0], before[1] + day[1]))
    return next((day for day, payments in seen if payments >= rows), None)


def _place(days: Iterable[tuple[date, int]], offset: int, limit: int) -> Place:
    chosen: list[date] = []
    before = rows = 0
    for day, payments in days:
        if chosen or before + payments > offset:
            chosen.append(day)
            rows += payments
        else:
            before += payments
        if before + rows >= offset + limit:
            break
    return Place(tuple(chosen), offset - before, rows)
