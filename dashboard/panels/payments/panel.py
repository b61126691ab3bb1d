"""Render the payments panel: the list, the list by app, and how complete and fresh the ledger is."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from dashboard.panels.base import Panel
from dashboard.panels.payments import apps
from dashboard.panels.payments.filters import (
    FILTERS,
    OWN,
    PLACE,
    TYPE_WORDS,
    Asked,
    chips,
    loosened,
    pager,
    parse,
    sorts,
    ways,
)
from dashboard.panels.payments.rows import WALLETS, listed, words
from fluxtracker.database import one_moment
from fluxtracker.periods import is_fresh
from revenue.models import LedgerState, Quarantined
from revenue.payments import filters, pagination
from revenue.selectors import STALE, ledger_stamp
from revenue.status import last_sync_block


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the ledger is. `completed_at`: when a sync last reached its tip; None before the first one did.

    `height` is read where the ledger is not fresh: payments up to this block are complete.
    """

    completed_at: datetime | None
    read_until: datetime | None
    closed_through: date | None
    height: int | None
    quarantined: int
    stale: bool

    @classmethod
    def load(cls, now: datetime) -> Standing:
        """Read it in at most three small queries."""
        state = LedgerState.objects.filter(id=1).first() or LedgerState()
        stale = state.completed_at is not None and not is_fresh(state.completed_at, now, STALE)
        height = last_sync_block() if stale or state.completed_at is None else None
        waiting = Quarantined.objects.count()
        return cls(state.completed_at, state.read_until, state.closed_through, height, waiting, stale)

    def first_listed(self, first: date | None) -> date | None:
        """Return the first day with single payments, if a list from `first` on (None: from its beginning) would begin
        before it; else None."""
        if self.closed_through is None or (first is not None and first > self.closed_through):
            return None
        return self.closed_through + timedelta(days=1)


Context = dict[str, Any]


def read(query: QueryDict, now: datetime) -> Context:
    asked = parse(query)
    with one_moment():
        standing = Standing.load(now)
        shown = _payments(asked, standing, now) if asked.tab == "payments" else apps.listed(asked)
    return _frame(asked, standing) | shown


def stamp(query: QueryDict, now: datetime) -> Hashable:
    """Return what the list depends on. A message that no node knew changes nothing before the ledger changes."""
    return ledger_stamp(), Standing.load(now).stale, Quarantined.objects.count(), now.date()


def _frame(asked: Asked, standing: Standing) -> Context:
    return {
        "asked": asked,
        "noun": "payment" if asked.tab == "payments" else "app",
        "typed": asked.typed,
        "wrong": asked.wrong,
        "fields": {
            key: {"key": key, "value": asked.typed.get(key, ""), "wrong": asked.wrong.get(key, "")} for key in FILTERS
        },
        "standing": standing,
        "closed": standing.first_listed(asked.values.get("from") if asked.tab == "payments" else None),
        "tabs": [(title, asked.link(_only_search(tab)), tab == asked.tab) for tab, title in TABS],
        "chips": chips(asked),
        "clear": asked.without(*asked.active),
        "sorts": sorts(asked),
        "ways": ways(asked),
        "hidden": asked.hidden(*(*FILTERS, "sort")),
        "place": PLACE,
        "types": TYPE_WORDS.items(),
        "wallets": WALLETS.items(),
        "addresses": [tracked.address for tracked in settings.REVENUE_ADDRESSES],
        "exports": _exports(asked),
    }


def _only_search(tab: str) -> dict[str, str]:
    """Return the changes that lead to a tab: only the search is kept."""
    return dict.fromkeys((*FILTERS[1:], "sort"), "") | {"tab": tab}


def _payments(asked: Asked, standing: Standing, now: datetime) -> Context:
    selection = filters.select(asked.values)
    place = pager(asked, selection.count())
    rows = listed(pagination.page_rows(selection, place.total, place.offset, asked.limit))
    app = asked.values.get("app", "")
    return {
        "rows": [row | {"link": asked.link({"app": row["app"], "search": "", "sort": ""})} for row in rows],
        "pager": place,
        "words": words(rows),
        "card": apps.card(app, standing.read_until, now) if app else None,
        "loosened": [] if place.total else loosened(asked, chips(asked)),
        "like_app": asked.link({"tab": "apps", "search": app, "app": "", "sort": ""}) if app else "",
    }


def _exports(asked: Asked) -> list[tuple[str, str]]:
    """Return what the list's filters let through, as files: name and address."""
    keys = urlencode({key: value for key, value in asked.keys({"limit": ""}).items() if key != "tab"})
    return [(name, reverse(view) + (f"?{keys}" if keys else "")) for name, view in EXPORTS[asked.tab]]


TABS = (("payments", "Payments"), ("apps", "By app"))
EXPORTS = {
    "payments": (("CSV", "dashboard:export-payments-csv"), ("NDJSON", "dashboard:export-payments-ndjson")),
    "apps": (("CSV", "dashboard:export-apps-csv"),),
}
PAYMENTS = Panel("payments", "Payments", "parts/payments_panel.html", read, stamp, keys=OWN)
