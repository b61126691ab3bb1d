"""One app's payments in sum and by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Sum

from dashboard.app_sums import AppSums
from dashboard.share import whole_revenue
from fluxtracker import figures, money
from revenue.models import App, Payment

LONGEST = 366  # days of the curve
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AppCard:
    """What stands above an app's payments. `curve`: FLUX a day; None where no sync has looked yet."""

    sums: AppSums
    curve: list[float | None]
    curve_label: str


def card(name: str, read_until: datetime | None, now: datetime) -> AppCard | None:
    """None when no payment names such an app. `read_until`: of the ledger. Three queries."""
    app = App.objects.filter(name=name, payments__gt=0).first()
    if app is None or app.first_paid_at is None:
        return None
    first = max(app.first_paid_at.date(), now.date() - LONGEST * DAY)
    return AppCard(
        sums=AppSums.of(app, whole_revenue()),
        curve=_curve(app, first, now.date(), read_until),
        curve_label=f"FLUX a day, {figures.day(app.first_paid_at)} to today",
    )


def _curve(app: App, first: date, today: date, read_until: datetime | None) -> list[float | None]:
    sums = Payment.objects.filter(app=app, day__gte=first).order_by().values_list("day").annotate(sat=Sum("amount_sat"))
    paid = dict(sums)
    known = read_until.date() if read_until else None
    days = [first + DAY * number for number in range((today - first).days + 1)]
    return [
        money.flux(paid[day]) if day in paid else 0.0 if known is not None and day <= known else None for day in days
    ]
