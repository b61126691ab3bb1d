"""Read payments for one thing: by day from stored sums, and the newest ones by index."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q, Sum

from dashboard.panels.payments.rows import listed
from deployments.models import DailySplit
from fluxtracker.periods import Bucket, split
from fluxtracker.ranges import Range
from fluxtracker.timestamps import parse_day
from revenue.models import ChangedDay, DailyTotal, Payment, PrunedPayment
from revenue.payments.filters import begins
from revenue.payments.pagination import COLUMNS
from revenue.period_totals import Sums
from revenue.querysets import SUMMED

NEWEST = 20  # payments on a page
CLOSE = 5  # names to suggest
LIKE = 6  # leading characters of an id that suggestions share
LONGEST = 128  # of a name; few are that long

Parts = tuple[int, ...]
"""Of SUMMED."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """Sums of one day or month. `is_open`: it is not over yet; `marked`: it is the subject of the page."""

    first: date
    last: date
    sums: Sums
    is_open: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Paid:
    """Payments for a thing by day with payments, oldest first."""

    days: dict[date, Parts]
    range: Range | None = None

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]]) -> Paid:
        """Add up rows of a day and SUMMED."""
        sums: dict[date, Parts] = {}
        for day, *parts in rows:
            sums[day] = tuple(map(sum, zip(sums[day], parts, strict=True))) if day in sums else tuple(parts)
        return cls({day: sums[day] for day in sorted(sums) if sums[day][1]})

    @property
    def total(self) -> Sums:
        return _sums(self.days.values())

    @property
    def ends(self) -> tuple[date, date] | None:
        """Return the first and the last day, None without a payment."""
        days = list(self.days)
        return (days[0], days[-1]) if days else None

    def within(self, limits: Range | None) -> Paid:
        """Return the payments in a range, or all without one."""
        if limits is None:
            return self
        return Paid({day: parts for day, parts in self.days.items() if limits.first <= day <= limits.last}, limits)

    def newest(self, enough: int = NEWEST) -> list[date]:
        """Return the last days that together have this many payments."""
        days: list[date] = []
        for day in reversed(self.days):
            if enough <= 0:
                break
            days.append(day)
            enough -= self.days[day][1]
        return days

    def months(self, today: date) -> list[Bar]:
        """Return every month of the range, or from the first payment to now, including empty ones."""
        if not self.days:
            return []
        first, last = next(iter(self.days)).replace(day=1), max(today, next(reversed(self.days)))
        if self.range:
            first, last = self.range.first, self.range.last
        by_month: dict[tuple[int, int], list[Parts]] = {}
        for day, parts in self.days.items():
            by_month.setdefault((day.year, day.month), []).append(parts)
        return [
            Bar(span.first, span.last, _sums(by_month.get((span.first.year, span.first.month), ())), span.cut)
            for span in split(first, last, Bucket.MONTH)
        ]


def _sums(rows: Iterable[Parts]) -> Sums:
    revenue_sat, payments, usd_micro, priced = map(sum, zip(*rows, strict=True)) if (rows := [*rows]) else (0, 0, 0, 0)
    return Sums(revenue_sat, payments, usd_micro if priced or not payments else None, payments - priced)


def by_sender(address: str) -> Paid:
    """Return what an address paid, from one index each of payments and pruned ones. Two queries."""
    return Paid.of([*_open(Q(from_address=address)), *_pruned(Q(from_address=address))])


def by_split(dimension: str, keys: Collection[str], which: Q) -> Paid:
    """Return payments for an app or owner, from the splits. Two queries, and two for days waiting for theirs.

    `which`: the condition for the same payments.
    """
    pending = set(ChangedDay.objects.values_list("day", flat=True))
    rows = DailySplit.objects.filter(dimension=dimension, key__in=keys).values_list("day", *SUMMED)
    kept = [row for row in rows if row[0] not in pending]
    if pending:
        among = which & Q(day__in=pending)
        kept += [*_open(among), *_pruned(among)]
    return Paid.of(kept)


def _open(which: Q) -> list[tuple[Any, ...]]:
    return [(row["day"], *(row[key] for key in SUMMED)) for row in Payment.objects.filter(which).sums_by_day()]


def _pruned(which: Q) -> list[tuple[Any, ...]]:
    rows = PrunedPayment.objects.filter(which).order_by().values_list("day")
    sums = {"sum_sat": Sum("amount_sat"), "sum_payments": Sum("payments"), "sum_micro": Sum("usd_micro")}
    return list(rows.annotate(**sums, sum_priced=Sum("priced")))


def newest(which: Q, days: Collection[date]) -> list[Row]:
    """Return the newest matching payments of these days, as in the list of payments. At most two queries."""
    if not days:
        return []
    return listed(list(Payment.objects.filter(which, day__in=days).newest_first().values(*COLUMNS)[:NEWEST]))


def outputs(which: Q) -> list[Row]:
    """Return all payments of a transaction or a block."""
    return listed(list(Payment.objects.filter(which).order_by("height", "id").values(*COLUMNS)))


def added(rows: Collection[Row]) -> Sums:
    """Return the sums of payments."""
    return _sums((row["amount_sat"], 1, row["usd_micro"] or 0, int(row["usd_micro"] is not None)) for row in rows)


def senders_like(address: str) -> list[str]:
    """Return senders with the same prefix."""
    return _like("from_address", address)


def transactions_like(txid: str) -> list[str]:
    """Return transactions with the same prefix."""
    return _like("txid", txid.lower())


def _like(column: str, text: str) -> list[str]:
    if len(text) < 4:
        return []
    values = Payment.objects.filter(begins(column, text[:LIKE])).order_by().values_list(column, flat=True)
    return sorted(values.distinct()[:CLOSE])


def first_day() -> date | None:
    return DailyTotal.objects.first_day()


def read_day(text: str, first: date | None, today: date) -> tuple[date | None, date | None]:
    """Return the day named by the text, None if it is not in the ledger, and the nearest one that is."""
    day = parse_day(text)
    if first is None:
        return None, None
    nearest = max(first, min(day or today, today))
    return (day if day == nearest else None), nearest


def around(height: int) -> tuple[int | None, int | None]:
    """Return the nearest blocks with payments below and above. Two queries."""
    heights = Payment.objects.order_by().values_list("height", flat=True)
    return (
        heights.filter(height__lt=height).order_by("-height").first(),
        heights.filter(height__gt=height).order_by("height").first(),
    )


def pruned_transaction(txid: str) -> PrunedPayment | None:
    """Return the remainder of a transaction with pruned payments."""
    return PrunedPayment.objects.filter(txid=txid).select_related("app").order_by("day").first()


def paid_at(rows: Collection[Row]) -> datetime:
    """Return the time of the block that holds the payments."""
    when: datetime = min(row["paid_at"] for row in rows)
    return when
