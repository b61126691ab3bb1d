"""What a list can be sorted by: at the heads of its columns, and as words where there are no columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dashboard.payments_query import Asked, default_sort

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
        "last": ("paid last first", "paid last last"),
        "first": ("newest app first", "oldest app first"),
        "app": ("Z to A", "A to Z"),
    },
}
ALIASES = {"date": "timestamp"}  # the API's other name of the same


@dataclass(frozen=True, slots=True)
class Sort:
    """A column that can be sorted by. `direction` is set when the list is sorted by it; `link` turns it round."""

    key: str
    direction: Direction | None
    link: str
    words: str
    """What a click does."""


def sorts(asked: Asked) -> dict[str, Sort]:
    """By column."""
    sort = _plain(asked.sort)
    now = sort.removeprefix("-"), sort.startswith("-")
    return {key: _sort(asked, key, words, now) for key, words in WAYS[asked.tab].items()}


def ways(asked: Asked) -> list[tuple[str, str, bool]]:
    """Every order in words: its `sort`, empty for the usual one, and whether it holds."""
    found = []
    for key, words in WAYS[asked.tab].items():
        for sort, text in zip((f"-{key}", key), words, strict=True):
            found.append(("" if sort == default_sort(asked.tab) else sort, text, sort == _plain(asked.sort)))
    return found


def _plain(sort: str) -> str:
    sign, name = ("-", sort[1:]) if sort.startswith("-") else ("", sort)
    return f"{sign}{ALIASES.get(name, name)}"


def _sort(asked: Asked, key: str, words: tuple[str, str], now: tuple[str, bool]) -> Sort:
    sorted_by, descending = now
    first_down = key != "app"
    down = not descending if sorted_by == key else first_down
    direction: Direction | None = None
    if sorted_by == key:
        direction = "descending" if descending else "ascending"
    return Sort(key, direction, asked.link({"sort": f"{'-' if down else ''}{key}"}), words[0] if down else words[1])
