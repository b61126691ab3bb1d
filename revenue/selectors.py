"""Select revenue by day and period, to date, and by app, from the daily totals.

To-date sums take whole days from the totals and sum rows on the day of the cut. If those rows are pruned, that day
counts as a whole.
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
    """Sums of some days. None: not known yet."""

    revenue_sat: int | None
    payments: int | None
    usd_micro: int | None
    """Sum over the priced payments; None when there are payments and none is priced."""
    usd_missing: int
    """Number of payments without a price yet."""


@dataclass(frozen=True, slots=True)
class DayReport:
    day: date
    sums: Sums
    complete: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Sums of a period. `complete`: each of its days is over, with every payment in."""

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
        """At most three queries."""
        with connection.cursor() as cursor:
            cursor.execute(DAYS, [first, last])
            rows = {day: dict(zip(SUMMED, sums, strict=True)) for day, *sums in cursor.fetchall()}
        return cls(rows, LedgerState.known())

    def of(self, days: Iterable[date]) -> Sums:
        """Return the sums of the days. Unknown when there is no payment and no sync has looked into any of them."""
        days = list(days)
        rows = [row for day in days if (row := self.rows.get(day))]
        return self._sums(rows[0] if len(rows) == 1 else _added(rows), days)

    def day(self, day: date, now: datetime) -> DayReport:
        return DayReport(day, self._sums(self.rows.get(day, NOTHING), [day]), self.ledger.has_all_of(day, now))

    def _sums(self, found: Mapping[str, int], days: Collection[date]) -> Sums:
        payments, priced = found["payments"], found["priced"]
        if not payments and not any(map(self.ledger.knows, days)):
            return Sums(None, None, None, 0)
        usd_micro = found["usd_micro"] if priced or not payments else None
        return Sums(found["revenue_sat"], payments, usd_micro, payments - priced)


def _added(rows: Collection[Mapping[str, int]]) -> dict[str, int]:
    return {key: sum(row[key] for row in rows) for key in SUMMED}


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """A calendar period so far: against the whole one before, and against that one cut at the same elapsed time."""

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
    """`totals` reach back to the earliest previous period. At most one query."""
    cuts = {bucket: cut(Period.containing(bucket, now), now, totals.ledger) for bucket in buckets}
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


def cut(whole: Period, now: datetime, ledger: LedgerState) -> Cut:
    """Return where a period and the one before end, to the second: payments have the whole seconds of their blocks."""
    now = now.replace(microsecond=0)
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
    before = _with_part(totals, cut.parted, parts).of(cut.previous.days())
    return Comparison(Part(cut.current, now), Part(cut.previous, before), cut.whole_days)


def _with_part(totals: Totals, day: date | None, parts: Mapping[date, DaySums]) -> Totals:
    """Return the totals with only a part of the day."""
    if day is None:
        return totals
    others = dict(totals.rows)
    others.pop(day, None)
    return replace(totals, rows=others | {key: row for key, row in parts.items() if key == day})


def rolling(period: Period, now: datetime) -> Comparison | None:
    """Return a stretch of at least a day that ends now against as much time before it. Four queries.

    None where the rows of a day that is cut are pruned: only whole days are known of it.
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
    """Return the totals without what the day had received at its cut."""
    if day not in parts or day not in totals.rows:
        return totals
    row = {key: value - parts[day][key] if key in SUMMED else value for key, value in totals.rows[day].items()}
    return replace(totals, rows={**totals.rows, day: row})


def of_period(period: Period, now: datetime) -> Comparison:
    """Return a calendar period that is over against the one before it, both whole. Two queries."""
    previous = period.previous()
    totals = Totals.load(previous.first_day, period.last_day)
    current, before = (
        Part(side, totals.of(side.days()), complete=all(totals.ledger.has_all_of(day, now) for day in side.days()))
        for side in (period, previous)
    )
    return Comparison(current, before)


def until_now(period: Period, now: datetime) -> tuple[Comparison, Part, LedgerState]:
    """Return some days that go on against as much time before them, and all of those days before. Three queries."""
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
    """Return the transaction's page at the explorer whose API is configured; of a demo, its rows in our API."""
    if settings.DEMO:  # no explorer knows a simulated transaction
        return f"{reverse('transactions')}?search={txid}"
    return f"{settings.FLUX_EXPLORER_URL.removesuffix('/api')}/tx/{txid}"


class Fact(NamedTuple):
    """Kept part of a payment, also once it is pruned: then all outputs of its transaction are one."""

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
    """Kept part of a payment for an app message."""

    message_hash: str
    txid: str
    paid_at: datetime
    height: int
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int


def facts(days: Collection[date]) -> Iterator[Fact]:
    """Yield the payments of these days, pruned ones included. Two queries for each few thousand days."""
    for some in chunks(sorted(days)):
        yield from map(Fact._make, _kept(Q(day__in=some), FACT))


