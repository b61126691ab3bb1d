"""List payments by app, and one app's total and days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.db.models import Sum

from dashboard.panels.payments.filters import PanelQuery, pager
from fluxtracker import formatting, money
from revenue.models import App, Payment
from revenue.selectors import apps, open_totals

Context = dict[str, Any]


def whole_revenue() -> int:
    """Return the satoshi of all payments in the ledger; single payments of closed days are deleted."""
    return open_totals().summed()["revenue_sat"]


def share_percent(part: int, whole: int) -> Decimal | None:
    """Return percent with 4 decimals; None when there is no whole."""
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.0001"), ROUND_HALF_EVEN) if whole else None


def share_words(part_sat: int, whole_sat: int) -> str:
    """Return `12.34 %`; a small share is not shown as zero."""
    percent = share_percent(part_sat, whole_sat)
    if percent is None:
        return ""
    return "< 0.01 %" if 0 < percent < Decimal("0.005") else f"{percent:.2f} %"


def _sums(app: App, whole_sat: int) -> Context:
    return {
        "app": app,
        "share": share_words(app.revenue_sat, whole_sat),
    }


def listed(requested: PanelQuery) -> Context:
    """Return the apps of a page, each with the address of its payments. Three queries."""
    found = apps(requested.values.get("search", ""), requested.sort)
    place = pager(requested, found.count())
    whole = whole_revenue()
    rows = [
        _sums(app, whole) | {"link": requested.link({"tab": "payments", "app": app.name, "search": "", "sort": ""})}
        for app in found[place.offset : place.last_row]
    ]
    return {"rows": rows, "pager": place}


LONGEST = 366  # days of the curve
DAY = timedelta(days=1)


def card(name: str, read_until: datetime | None, now: datetime) -> Context | None:
    """Return what is shown above an app's payments; None when no payment names it. Three queries.

    `read_until`: of the ledger. `curve`: FLUX per day, None where no sync has looked yet.
    """
    app = App.objects.filter(name=name, payments__gt=0).first()
    if app is None or app.first_paid_at is None:
        return None
    first = max(app.first_paid_at.date(), now.date() - LONGEST * DAY)
    return _sums(app, whole_revenue()) | {
        "curve": _curve(app, first, now.date(), read_until),
        "curve_label": f"FLUX per day, {formatting.day(app.first_paid_at)} to today",
    }


def _curve(app: App, first: date, today: date, read_until: datetime | None) -> list[float | None]:
    sums = Payment.objects.filter(app=app, day__gte=first).order_by().values_list("day").annotate(sat=Sum("amount_sat"))
    paid = dict(sums)
    known = read_until.date() if read_until else None
    days = [first + DAY * number for number in range((today - first).days + 1)]
    return [
        money.flux(paid[day]) if day in paid else 0.0 if known is not None and day <= known else None for day in days
    ]
