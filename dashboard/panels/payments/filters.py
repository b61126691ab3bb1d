"""Read the payments panel's filters, sorting and page from the query. A wrong value falls back with a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.http import QueryDict
from django.utils.http import urlencode
from rest_framework.exceptions import ErrorDetail

from dashboard.panels.payments.rows import WALLETS
from fluxtracker import formatting
from revenue.payments import filters
from revenue.payments.filters import DEFAULT_ORDER, AppsQuery, TransactionsQuery
from revenue.selectors import DEFAULT_APP_ORDER

FILTERS = ("search", "app", "type", "address", "sender", "from", "to", "min_amount", "max_amount")
OWN = ("tab", *FILTERS, "sort", "page", "limit")
TABS = ("payments", "apps")
LIMITS = (25, 50, 100, 200)
PLACE = "#panel-payments"  # where a browser without JavaScript comes back to
WRONG_PAGE = "Expected a whole number from 1; this is page 1."
REVERSED = {
    "from": "The first day lies after the last one.",
    "min_amount": "The smallest amount is more than the largest one.",
}
LEFT_OUT = "The list is shown without it."


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """The state of the panel, checked."""

    tab: str
    values: Mapping[str, Any]
    """The filters, the sorting and the page as the API's query reads them."""
    typed: Mapping[str, str]
    """The same as the visitor wrote them, wrong ones too: what stands in the fields."""
    wrong: Mapping[str, str]
    """What is wrong, by field, in a sentence."""
    limit: int
    others: tuple[tuple[str, str], ...]
    """The address's keys of the other panels."""

    @property
    def sort(self) -> str:
        return str(self.values["sort"])

    @property
    def page(self) -> int:
        return int(self.values["page"])

    @property
    def active(self) -> dict[str, str]:
        """Return the filters that hold, as the visitor wrote them."""
        return {key: self.typed[key] for key in FILTERS if key in self.values and key in self.typed}

    @property
    def is_live(self) -> bool:
        """Return whether new payments come in at the top of what is shown."""
        return self.tab == "payments" and not self.active and self.sort == DEFAULT_ORDER and self.page == 1

    def keys(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the panel's own keys that an address needs, with changes; an empty value drops a key.

        Begins at page 1.
        """
        own = {"tab": self.tab, **self.active, "sort": self.sort, "limit": str(self.limit)} | dict(changes or {})
        defaults = {"tab": "payments", "limit": str(LIMITS[0]), "page": "1", "sort": default_sort(own["tab"])}
        return {key: own[key] for key in OWN if own.get(key) and own[key] != defaults.get(key)}

    def link(self, changes: Mapping[str, str] | None = None) -> str:
        """Another state of the panel, and all else as it is."""
        return f"?{urlencode([*self.others, *self.keys(changes).items()])}{PLACE}"

    def without(self, *keys: str) -> str:
        """Return the list without these filters."""
        return self.link(dict.fromkeys(keys, ""))

    def hidden(self, *fields: str) -> list[tuple[str, str]]:
        """Return what a form has to carry besides its fields."""
        return [*self.others, *((key, value) for key, value in self.keys().items() if key not in fields)]


def parse(query: QueryDict) -> PanelQuery:
    given = {key: text for key in OWN if (text := str(query.get(key, "")).strip())}
    tab = given["tab"] if given.get("tab") in TABS else TABS[0]
    form = TransactionsQuery if tab == "payments" else AppsQuery
    values, wrong = form.read_valid({key: given[key] for key in (*FILTERS, "sort", "page") if key in given})
    wrong.pop("sort", None)
    limit = given.get("limit", "")
    return PanelQuery(
        tab=tab,
        values=values | {"sort": values["sort"].replace("date", "timestamp")},  # the API's other name of the same
        typed={key: given[key] for key in FILTERS if key in given},
        wrong={key: _sentence(key, error) for key, error in wrong.items()},
        limit=int(limit) if limit in map(str, LIMITS) else LIMITS[0],
        others=tuple((key, str(value)) for key, value in query.items() if key not in OWN),
    )


def default_sort(tab: str) -> str:
    return DEFAULT_ORDER if tab == "payments" else DEFAULT_APP_ORDER


def _sentence(key: str, error: ErrorDetail) -> str:
    if key == "page":
        return WRONG_PAGE
    what = REVERSED[key] if error.code == "order" else f"{error[:1].upper()}{error[1:].rstrip('.')}."
    return f"{what} {LEFT_OUT}"


TOGETHER = TransactionsQuery.ends  # two ends of one thing
ENOUGH = 1_000  # what would be found is counted up to here: nobody waits for the exact number
TYPE_WORDS = {"git": "git", "docker": "docker", "unknown": "other or not known"}


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in words, and the list without it."""

    keys: tuple[str, ...]
    words: str
    link: str


@dataclass(frozen=True, slots=True)
class Loosened:
    """What would be found without a filter."""

    chip: Chip
    payments: int
    """At most ENOUGH, which then means that many or more."""

    @property
    def words(self) -> str:
        return (
            f"{formatting.whole(self.payments)}+ payments"
            if self.payments == ENOUGH
            else formatting.plural(self.payments, "payment")
        )


def chips(requested: PanelQuery) -> list[Chip]:
    paired = {key for pair in TOGETHER for key in pair}
    groups: list[tuple[str, ...]] = [(key,) for key in requested.active if key not in paired]
    groups += [pair for pair in TOGETHER if any(key in requested.active for key in pair)]
    return [Chip(keys, _words(requested.active, keys), requested.without(*keys)) for keys in groups]


def loosened(requested: PanelQuery, found: list[Chip]) -> list[Loosened]:
    """For each filter how many payments fit all others, the most first; those that change nothing are left out."""
    if requested.tab != "payments":
        return []
    counts = [Loosened(chip, _count_without(requested, chip.keys)) for chip in found]
    return sorted((one for one in counts if one.payments), key=lambda one: -one.payments)


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
}


