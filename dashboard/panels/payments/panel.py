"""Render the payments panel: the list, the list by app, and how complete and fresh the ledger is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any
from zlib import crc32

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from dashboard.panels.base import Panel
from dashboard.panels.economics import NOT_SPLIT
from dashboard.panels.payments.filters import (
    FILTERS,
    LIMITS,
    OWN,
    PLACE,
    TYPE_WORDS,
    PanelQuery,
    chips,
    loosened,
    paged,
    parse,
    sorts,
    ways,
)
from dashboard.panels.payments.rows import WALLETS, listed, unnamed, words
from dashboard.panels.periods import RANGE, between
from deployments.selectors import stamp as messages_stamp
from deployments.splits.breakdown import AppSum, AppSums, apps_between, payers_between, sums
from deployments.splits.daily import OWNER
from fluxtracker import formatting, money
from fluxtracker.database import read_snapshot
from fluxtracker.periods import is_fresh
from revenue import pending
from revenue.models import STALE, App, DailyTotal, LedgerState, Payment
from revenue.payments import filters, pagination
from revenue.period_totals import Sums
from revenue.querysets import SUMMED
from revenue.selectors import apps, ledger_stamp, open_totals, transaction_url
from revenue.status import last_sync_block


@dataclass(frozen=True, slots=True)
class LedgerProgress:
    """State of the ledger. `completed_at`: when a sync last reached its tip, None before the first one.

    `height` is read if the ledger is not fresh: payments up to this block are complete.
    """

    completed_at: datetime | None
    read_until: datetime | None
    closed_through: date | None
    height: int | None
    quarantined: int
    stale: bool

    @classmethod
    def load(cls, now: datetime) -> LedgerProgress:
        """Load it in at most three small queries."""
        state = LedgerState.known()
        stale = state.completed_at is not None and not is_fresh(state.completed_at, now, STALE)
        height = last_sync_block() if stale or state.completed_at is None else None
        return cls(state.completed_at, state.read_until, state.closed_through, height, state.quarantined, stale)

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
        shown = _payments(requested, ledger, now) if requested.tab == "payments" else listed_apps(requested)
    return _frame(requested, ledger) | shown


def stamp(query: QueryDict, now: datetime) -> Hashable:
    """Return the list's stamp. A message that no node had changes nothing until the ledger changes."""
    ledger = LedgerProgress.load(now)
    rows = ledger_stamp() if query.get("tab", TABS[0][0]) == TABS[0][0] else messages_stamp(now)
    return rows, ledger.stale, ledger.quarantined, now.date()


def _frame(requested: PanelQuery, ledger: LedgerProgress) -> Context:
    return {
        "requested": requested,
        "range_words": requested.range and between(requested.range.first, requested.range.last, timezone.now()),
        "search_for": SEARCHED.get(requested.tab, "Id or address"),
        "noun": requested.tab.removesuffix("s"),
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
        "first": requested.link({"page": ""}),
        "clear": requested.without(*requested.active),
        "sorts": sorts(requested),
        "ways": ways(requested),
        "hidden": requested.hidden(*(*FILTERS, "sort")),
        "hidden_but_page": requested.hidden("page"),
        "limits": LIMITS,
        "place": PLACE,
        "types": TYPE_WORDS.items(),
        "wallets": WALLETS.items(),
        "addresses": [tracked.address for tracked in settings.REVENUE_ADDRESSES],
        "exports": _exports(requested),
    }


def _only_search(tab: str) -> dict[str, str]:
    """Return the query changes for a tab: only the search is kept."""
    return dict.fromkeys((*FILTERS[1:], "sort"), "") | {"tab": tab}


def _payments(requested: PanelQuery, ledger: LedgerProgress, now: datetime) -> Context:
    selection = filters.select(requested.values)
    added = selection.sums()
    page = paged(requested, added.payments or 0)
    total, offset = page.paginator.count, max(page.start_index() - 1, 0)
    rows = listed(pagination.page_rows(selection, total, offset, requested.limit))
    app = requested.values.get("app", "")
    return {
        "rows": rows,
        "page": page,
        "words": words(rows),
        "sums": added,
        "card": app_card(app, ledger.read_until, now) if app else None,
        "loosened": [] if total else loosened(requested, chips(requested)),
        "like_app": requested.link({"tab": "apps", "search": app, "app": "", "sort": ""}) if app else "",
    }


def _exports(requested: PanelQuery) -> list[tuple[str, str]]:
    """Return the filtered list as files: name and URL."""
    own = {key: value for key, value in requested.keys({"limit": ""}).items() if key != "tab"}
    keys = urlencode(({RANGE: requested.range.text} if requested.range else {}) | own)
    return [(name, reverse(view) + (f"?{keys}" if keys else "")) for name, view in EXPORTS[requested.tab]]


