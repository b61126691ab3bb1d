"""Query the ledger's tables with chainable methods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, cast

from django.db import connections, models
from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Coalesce

if TYPE_CHECKING:
    from revenue.models import DailyTotal, Payment, Quarantined, RemovedPayment  # noqa: F401

    Rows = models.QuerySet[Any, dict[str, Any]]


INSERTED = (
    "paid_at", "day", "txid", "vout", "address", "from_address", "amount_sat", "height", "block_hash", "kind",
    "message_hash", "app_id", "app_type", "source",
)  # fmt: skip
SUMMED = ("revenue_sat", "payments", "usd_micro", "priced")  # of a DailyTotal
REMOVED = ("txid", "vout", "amount_sat", "day", "price_usd", "usd_micro")


class PaymentQuerySet(models.QuerySet["Payment"]):
    def newest_first(self) -> PaymentQuerySet:
        return self.order_by("-paid_at", "-id")

    def in_window(self, address: str, low: int, high: int) -> PaymentQuerySet:
        """Return payments to the address in blocks `low` to `high`, inclusive."""
        return self.filter(address=address, height__gte=low, height__lte=high)

    def unpriced(self) -> PaymentQuerySet:
        return self.filter(usd_micro=None)

    def unnamed(self) -> PaymentQuerySet:
        """Return payments with a message hash and no known app."""
        return self.filter(app=None, kind="app")

    def insert(self, rows: list[tuple[Any, ...]]) -> None:
        """Insert new rows of the columns INSERTED, without a price; IntegrityError if one exists.

        One statement: three times as fast as bulk_create, which builds SQL for every few rows. On PostgreSQL, COPY is
        five times as fast as one INSERT per row.
        """
        if not rows:
            return
        connection = connections[self.db]
        instant, to_day = connection.ops.adapt_datetimefield_value, connection.ops.adapt_datefield_value
        rows = [(instant(paid_at), to_day(day), *others) for paid_at, day, *others in rows]
        names = ", ".join(map(connection.ops.quote_name, INSERTED))
        places = ", ".join(["%s"] * len(INSERTED))
        table = connection.ops.quote_name(self.model._meta.db_table)
        with connection.wrap_database_errors, connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            else:
                cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608  our own names

    def until(self, instants: Mapping[date, datetime]) -> PaymentQuerySet:
        """Return payments of each of these UTC days before its instant.

        The days appear twice: the first condition alone makes the engines use the index by day.
        """
        parts = (Q(day=day, paid_at__lt=instant) for day, instant in instants.items())
        return self.filter(day__in=list(instants)).filter(reduce(or_, parts, Q(pk__in=[])))

    def by_transaction(self) -> Rows:
        """Return one row per transaction and day, as in PrunedPayment."""
        sums: dict[str, Any] = {"payments": Count("id")}
        sums |= {"priced": Count("usd_micro")}  # before usd_micro, whose name hides the column
        sums |= {"usd_micro": Coalesce(Sum("usd_micro"), 0), "amount_sat": Sum("amount_sat"), "app_id": Min("app")}
        same = {name: Min(name) for name in ("paid_at", "height", "from_address", "kind", "message_hash")}
        return cast("Rows", self.order_by().values("txid", "day").annotate(**sums, **same))

    def day_sums(self) -> Rows:
        """Return one row per day and address, as in DailyTotal."""
        return cast("Rows", self.order_by().values("day", "address").annotate(**_sums()))

    def sums_by_day(self) -> Rows:
        """Return one row per day over all addresses."""
        return cast("Rows", self.order_by().values("day").annotate(**_sums()))


def _sums() -> dict[str, Any]:
    return {
        "revenue_sat": Sum("amount_sat"),
        "payments": Count("id"),
        "priced": Count("usd_micro"),  # before usd_micro, whose name hides the column
        "usd_micro": Coalesce(Sum("usd_micro"), 0),
    }


class RemovedPaymentQuerySet(models.QuerySet["RemovedPayment"]):
    def keep(self, payments: PaymentQuerySet) -> None:
        """Store the value of these payments before they are deleted."""
        priced = payments.filter(vout__isnull=False, usd_micro__isnull=False)
        self.bulk_create(
            [self.model(**row) for row in priced.values(*REMOVED)],
            update_conflicts=True,
            unique_fields=REMOVED[:2],
            update_fields=REMOVED[2:],
        )


class DailyTotalQuerySet(models.QuerySet["DailyTotal"]):
    def between(self, first: date, last: date) -> DailyTotalQuerySet:
        return self.filter(day__gte=first, day__lte=last)

    def first_day(self) -> date | None:
        """Return the first day of these totals; before the ledger's, nothing is known."""
        first: date | None = self.aggregate(first=Min("day"))["first"]
        return first

    def by_day(self) -> Rows:
        """Return one row per day over all addresses, oldest first."""
        return cast("Rows", self.values("day").annotate(**{name: Sum(name) for name in SUMMED}).order_by("day"))

    def sum_of(self, column: str) -> int:
        """Return the sum over all rows, 0 if empty."""
        total: int = self.aggregate(sum=Coalesce(Sum(column), 0))["sum"]
        return total


class QuarantineQuerySet(models.QuerySet["Quarantined"]):
    def due(self, now: datetime) -> QuarantineQuerySet:
        return self.filter(next_attempt_at__lte=now).order_by("next_attempt_at", "id")

    def days(self) -> set[date]:
        """Return the UTC days that lack a transaction, where its block time is known."""
        return {paid_at.date() for paid_at in self.exclude(paid_at=None).values_list("paid_at", flat=True) if paid_at}
