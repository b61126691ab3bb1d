"""The second tab: payments by app."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashboard.payments_app import share
from dashboard.payments_pager import Pager, pager
from dashboard.payments_query import Asked
from dashboard.share import whole_revenue
from revenue.apps_listing import apps
from revenue.models import App


@dataclass(frozen=True, slots=True)
class Row:
    """What one app paid. `usd_micro` is of the priced payments, None when none is."""

    id: int
    name: str
    link: str
    payments: int
    revenue_sat: int
    usd_micro: int | None
    unpriced: int
    first_paid_at: datetime | None
    last_paid_at: datetime | None
    share: str

    @property
    def key_usd(self) -> str:
        return f"app-usd-{self.id}"


@dataclass(frozen=True, slots=True)
class Listed:
    rows: list[Row]
    pager: Pager


def listed(asked: Asked) -> Listed:
    """Three queries."""
    found = apps(asked.values.get("search", ""), asked.sort)
    place = pager(asked, found.count())
    whole = whole_revenue()
    return Listed([_row(app, asked, whole) for app in found[place.offset : place.last_row]], place)


def _row(app: App, asked: Asked, whole: int) -> Row:
    return Row(
        id=app.pk,
        name=app.name,
        link=asked.link({"tab": "payments", "app": app.name, "search": "", "sort": ""}),
        payments=app.payments,
        revenue_sat=app.revenue_sat,
        usd_micro=app.usd_micro if app.priced else None,
        unpriced=app.payments - app.priced,
        first_paid_at=app.first_paid_at,
        last_paid_at=app.last_paid_at,
        share=share(app.revenue_sat, whole),
    )
