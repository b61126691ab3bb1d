"""Which apps a reader asks for, and in which order."""

from __future__ import annotations

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.expressions import Combinable

from revenue.models import App

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
    if key == "usd":  # nobody knows how much: last, whatever the direction
        order.insert(0, ExpressionWrapper(Q(priced=0), output_field=BooleanField()))
    return order if key == "app" else [*order, "name"]
