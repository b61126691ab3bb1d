"""Select revenue by day and period, to date, and by app, from the daily totals.

To-date sums use totals for whole days and rows for the day of the cut. If those rows are pruned, that day counts as
a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, Count, ExpressionWrapper, Min, Q, QuerySet, Sum
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.urls import reverse

from fluxtracker.batches import chunks
from fluxtracker.formatting import coins, plural
from fluxtracker.money import Pair, flux
from fluxtracker.periods import DAY, Bucket, Period, midnight
from revenue.models import App, DailyTotal, LedgerState, Payment, PrunedPayment
from revenue.querysets import SUMMED, DailyTotalQuerySet

ROWS_AT_ONCE = 2_000


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
    """Return apps with payments and `search` in their name. The name breaks ties."""
    queryset = App.objects.filter(payments__gt=0).order_by(*_order(sort))
    return queryset.filter(name__icontains=search) if search else queryset


def _order(sort: str) -> list[str | Combinable]:
    key = sort.removeprefix("-")
    order: list[str | Combinable] = [f"{'-' if sort.startswith('-') else ''}{COLUMNS[key]}"]
    if key == "usd":  # apps without a price come last in either direction
        order.insert(0, ExpressionWrapper(Q(priced=0), output_field=BooleanField()))
    return order if key == "app" else [*order, "name"]


def transaction_url(txid: str) -> str:
    """Return the transaction's page at the configured explorer; in a demo, its rows in our API."""
    if settings.DEMO:  # no explorer has a simulated transaction
        return f"{reverse('transactions')}?search={txid}"
    return f"{settings.FLUX_EXPLORER_URL.removesuffix('/api')}/tx/{txid}"


class Fact(NamedTuple):
    """Part of a payment that survives pruning; then all outputs of its transaction are one."""

    day: date
    height: int
    txid: str
    from_address: str | None
    kind: str
    message_hash: str
    app_id: int | None
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int


FACT = ("day", "height", "txid", "from_address", "kind", "message_hash", "app_id")


class MessagePayment(NamedTuple):
    """Part of a payment for an app message that survives pruning."""

    message_hash: str
    txid: str
    paid_at: datetime
    height: int
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int


def facts(days: Collection[date]) -> Iterator[Fact]:
    """Yield payments of these days, including pruned ones. Two queries per few thousand days."""
    for batch in chunks(sorted(days)):
        yield from map(Fact._make, _kept(Q(day__in=batch), FACT))


def facts_of(txids: Collection[str]) -> Iterator[Fact]:
    """Yield payments of these transactions, including pruned ones."""
    for batch in chunks(sorted(txids)):
        yield from map(Fact._make, _kept(Q(txid__in=batch), FACT))


FOR_MESSAGES = Q(kind=Payment.Kind.APP)


def message_payments(which: Q) -> Iterator[MessagePayment]:
    """Yield the payments for app messages among these, including pruned ones. Two queries."""
    yield from map(MessagePayment._make, _kept(which & FOR_MESSAGES, MessagePayment._fields[:4]))


def is_hash_paid(days: Collection[date], column: str = "hash") -> Q:
    """Return the condition that the column is the hash of a message paid for on these days, pruned or not."""
    condition = Q()
    for model in (Payment, PrunedPayment):
        rows = model.objects.filter(FOR_MESSAGES, day__in=days).order_by()
        condition |= Q(**{f"{column}__in": rows.values("message_hash")})
    return condition


