"""Read the payments panel's filters, sorting and page from the query. A wrong value falls back with a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode
from rest_framework.exceptions import ErrorDetail

from dashboard.panels.payments.rows import WALLETS
from dashboard.panels.periods import RANGE, range_of
from fluxtracker import formatting
from fluxtracker.ranges import Range
from revenue.payments import filters
from revenue.payments.filters import DEFAULT_ORDER, AppsQuery, TransactionsQuery
from revenue.selectors import DEFAULT_APP_ORDER

FILTERS = ("search", "app", "type", "address", "sender", "owner", "block", "from", "to", "min_amount", "max_amount")
UNWRITTEN = "block"  # set only by links, as the form has no field for it
OWN = ("tab", *FILTERS, "sort", "page", "limit")
TABS = ("payments", "apps", "owners", "payers")
LIMITS = (25, 50, 100, 200)
PLACE = "#panel-payments"  # where a browser without JavaScript returns to
WRONG_PAGE = "Expected a whole number from 1; this is page 1."
REVERSED = {
    "from": "The first day is after the last one.",
    "min_amount": "The smallest amount is above the largest one.",
}
LEFT_OUT = "The list is shown without it."


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """The validated state of the panel."""

    tab: str
    values: Mapping[str, Any]
    """Filters, sorting and page as read by the API's query."""
    typed: Mapping[str, str]
    """The same as the visitor wrote them, including wrong ones, for the fields."""
    wrong: Mapping[str, str]
    """Error message by field."""
    limit: int
    others: tuple[tuple[str, str], ...]
    """Query keys of the other panels."""
    range: Range | None = None
    """Range of all panels, if the query has no days of payments."""

    @property
    def sort(self) -> str:
        return str(self.values["sort"])

    @property
    def page(self) -> int:
        return int(self.values["page"])

    @property
    def active(self) -> dict[str, str]:
        """Return the active filters, as the visitor wrote them."""
        return {key: self.typed[key] for key in FILTERS if key in self.values and key in self.typed}

    @property
    def is_live(self) -> bool:
        """Return whether new payments appear at the top of this view."""
        goes_on = self.range is None or self.range.goes_on
        return goes_on and self.tab == "payments" and not self.active and self.sort == DEFAULT_ORDER and self.page == 1

    def keys(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the panel's own query keys with changes; an empty value drops a key.

        Starts at page 1.
        """
        own = {"tab": self.tab, **self.active, "sort": self.sort, "limit": str(self.limit)} | dict(changes or {})
        defaults = {"tab": "payments", "limit": str(LIMITS[0]), "page": "1", "sort": default_sort(own["tab"])}
        return {key: own[key] for key in OWN if own.get(key) and own[key] != defaults.get(key)}

    def link(self, changes: Mapping[str, str] | None = None) -> str:
        """Return the URL of another state of the panel, with everything else unchanged."""
        return f"?{urlencode([*self.others, *self.keys(changes).items()])}{PLACE}"

    def without(self, *keys: str) -> str:
        """Return the URL of the list without these filters."""
        return self.link(dict.fromkeys(keys, ""))

    def hidden(self, *fields: str) -> list[tuple[str, str]]:
        """Return the hidden fields of a form."""
        left = {key: value for key, value in self.keys().items() if key == UNWRITTEN or key not in fields}
        return [*self.others, *left.items()]


def parse(query: QueryDict) -> PanelQuery:
    given = {key: text for key in OWN if (text := str(query.get(key, "")).strip())}
    selected = range_of(query, timezone.now().date(), "from", "to")
    tab = given["tab"] if given.get("tab") in TABS else TABS[0]
    form = TransactionsQuery if tab == "payments" else AppsQuery
    read = {key: given[key] for key in (*FILTERS, "sort", "page") if key in given}
    values, wrong = form.read_valid(read | ({RANGE: selected.text} if selected else {}))
    wrong.pop("sort", None)
    limit = given.get("limit", "")
    return PanelQuery(
        tab=tab,
        values=values | {"sort": values["sort"].replace("date", "timestamp")},  # the API's alias
        typed={key: given[key] for key in FILTERS if key in given},
        wrong={key: _sentence(key, error) for key, error in wrong.items()},
        limit=int(limit) if limit in map(str, LIMITS) else LIMITS[0],
        others=tuple((key, str(value)) for key, value in query.items() if key not in OWN),
        range=selected,
    )


def default_sort(tab: str) -> str:
    return DEFAULT_ORDER if tab == "payments" else DEFAULT_APP_ORDER


def _sentence(key: str, error: ErrorDetail) -> str:
    if key == "page":
        return WRONG_PAGE
    what = REVERSED[key] if error.code == "order" else f"{error[:1].upper()}{error[1:].rstrip('.')}."
    return f"{what} {LEFT_OUT}"


TOGETHER = TransactionsQuery.ends  # two ends of one range
ENOUGH = 1_000  # matches are counted up to here, as the exact number would take too long
TYPE_WORDS = {"git": "git", "docker": "docker", "unknown": "other or not known"}


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in words, and the URL of the list without it."""

    keys: tuple[str, ...]
    words: str
    link: str


def chips(requested: PanelQuery) -> list[Chip]:
    paired = {key for pair in TOGETHER for key in pair}
    groups: list[tuple[str, ...]] = [(key,) for key in requested.active if key not in paired]
    groups += [pair for pair in TOGETHER if any(key in requested.active for key in pair)]
    return [Chip(keys, _words(requested.active, keys), requested.without(*keys)) for keys in groups]


def loosened(requested: PanelQuery, chips: list[Chip]) -> list[tuple[Chip, str]]:
    """Return each filter with the number of payments matching all others, most first, without useless ones.

    ENOUGH means this many or more.
    """
    if requested.tab != "payments":
        return []
    counts = [(_count_without(requested, chip.keys), chip) for chip in chips]
    counts.sort(key=lambda pair: -pair[0])
    return [
        (chip, f"{formatting.whole(ENOUGH)}+ payments" if count == ENOUGH else formatting.plural(count, "payment"))
        for count, chip in counts
        if count
    ]


def _count_without(requested: PanelQuery, keys: tuple[str, ...]) -> int:
    left = {key: value for key, value in requested.values.items() if key not in keys}
    return filters.select(left).count_up_to(ENOUGH)


def _words(active: Mapping[str, str], keys: tuple[str, ...]) -> str:
    if len(keys) == 2:
        return _ends(active.get(keys[0], ""), active.get(keys[1], ""), " FLUX" if "min_amount" in keys else "")
    return WORDS[keys[0]](active[keys[0]])


def _ends(first: str, last: str, unit: str) -> str:
    if first and last:
        return f"{first}{unit}" if first == last else f"{first} – {last}{unit}"
    return f"from {first}{unit}" if first else f"up to {last}{unit}"


def _sender(address: str) -> str:
    return f"from {WALLETS[address].short if address in WALLETS else formatting.short(address)}"


WORDS: Mapping[str, Callable[[str], str]] = {
    "search": lambda text: f"“{text}”",
    "app": lambda name: f"app {name}",
    "type": lambda name: TYPE_WORDS[name],
    "address": lambda address: f"to {formatting.short(address)}",
    "sender": _sender,
    "owner": lambda owner: f"owner {formatting.short(owner)}",
    "block": lambda height: f"block {height}",
}


WAYS: dict[str, Mapping[str, tuple[str, str]]] = {  # tab: key: words for descending, ascending
    "payments": {
        "timestamp": ("newest first", "oldest first"),
        "amount": ("largest first", "smallest first"),
        "block_height": ("highest block first", "lowest block first"),
    },
    "apps": {
        "flux": ("most FLUX first", "least FLUX first"),
        "payments": ("most payments first", "fewest payments first"),
        "usd": ("most dollars first", "fewest dollars first"),
        "last": ("most recently paid first", "least recently paid first"),
        "first": ("newest first", "oldest first"),
        "app": ("Z to A", "A to Z"),
    },
}
WAYS |= dict.fromkeys(TABS[2:], WAYS["apps"])


def ways(requested: PanelQuery) -> list[tuple[str, str, bool]]:
    """Return every order in words, with its `sort` (empty for the default) and whether it is active."""
    orders = [
        order
        for key, (falling, rising) in WAYS[requested.tab].items()
        for order in ((f"-{key}", falling), (key, rising))
    ]
    return [
        ("" if sort == default_sort(requested.tab) else sort, text, sort == requested.sort) for sort, text in orders
    ]


def sorts(requested: PanelQuery) -> dict[str, dict[str, str | None]]:
    """Return by column its current sorting, if any, and the link that sorts by it or reverses the order."""
    return {key: _sort(requested, key, words) for key, words in WAYS[requested.tab].items()}


def _sort(requested: PanelQuery, key: str, words: tuple[str, str]) -> dict[str, str | None]:
    descends = requested.sort.startswith("-")
    is_sorted = requested.sort.removeprefix("-") == key
    down = not descends if is_sorted else key != "app"
    return {
        "key": key,
        "direction": ("descending" if descends else "ascending") if is_sorted else None,
        "link": requested.link({"sort": f"{'-' if down else ''}{key}"}),
        "words": words[0] if down else words[1],
    }


def paged(requested: PanelQuery, total: int) -> Page[int]:
    """Return the requested page of this many rows, or the last one."""
    return Paginator(range(total), requested.limit).get_page(requested.page)
