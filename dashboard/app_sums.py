"""What one app paid, as the list of apps and an app's own card show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard.share import share_percent
from revenue.models import App


@dataclass(frozen=True, slots=True)
class AppSums:
    """`usd_micro` is of the priced payments, None when none is. `share`: of all revenue, in words."""

    name: str
    payments: int
    revenue_sat: int
    usd_micro: int | None
    unpriced: int
    first_paid_at: datetime | None
    last_paid_at: datetime | None
    share: str

    @classmethod
    def of(cls, app: App, whole_sat: int) -> AppSums:
        return cls(
            name=app.name,
            payments=app.payments,
            revenue_sat=app.revenue_sat,
            usd_micro=app.usd_micro if app.priced else None,
            unpriced=app.payments - app.priced,
            first_paid_at=app.first_paid_at,
            last_paid_at=app.last_paid_at,
            share=share_words(app.revenue_sat, whole_sat),
        )


def share_words(part_sat: int, whole_sat: int) -> str:
    """`12.34 %`; what is more than nothing is not shown as zero."""
    percent = share_percent(part_sat, whole_sat)
    if percent is None:
        return ""
    return "< 0.01 %" if 0 < percent < Decimal("0.005") else f"{percent:.2f} %"