def facts_of(txids: Collection[str]) -> Iterator[Fact]:
    """Yield the payments of these transactions, pruned ones included."""
    for some in chunks(sorted(txids)):
        yield from map(Fact._make, _kept(Q(txid__in=some), FACT))


FOR_MESSAGES = Q(kind=Payment.Kind.APP)


def message_payments(which: Q) -> Iterator[MessagePayment]:
    """Yield those of these payments that are for app messages, pruned ones included. Two queries."""
    yield from map(MessagePayment._make, _kept(which & FOR_MESSAGES, MessagePayment._fields[:4]))


def is_hash_paid(days: Collection[date], column: str = "hash") -> Q:
    """Select rows whose column is the hash of a message that was paid for on these days, also by pruned payments."""
    found = Q()
    for model in (Payment, PrunedPayment):
        rows = model.objects.filter(FOR_MESSAGES, day__in=days).order_by()
        found |= Q(**{f"{column}__in": rows.values("message_hash")})
    return found


def _kept(which: Q, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield these columns of payments, pruned ones included, and after them SUMMED in the order of Fact."""
    rows: Any = Payment.objects.filter(which).values_list(*columns, "amount_sat", "usd_micro")
    for *told, sat, usd_micro in rows.iterator(ROWS_AT_ONCE):
        yield (*told, sat, 1, usd_micro or 0, int(usd_micro is not None))
    pruned = PrunedPayment.objects.filter(which)
    yield from pruned.values_list(*columns, "amount_sat", "payments", "usd_micro", "priced").iterator(ROWS_AT_ONCE)


def day_batches(days: Collection[date], most: int) -> Iterator[list[date]]:
    """Yield the newest days first, as many at a time as have at most so many payments, or one. One query."""
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
    """Changes with every change of the ledger, and with every completed sync. One small query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version, completed_at, tip_height, closed_through FROM revenue_ledgerstate")
        found: Stamp | None = cursor.fetchone()
    return found


def read_until() -> datetime | None:
    """Return up to when the chain is known. One query."""
    return LedgerState.known().read_until


@dataclass(frozen=True, slots=True)
class Place:
    """Start of a page: `skip` rows into the first of the `days` it lies on."""

    days: tuple[date, ...]
    skip: int
    rows: int
    """All rows on those days."""


def open_totals() -> DailyTotalQuerySet:
    """Return the totals of the days whose rows are not pruned. One query, for where those begin."""
    closed_through = LedgerState.last_closed_day()
    return DailyTotal.objects.filter(day__gt=closed_through) if closed_through else DailyTotal.objects.all()


@dataclass(frozen=True)
class OpenDays:
    """Number of payments of days whose rows are not pruned. Reads only what is asked for, and that once."""

    totals: DailyTotalQuerySet = field(default_factory=open_totals)

    def between(self, first: date | None, last: date | None) -> OpenDays:
        if first is None and last is None:
            return self
        return OpenDays(self.totals.between(first or date.min, last or date.max))

    def at(self, addresses: Collection[str]) -> OpenDays:
        return OpenDays(self.totals.filter(address__in=addresses))

    @cached_property
    def sums(self) -> tuple[int, ...]:
        """Return SUMMED over all of them."""
        found = self.totals.aggregate(**{f"all_{name}": Coalesce(Sum(name), 0) for name in SUMMED})
        return tuple(found[f"all_{name}"] for name in SUMMED)

    @property
    def total(self) -> int:
        return self.sums[1]

    @property
    def addresses(self) -> set[str]:
        return set(self.totals.values_list("address", flat=True).distinct())

    @cached_property
    def by_day(self) -> list[tuple[date, int]]:
        """Return payments a day, newest first."""
        return list(self.totals.order_by("-day").values_list("day").annotate(rows=Sum("payments")))

    def place(self, offset: int, limit: int, *, oldest_first: bool) -> Place:
        """Return the days on which the rows from `offset` on lie, in the order asked for."""
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
        """Return an instant so that at least `rows` rows are not older; None when there are not so many."""
        days = self.place(rows - 1, 1, oldest_first=False).days
        return midnight(days[0]) if days else None

    def until(self, rows: int) -> datetime | None:
        """Return an instant so that at least `rows` rows are older; None when there are not so many."""
        days = self.place(rows - 1, 1, oldest_first=True).days
        return midnight(days[0] + DAY) if days else None


UNKEPT = (
    "An earlier release pruned {payments} of {days} and kept no senders, apps and owners of them: "
    "what of their {flux} FLUX belongs here is not known."
)


def unkept() -> str:
    """Return what is not known of any sender, app or owner, in words; empty where all is kept. Three small queries.

    Days are pruned oldest first: the first day of which transactions are kept ends those of which none are.
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
