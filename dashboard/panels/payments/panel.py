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
    PanelQuery,
    chips,
    loosened,
    pager,
    parse,
    sorts,
    ways,
)
from dashboard.panels.payments.rows import WALLETS, listed, words
from fluxtracker.database import read_snapshot
from fluxtracker.periods import is_fresh
from revenue.models import LedgerState, Quarantined
from revenue.payments import filters, pagination
from revenue.selectors import STALE, ledger_stamp
from revenue.status import last_sync_block


@dataclass(frozen=True, slots=True)
class LedgerProgress:
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
    def load(cls, now: datetime) -> LedgerProgress:
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
    requested = parse(query)
    with read_snapshot():
        ledger = LedgerProgress.load(now)
        shown = _payments(requested, ledger, now) if requested.tab == "payments" else apps.listed(requested)
    return _frame(requested, ledger) | shown


def stamp(query: QueryDict, now: datetime) -> Hashable:
    """Return what the list depends on. A message that no node knew changes nothing before the ledger changes."""
    return ledger_stamp(), LedgerProgress.load(now).stale, Quarantined.objects.count(), now.date()


def _frame(requested: PanelQuery, ledger: LedgerProgress) -> Context:
    return {
        "requested": requested,
        "noun": "payment" if requested.tab == "payments" else "app",
        "typed": requested.typed,
        "wrong": requested.wrong,
        "fields": {
            key: {"key": key, "value": requested.typed.get(key, ""), "wrong": requested.wrong.get(key, "")}
            for key in FILTERS
        },
        "ledger": ledger,
        "closed": ledger.first_listed(requested.values.get("from") if requested.tab == "payments" else None),
        "tabs": [(title, requested.link(_only_search(tab)), tab == requested.tab) for tab, title in TABS],
        "chips": chips(requested),
        "clear": requested.without(*requested.active),
        "sorts": sorts(requested),
        "ways": ways(requested),
        "hidden": requested.hidden(*(*FILTERS, "sort")),
        "place": PLACE,
        "types": TYPE_WORDS.items(),
        "wallets": WALLETS.items(),
        "addresses": [tracked.address for tracked in settings.REVENUE_ADDRESSES],
        "exports": _exports(requested),
    }


def _only_search(tab: str) -> dict[str, str]:
    """Return the changes that lead to a tab: only the search is kept."""
    return dict.fromkeys((*FILTERS[1:], "sort"), "") | {"tab": tab}


def _payments(requested: PanelQuery, ledger: LedgerProgress, now: datetime) -> Context:
    selection = filters.select(requested.values)
    place = pager(requested, selection.count())
    rows = listed(pagination.page_rows(selection, place.total, place.offset, requested.limit))
    app = requested.values.get("app", "")
    return {
        "rows": [row | {"link": requested.link({"app": row["app"], "search": "", "sort": ""})} for row in rows],
        "pager": place,
        "words": words(rows),
        "card": apps.card(app, ledger.read_until, now) if app else None,
        "loosened": [] if place.total else loosened(requested, chips(requested)),
        "like_app": requested.link({"tab": "apps", "search": app, "app": "", "sort": ""}) if app else "",
    }


def _exports(requested: PanelQuery) -> list[tuple[str, str]]:
    """Return what the list's filters let through, as files: name and address."""
    keys = urlencode({key: value for key, value in requested.keys({"limit": ""}).items() if key != "tab"})
    return [(name, reverse(view) + (f"?{keys}" if keys else "")) for name, view in EXPORTS[requested.tab]]


TABS = (("payments", "Payments"), ("apps", "By app"))
EXPORTS = {
    "payments": (("CSV", "dashboard:export-payments-csv"), ("NDJSON", "dashboard:export-payments-ndjson")),
    "apps": (("CSV", "dashboard:export-apps-csv"),),
}
PAYMENTS = Panel("payments", "Payments", "parts/payments_panel.html", read, stamp, keys=OWN)