def whole_revenue() -> int:
    """Return the satoshi of all payments, including closed days, whose single payments are deleted."""
    return open_totals().sum_of("revenue_sat")


def whole_of_days(values: Mapping[str, Any]) -> int:
    """Return the satoshi of the days of a filter, `from` and `to`, including pruned payments."""
    first, last = values.get("from") or date.min, values.get("to") or date.max
    return DailyTotal.objects.between(first, last).sum_of("revenue_sat")


def share_percent(part: int, whole: int) -> Decimal | None:
    """Return percent with 4 decimals, None without a whole."""
    return (Decimal(part) * 100 / whole).quantize(Decimal("0.0001"), ROUND_HALF_EVEN) if whole else None


def share_words(part_sat: int, whole_sat: int) -> str:
    """Return `12.34 %`; a small share is not shown as zero."""
    percent = share_percent(part_sat, whole_sat)
    if percent is None:
        return ""
    return "< 0.01 %" if 0 < percent < Decimal("0.005") else f"{percent:.2f} %"


def listed_apps(requested: PanelQuery) -> Context:
    """Return the apps, owners or senders of a page. Four queries, five for senders."""
    values, search = requested.values, requested.values.get("search", "")
    days = (values.get("from"), values.get("to"))
    result: Any
    unsplit = 0
    if any(days) or requested.tab != "apps":
        of_days = OF_DAYS[requested.tab](*days, search, requested.sort)
        result, whole, unsplit = of_days.apps, whole_of_days(values), of_days.unsplit
    else:
        result, whole = apps(search, requested.sort), whole_revenue()
    page = paged(requested, len(result) if isinstance(result, list) else result.count())
    first = max(page.start_index() - 1, 0)
    rows = [
        {"app": app, "id": crc32(app.name.encode()), "share": share_words(app.revenue_sat, whole)}
        for app in result[first : page.end_index()]
    ]
    view = f"dashboard:{requested.tab.removesuffix('s')}"
    return {"rows": rows, "page": page, "sums": _added(result), "view": view, "unsplit": NOT_SPLIT if unsplit else ""}


def _added(result: QuerySet[App] | list[AppSum]) -> Sums:
    """Return the sums of all results on any page. One query for ledger rows."""
    if isinstance(result, list):
        return sums(tuple(sum(getattr(one, name) for one in result) for name in SUMMED))
    total = result.order_by().aggregate(**{f"all_{name}": Coalesce(Sum(name), 0) for name in SUMMED})
    return sums(tuple(total.values()))


LONGEST = 366  # days of the curve
DAY = timedelta(days=1)


def app_card(name: str, read_until: datetime | None, now: datetime) -> Context | None:
    """Return the card above an app's payments, None if no payment names it. Three queries.

    `read_until`: the ledger's. `curve`: FLUX per day, None on days no sync has read.
    """
    app = App.objects.filter(name=name, payments__gt=0).first()
    if app is None or app.first_paid_at is None:
        return None
    first = max(app.first_paid_at.date(), now.date() - LONGEST * DAY)
    return {
        "app": app,
        "share": share_words(app.revenue_sat, whole_revenue()),
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


OF_DAYS: Mapping[str, Callable[..., AppSums]] = {
    "apps": apps_between,
    "owners": partial(apps_between, dimension=OWNER),
    "payers": payers_between,
}
TABS = (("payments", "Payments"), ("apps", "By app"), ("owners", "By owner"), ("payers", "By sender"))
SEARCHED = {"payments": "App, address, transaction, amount or date", "apps": "App"}
EXPORTS = {
    "payments": (("CSV", "dashboard:export-payments-csv"), ("NDJSON", "dashboard:export-payments-ndjson")),
    **{tab: (("CSV", f"dashboard:export-{tab}-csv"),) for tab in ("apps", "owners", "payers")},
}
PAYMENTS = Panel("payments", "Payments", "panels/payments/panel.html", read, stamp, keys=(*OWN, RANGE))


SHOWN = 10  # the API lists all
ON_A_WALL = 3  # css/live.css hides the others there


def _pending(query: QueryDict, now: datetime) -> Context:
    """Return payments that do not count yet, separate from the list."""
    state = pending.pending(now)
    payments = state.payments or []
    rows = [
        row | {"url": transaction_url(row["txid"]), "why": None if row["app"] else unnamed(row["kind"], 0)}
        for row in payments[:SHOWN]
    ]
    return {
        "pending": state, "rows": rows, "more": len(payments) - len(rows), "beyond": max(len(payments) - ON_A_WALL, 0),
    }  # fmt: skip


def _pending_stamp(query: QueryDict, now: datetime) -> Hashable:
    return ledger_stamp(), pending.stamp(now)


PENDING = Panel("pending", "Pending payments", "panels/payments/pending.html", _pending, _pending_stamp)
