"""List payments by app, and one app's total and days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.db.models import Sum

from dashboard.panels.payments.filters import Asked, Pager, pager
from fluxtracker import formatting, money
from revenue.models import App, Payment
from revenue.selectors import apps, open_totals


def whole_revenue() -> int:
    """Satoshi of all payments that the ledger holds; those of closed days are not there any more."""
    return open_totals().summed()["revenue_sat"]


def share_percent(part: int, whole: int) -> Decimal | None:
    """Percent with 4 decimals; None when there is no whole."""
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.0001"), ROUND_HALF_EVEN) if whole else None


def share_words(app: App, whole_sat: int) -> str:
    """Return the app's share of all revenue, `12.34 %`; what is more than nothing is not shown as zero."""
    percent = share_percent(app.revenue_sat, whole_sat)
    if percent is None:
        return ""
    return "< 0.01 %" if 0 < percent < Decimal("0.005") else f"{percent:.2f} %"


@dataclass(frozen=True, slots=True)
class Row:
    """One app, with the address of its payments."""

    app: App
    share: str
    link: str

    @property
    def key_usd(self) -> str:
        return f"app-usd-{self.app.pk}"


def listed(asked: Asked) -> tuple[list[Row], Pager]:
    """Three queries."""
    found = apps(asked.values.get("search", ""), asked.sort)
    place = pager(asked, found.count())
    whole, shown = whole_revenue(), found[place.offset : place.last_row]
    return [Row(app, share_words(app, whole), _link(app, asked)) for app in shown], place


def _link(app: App, asked: Asked) -> str:
    return asked.link({"tab": "payments", "app": app.name, "search": "", "sort": ""})


LONGEST = 366  # days of the curve
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AppCard:
    """What stands above an app's payments. `curve`: FLUX a day; None where no sync has looked yet."""

    app: App
    share: str
    curve: list[float | None]
    curve_label: str


def card(name: str, read_until: datetime | None, now: datetime) -> AppCard | None:
    """None when no payment names such an app. `read_until`: of the ledger. Three queries."""
    app = App.objects.filter(name=name, payments__gt=0).first()
    if app is None or app.first_paid_at is None:
        return None
    first = max(app.first_paid_at.date(), now.date() - LONGEST * DAY)
    return AppCard(
        app=app,
        share=share_words(app, whole_revenue()),
        curve=_curve(app, first, now.date(), read_until),
        curve_label=f"FLUX a day, {formatting.day(app.first_paid_at)} to today",
    )


def _curve(app: App, first: date, today: date, read_until: datetime | None) -> list[float | None]:
    sums = Payment.objects.filter(app=app, day__gte=first).order_by().values_list("day").annotate(sat=Sum("amount_sat"))
    paid = dict(sums)
    known = read_until.date() if read_until else None
    days = [first + DAY * number for number in range((today - first).days + 1)]
    return [
        money.flux(paid[day]) if day in paid else 0.0 if known is not None and day <= known else None for day in days
    ]
