"""The second tab: payments by app."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.app_sums import AppSums
from dashboard.payments_pager import Pager, pager
from dashboard.payments_query import Asked
from dashboard.share import whole_revenue
from revenue.apps_listing import apps
from revenue.models import App


@dataclass(frozen=True, slots=True)
class Row:
    """One app, with the address of its payments."""

    id: int
    link: str
    sums: AppSums

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
    link = asked.link({"tab": "payments", "app": app.name, "search": "", "sort": ""})
    return Row(app.pk, link, AppSums.of(app, whole))
