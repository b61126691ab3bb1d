"""The panel of payments: a list with search and filters, and the same by app."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils.http import urlencode

from dashboard import apps_tab
from dashboard.panels import Panel
from dashboard.payments_app import card
from dashboard.payments_chips import TYPE_WORDS, chips, loosened
from dashboard.payments_pager import pager
from dashboard.payments_query import FILTERS, PLACE, Asked, parse
from dashboard.payments_rows import listed, words
from dashboard.payments_sorts import sorts, ways
from dashboard.payments_standing import Standing
from dashboard.payments_words import WALLETS
from fluxtracker.api.reading import one_moment
from revenue import listing, pages
from revenue.models import Quarantined
from revenue.stamp import ledger_stamp

Context = dict[str, Any]


def read(query: QueryDict, now: datetime) -> Context:
    asked = parse(query)
    with one_moment():
        standing = Standing.load(now)
        shown = _payments(asked, standing, now) if asked.tab == "payments" else _apps(asked)
    return _frame(asked, standing) | shown


def stamp(query: QueryDict, now: datetime) -> Hashable:
    """A message that was asked for in vain changes nothing here before the next change of the ledger."""
    return ledger_stamp(), Standing.load(now).stale, Quarantined.objects.count(), now.date()


def _frame(asked: Asked, standing: Standing) -> Context:
    return {
        "asked": asked,
        "typed": asked.typed,
        "wrong": asked.wrong,
        "standing": standing,
        "closed": standing.closed(asked.values.get("from")) if asked.tab == "payments" else standing.closed(None),
        "tabs": [(title, asked.link(_only_search(tab)), tab == asked.tab) for tab, title in TABS],
        "chips": chips(asked),
        "clear": asked.without(*asked.active),
        "sorts": sorts(asked),
        "ways": ways(asked),
        "hidden": asked.hidden(*(*FILTERS, "sort")),
        "action": f"/{PLACE}",
        "types": TYPE_WORDS.items(),
        "wallets": WALLETS.items(),
        "addresses": [tracked.address for tracked in settings.REVENUE_ADDRESSES],
        "exports": _exports(asked),
    }


def _only_search(tab: str) -> dict[str, str]:
    """What both tabs know is kept when going from one to the other."""
    return dict.fromkeys((*FILTERS[1:], "sort"), "") | {"tab": tab}


def _payments(asked: Asked, standing: Standing, now: datetime) -> Context:
    selection = listing.select(asked.wanted)
    place = pager(asked, selection.count())
    rows = listed(pages.page_rows(selection, place.total, place.offset, asked.limit))
    app = asked.values.get("app", "")
    return {
        "rows": [(row, asked.link({"app": row.app, "search": "", "sort": ""}) if row.app else "") for row in rows],
        "pager": place,
        "words": words(rows),
        "card": card(app, standing.read_until, now) if app else None,
        "loosened": [] if place.total else loosened(asked, chips(asked)),
        "like_app": asked.link({"tab": "apps", "search": app, "app": "", "sort": ""}) if app else "",
    }


def _apps(asked: Asked) -> Context:
    found = apps_tab.listed(asked)
    return {"rows": found.rows, "pager": found.pager}


def _exports(asked: Asked) -> list[tuple[str, str]]:
    """What the list's filters let through, as files: name and address."""
    keys = urlencode({key: value for key, value in asked.keys({"limit": ""}).items() if key != "tab"})
    names = EXPORTS[asked.tab]
    return [(name, f"{path}{'?' + keys if keys else ''}") for name, path in names]


TABS = (("payments", "Payments"), ("apps", "By app"))
EXPORTS = {
    "payments": (("CSV", "/export/payments.csv"), ("NDJSON", "/export/payments.ndjson")),
    "apps": (("CSV", "/export/apps.csv"),),
}
PAYMENTS = Panel(
    "payments",
    "Payments",
    "parts/payments_panel.html",
    read,
    stamp=stamp,
    styles=("css/payments.css",),
    scripts=("js/payments.js",),
)