def _kept(which: Q, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield these columns and then SUMMED, in the order of Fact, including pruned payments."""
    rows: Any = Payment.objects.filter(which).values_list(*columns, "amount_sat", "usd_micro")
    for *values, sat, usd_micro in rows.iterator(ROWS_AT_ONCE):
        yield (*values, sat, 1, usd_micro or 0, int(usd_micro is not None))
    pruned = PrunedPayment.objects.filter(which)
    yield from pruned.values_list(*columns, "amount_sat", "payments", "usd_micro", "priced").iterator(ROWS_AT_ONCE)


def day_batches(days: Collection[date], most: int) -> Iterator[list[date]]:
    """Yield batches of days, newest first, each with at most this many payments or one day. One query."""
    totals = DailyTotal.objects.filter(day__in=days).order_by().values_list("day").annotate(payments=Sum("payments"))
    payments, batch, size = dict(totals), list[date](), 0
    for day in sorted(days, reverse=True):
        if batch and size + payments.get(day, 0) > most:
            yield batch
            batch, size = [], 0
        batch.append(day)
        size += payments.get(day, 0)
    if batch:
        yield batch


Stamp = tuple[int, datetime | None, int | None, date | None]


def ledger_stamp() -> Stamp | None:
    """Return a stamp that changes with the ledger and with every completed sync. One small query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version, completed_at, tip_height, closed_through FROM revenue_ledgerstate")
        row: Stamp | None = cursor.fetchone()
    return row


def read_until() -> datetime | None:
    """Return when the chain was last known. One query."""
    return LedgerState.known().read_until


@dataclass(frozen=True, slots=True)
class Place:
    """Start of a page: `skip` rows into the first of the `days` it lies on."""

    days: tuple[date, ...]
    skip: int
    rows: int
    """All rows on those days."""


def open_totals() -> DailyTotalQuerySet:
    """Return the totals of unpruned days. One query, for the first such day."""
    closed_through = LedgerState.last_closed_day()
    return DailyTotal.objects.filter(day__gt=closed_through) if closed_through else DailyTotal.objects.all()


@dataclass(frozen=True)
class OpenDays:
    """Payments of unpruned days, counted lazily and once."""

    totals: DailyTotalQuerySet = field(default_factory=open_totals)

    def between(self, first: date | None, last: date | None) -> OpenDays:
        if first is None and last is None:
            return self
        return OpenDays(self.totals.between(first or date.min, last or date.max))

    def at(self, addresses: Collection[str]) -> OpenDays:
        return OpenDays(self.totals.filter(address__in=addresses))

    @cached_property
    def sums(self) -> tuple[int, ...]:
        """Return SUMMED over all days."""
        row = self.totals.aggregate(**{f"all_{name}": Coalesce(Sum(name), 0) for name in SUMMED})
        return tuple(row[f"all_{name}"] for name in SUMMED)

    @property
    def total(self) -> int:
        return self.sums[1]

    @property
    def addresses(self) -> set[str]:
        return set(self.totals.values_list("address", flat=True).distinct())

    @cached_property
    def by_day(self) -> list[tuple[date, int]]:
        """Return payments per day, newest first."""
        return list(self.totals.order_by("-day").values_list("day").annotate(rows=Sum("payments")))

    def place(self, offset: int, limit: int, *, oldest_first: bool) -> Place:
        """Return the days of the rows from `offset` on, in the requested order."""
        chosen: list[date] = []
        before = rows = 0
        for day, payments in reversed(self.by_day) if oldest_first else self.by_day:
            if chosen or before + payments > offset:
                chosen.append(day)
                rows += payments
            else:
                before += payments
            if before + rows >= offset + limit:
                break
        return Place(tuple(chosen), offset - before, rows)

    def since(self, rows: int) -> datetime | None:
        """Return an instant with at least `rows` rows from it on, None if there are fewer."""
        days = self.place(rows - 1, 1, oldest_first=False).days
        return midnight(days[0]) if days else None

    def until(self, rows: int) -> datetime | None:
        """Return an instant with at least `rows` older rows, None if there are fewer."""
        days = self.place(rows - 1, 1, oldest_first=True).days
        return midnight(days[0] + DAY) if days else None


UNKEPT = (
    "An earlier release pruned {payments} of {days} without keeping senders, apps and owners: "
    "how much of their {flux} FLUX belongs here is not known."
)


def unkept() -> str:
    """Describe days without transaction details; empty if all are stored. Three small queries.

    Days are pruned oldest first: the first day with stored transactions ends those without.
    """
    closed = LedgerState.known().closed_through
    first = PrunedPayment.objects.aggregate(first=Min("day"))["first"]
    if closed is None:
        return ""
    end = min(closed, first - timedelta(days=1)) if first else closed
    rows = DailyTotal.objects.filter(day__lte=end, payments__gt=0)
    lost = rows.aggregate(payments=Sum("payments"), sat=Sum("revenue_sat"), days=Count("day", distinct=True))
    if not lost["payments"]:
        return ""
    payments, days = plural(lost["payments"], "payment"), plural(lost["days"], "day")
    return UNKEPT.format(payments=payments, days=days, flux=coins(flux(lost["sat"])))
