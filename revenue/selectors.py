"""Select apps, payments as facts, days of open rows, and what answers are stamped with."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
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
from fluxtracker.money import flux
from fluxtracker.periods import DAY, midnight
from revenue.models import App, DailyTotal, LedgerState, Payment, PrunedPayment
from revenue.querysets import SUMMED, DailyTotalQuerySet

ROWS_AT_ONCE = 2_000
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


def pruned_details_note() -> str:
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