Direction = Literal["ascending", "descending"]
WAYS: Mapping[str, Mapping[str, tuple[str, str]]] = {  # tab: key: words for descending, ascending
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
        "first": ("newest app first", "oldest app first"),
        "app": ("Z to A", "A to Z"),
    },
}


@dataclass(frozen=True, slots=True)
class Sort:
    """A column that can be sorted by. `direction` is set when the list is sorted by it; `link` turns it round."""

    key: str
    direction: Direction | None
    link: str
    words: str
    """What a click does."""


def sorts(requested: PanelQuery) -> dict[str, Sort]:
    """By column."""
    return {key: _sort(requested, key, words) for key, words in WAYS[requested.tab].items()}


def ways(requested: PanelQuery) -> list[tuple[str, str, bool]]:
    """Return every order in words: its `sort`, empty for the usual one, and whether it holds."""
    orders = [
        order
        for key, (falling, rising) in WAYS[requested.tab].items()
        for order in ((f"-{key}", falling), (key, rising))
    ]
    return [
        ("" if sort == default_sort(requested.tab) else sort, text, sort == requested.sort) for sort, text in orders
    ]


def _sort(requested: PanelQuery, key: str, words: tuple[str, str]) -> Sort:
    descends = requested.sort.startswith("-")
    is_sorted = requested.sort.removeprefix("-") == key
    down = not descends if is_sorted else key != "app"
    direction: Direction | None = ("descending" if descends else "ascending") if is_sorted else None
    return Sort(key, direction, requested.link({"sort": f"{'-' if down else ''}{key}"}), words[0] if down else words[1])


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a page stands in the list. An empty address: there is no such page."""

    page: int
    pages: int
    total: int
    offset: int
    last_row: int
    first: str
    previous: str
    next: str
    last: str
    limits: tuple[tuple[int, str], ...]
    hidden: tuple[tuple[str, str], ...]
    past_end: str
    """What to say for a page that does not exist."""

    @property
    def first_row(self) -> int:
        return self.offset + 1 if self.total else 0


def pager(requested: PanelQuery, total: int) -> Pager:
    """Return the requested page; the last one when there are not so many."""
    pages = max(-(-total // requested.limit), 1)
    page = min(requested.page, pages)
    offset = (page - 1) * requested.limit

    def to(number: int) -> str:
        return requested.link({"page": str(number)}) if 1 <= number <= pages and number != page else ""

    return Pager(
        page=page,
        pages=pages,
        total=total,
        offset=offset,
        last_row=min(offset + requested.limit, total),
        first=to(1),
        previous=to(page - 1),
        next=to(page + 1),
        last=to(pages),
        limits=tuple((limit, requested.link({"limit": str(limit)})) for limit in LIMITS),
        hidden=tuple(requested.hidden("page")),
        past_end=f"There {_pages(pages)}; this is the last." if requested.page > pages else "",
    )


def _pages(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {formatting.plural(count, 'page')}"
