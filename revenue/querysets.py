"""Questions to the ledger's tables, as chainable words."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

if TYPE_CHECKING:
    from revenue.models import DailyTotal, Payment, Quarantined  # noqa: F401


class PaymentQuerySet(models.QuerySet["Payment"]):
    def newest_first(self) -> PaymentQuerySet:
        return self.order_by("-paid_at", "-id")

    def between(self, first: date, last: date) -> PaymentQuerySet:
        """Payments of the UTC days `first` to `last`, both included."""
        return self.filter(day__gte=first, day__lte=last)

    def in_window(self, address: str, low: int, high: int) -> PaymentQuerySet:
        """Payments to the address in the blocks `low` to `high`, both included."""
        return self.filter(address=address, height__gte=low, height__lte=high)

    def unpriced(self) -> PaymentQuerySet:
        return self.filter(usd_micro=None)

    def unnamed(self) -> PaymentQuerySet:
        """Payments with a message hash whose app is not known yet."""
        return self.filter(app=None, kind="app")

    def insert(self, payments: list[Payment]) -> None:
        """Store new rows; IntegrityError when one is there already."""
        self.bulk_create(payments, batch_size=500)

    def day_sums(self) -> models.QuerySet[Any, dict[str, Any]]:
        """One row a day and address: what a DailyTotal holds."""
        return (
            self.order_by()
            .values("day", "address")
            .annotate(
                revenue_sat=Sum("amount_sat"),
                payments=Count("id"),
                priced=Count("usd_micro"),  # before usd_micro, whose name hides the column
                usd_micro=Coalesce(Sum("usd_micro"), 0),
            )
        )


class DailyTotalQuerySet(models.QuerySet["DailyTotal"]):
    def between(self, first: date, last: date) -> DailyTotalQuerySet:
        return self.filter(day__gte=first, day__lte=last)

    def by_day(self) -> models.QuerySet[Any, dict[str, Any]]:
        """One row a day over all addresses, oldest first."""
        return (
            self.values("day")
            .annotate(
                revenue_sat=Sum("revenue_sat"),
                payments=Sum("payments"),
                usd_micro=Sum("usd_micro"),
                priced=Sum("priced"),
            )
            .order_by("day")
        )

    def summed(self) -> dict[str, int]:
        """Sums over all rows, zeros when there are none."""
        return self.aggregate(
            revenue_sat=Coalesce(Sum("revenue_sat"), 0),
            payments=Coalesce(Sum("payments"), 0),
            usd_micro=Coalesce(Sum("usd_micro"), 0),
            priced=Coalesce(Sum("priced"), 0),
        )


class QuarantineQuerySet(models.QuerySet["Quarantined"]):
    def due(self, now: datetime) -> QuarantineQuerySet:
        return self.filter(next_attempt_at__lte=now).order_by("next_attempt_at", "id")
