"""What part of all revenue something is."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from revenue.models import DailyTotal, LedgerState


def whole_revenue() -> int:
    """Satoshi of all payments that the ledger holds; those of closed days are not there any more."""
    closed = LedgerState.objects.values_list("closed_through", flat=True).first()
    totals = DailyTotal.objects.filter(day__gt=closed) if closed else DailyTotal.objects.all()
    return totals.summed()["revenue_sat"]


def share_percent(part: int, whole: int) -> Decimal | None:
    """Percent with 4 decimals; None when there is no whole."""
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.0001"), ROUND_HALF_EVEN) if whole else None
