"""What the payments panel is asked for by the page's address. A wrong value falls back and is said beside its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.utils.http import urlencode
from rest_framework import serializers

from revenue.apps_listing import APP_ORDERS, DEFAULT_APP_ORDER
from revenue.listing import DEFAULT_ORDER, ORDERS, Wanted
from revenue.queries import AppsQuery, TransactionsQuery, wanted

FILTERS = ("search", "app", "type", "address", "sender", "from", "to", "min_amount", "max_amount")
OWN = ("tab", *FILTERS, "sort", "page", "limit")
TABS = ("payments", "apps")
LIMITS = (25, 50, 100, 200)
PLACE = "#panel-payments"  # where a browser without JavaScript comes back to
PAGE = re.compile(r"0*[1-9][0-9]{0,14}", re.ASCII)
REVERSED = {
    "from": "The first day lies after the last one.",
    "min_amount": "The smallest amount is more than the largest one.",
}
LEFT_OUT = "The list is shown without it."


@dataclass(frozen=True, slots=True)
class Asked:
    """The state of the panel, checked."""

    tab: str
    values: Mapping[str, Any]
    """The filters as the ledger's serializers read them."""
    typed: Mapping[str, str]
    """The same as the visitor wrote them, wrong ones too: what stands in the fields."""
    wrong: Mapping[str, str]
    """What is wrong, by field, in a sentence."""
    sort: str
    page: int
    limit: int
    others: tuple[tuple[str, str], ...]
    """The address's keys of the other panels."""

    @property
    def active(self) -> dict[str, str]:
        """The filters that hold, as the visitor wrote them."""
        return {key: self.typed[key] for key in FILTERS if key in self.values and key in self.typed}

    @property
    def wanted(self) -> Wanted:
        return wanted(dict(self.values) | {"sort": self.sort})

    @property
    def is_live(self) -> bool:
        """Whether new payments come in at the top of what is shown."""
        return self.tab == "payments" and not self.active and self.sort == DEFAULT_ORDER and self.page == 1

    def keys(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """The panel's own keys that an address needs, with changes; an empty value drops a key. Begins at page 1."""
        own = {"tab": self.tab, **self.active, "sort": self.sort, "limit": str(self.limit)} | dict(changes or {})
        defaults = {"tab": "payments", "limit": str(LIMITS[0]), "page": "1", "sort": default_sort(own["tab"])}
        return {key: own[key] for key in OWN if own.get(key) and own[key] != defaults.get(key)}

    def link(self, changes: Mapping[str, str] | None = None) -> str:
        """Another state of the panel, and all else as it is."""
        return f"/?{urlencode([*self.others, *self.keys(changes).items()])}{PLACE}"

    def without(self, *keys: str) -> str:
        """The list without these filters."""
        return self.link(dict.fromkeys(keys, ""))

    def hidden(self, *fields: str) -> list[tuple[str, str]]:
        """What a form has to carry besides its fields."""
        return [*self.others, *((key, value) for key, value in self.keys().items() if key not in fields)]


def parse(query: QueryDict) -> Asked:
    given = {key: str(query[key]).strip() for key in OWN if key in query}
    tab = given.get("tab", "")
    tab = tab if tab in TABS else TABS[0]
    typed = {key: given[key] for key in FILTERS if given.get(key)}
    values, wrong = checked(TransactionsQuery if tab == "payments" else AppsQuery, typed)
    page, wrong_page = _page(given.get("page", ""))
    sort, limit = given.get("sort", ""), given.get("limit", "")
    return Asked(
        tab=tab,
        values={key: value for key, value in values.items() if key in FILTERS},
        typed=typed,
        wrong=wrong | wrong_page,
        sort=sort if sort in _orders(tab) else default_sort(tab),
        page=page,
        limit=int(limit) if limit in map(str, LIMITS) else LIMITS[0],
        others=tuple((key, str(value)) for key, value in query.items() if key not in OWN),
    )


def default_sort(tab: str) -> str:
    return DEFAULT_ORDER if tab == "payments" else DEFAULT_APP_ORDER


def checked(
    query: type[serializers.Serializer[Any]], typed: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of what is right, and a sentence for each key that is wrong."""
    left, wrong = dict(typed), dict[str, str]()
    while not (form := query(data=left)).is_valid():
        for key, words in form.errors.items():
            del left[key]
            wrong[key] = f"{_sentence(key, ' '.join(map(str, words)))} {LEFT_OUT}"
    return dict(form.validated_data), wrong


def _sentence(key: str, words: str) -> str:
    if words.startswith("must not be after"):
        return REVERSED[key]
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _page(text: str) -> tuple[int, dict[str, str]]:
    if not text:
        return 1, {}
    if PAGE.fullmatch(text):
        return int(text), {}
    return 1, {"page": "Expected a whole number from 1; this is page 1."}


def _orders(tab: str) -> list[str]:
    return list(ORDERS) if tab == "payments" else APP_ORDERS
