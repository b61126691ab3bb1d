"""Render the payments panel: the list, the list by app, and how complete and fresh the ledger is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.http import QueryDict
from django.utils.http import urlencode

from dashboard.panels.base import Panel
from dashboard.panels.payments import apps
from dashboard.panels.payments.apps import card
from dashboard.panels.payments.filters import (
    FILTERS,
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
from fluxtracker import formatting
from fluxtracker.database import one_moment
from fluxtracker.periods import is_fresh
from revenue.models import LedgerState, Quarantined
from revenue.payments import filters, pagination
from revenue.selectors import STALE, ledger_stamp
from revenue.status import last_sync_block


@dataclass(frozen=True, slots=True)
class Standing:
    """`completed_at`: when a sync last reached its tip; None before the first one did."""

    completed_at: datetime | None
    read_until: datetime | None
    closed_through: date | None
    height: int | None
    quarantined: int
    stale: bool

    @classmethod
    def load(cls, now: datetime) -> Standing:
        """At most three small queries."""
        state = LedgerState.objects.filter(id=1).first() or LedgerState()
        stale = state.completed_at is not None and not is_fresh(state.completed_at, now, STALE)
        height = last_sync_block() if stale or state.completed_at is None else None
        waiting = Quarantined.objects.count()
        return cls(state.completed_at, state.read_until, state.closed_through, height, waiting, stale)

    @property
    def up_to(self) -> str:
        """Return what a reader of a ledger that is not fresh may still rely on."""
        if self.height is None:
            return ""
        return f"Payments up to block {formatting.whole(self.height)} are complete; newer ones will follow."

    @property
    def partial(self) -> str:
        """That the first sync is still under way; empty when it is not, or has read nothing."""
        if self.completed_at is not None or self.height is None:
            return ""
        block = formatting.whole(self.height)
        return f"The first sync is under way and has read up to block {block}: the rest will follow."

    @property
    def missing(self) -> str:
        """Return transactions that nobody could read yet."""
        if not self.quarantined:
            return ""
        count, one = self.quarantined, self.quarantined == 1
        return (
            f"{formatting.plural(count, 'transaction')} could not be read and {'is' if one else 'are'} not listed yet; "
            f"{'it is' if one else 'they are'} tried again by {'itself' if one else 'themselves'}."
        )

    def closed(self, first: date | None) -> str:
        """That the list does not reach back as far as it was asked for; None: as far as it goes."""
        if self.closed_through is None or (first is not None and first > self.closed_through):
            return ""
        return (
            f"The list begins after {self.closed_through.day} {self.closed_through:%b %Y}: older payments are kept "
            "as the totals of their days only."
        )


Context = dict[str, Any]
FIELDS: Mapping[str, Context] = {  # the form's text fields, as parts/payments_field.html takes them
    "app": {"label": "App (exact)"},
    "from": {"label": "From day, UTC", "type": "date"},
    "to": {"label": "To day, UTC", "type": "date"},
    "min_amount": {"label": "Min FLUX", "mode": "decimal"},
    "max_amount": {"label": "Max FLUX", "mode": "decimal"},
    "sender": {"label": "Sender address", "list": "payments-wallets", "wide": True},
}


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
        "noun": "payment" if asked.tab == "payments" else "app",
        "typed": asked.typed,
        "wrong": asked.wrong,
        "fields": {
            key: field | {"key": key, "value": asked.typed.get(key, ""), "wrong": asked.wrong.get(key, "")}
            for key, field in FIELDS.items()
        },
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
    selection = filters.select(asked.values)
    place = pager(asked, selection.count())
    rows = listed(pagination.page_rows(selection, place.total, place.offset, asked.limit))
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
    rows, place = apps.listed(asked)
    return {"rows": rows, "pager": place}


def _exports(asked: Asked) -> list[tuple[str, str]]:
    """Return what the list's filters let through, as files: name and address."""
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
