"""The filters that hold, each with a way to be rid of it; and which of them to loosen when nothing fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dashboard.payments_query import Asked
from dashboard.payments_words import WALLETS
from fluxtracker import figures
from revenue import listing

CLEARED: Mapping[str, Mapping[str, Any]] = {  # filter: what it is in `Wanted` when it does not hold
    "search": {"search": ""},
    "app": {"app": ""},
    "type": {"app_type": ""},
    "address": {"address": ""},
    "sender": {"sender": ""},
    "from": {"first": None},
    "to": {"last": None},
    "min_amount": {"min_sat": None},
    "max_amount": {"max_sat": None},
}
TOGETHER = (("from", "to"), ("min_amount", "max_amount"))  # two ends of one thing
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
        return f"{figures.plural(self.payments, 'payment')}{' or more' if self.payments == ENOUGH else ''}"


def chips(asked: Asked) -> list[Chip]:
    paired = {key for pair in TOGETHER for key in pair}
    groups: list[tuple[str, ...]] = [(key,) for key in asked.active if key not in paired]
    groups += [pair for pair in TOGETHER if any(key in asked.active for key in pair)]
    return [Chip(keys, _words(asked.active, keys), asked.without(*keys)) for keys in groups]


def loosened(asked: Asked, found: list[Chip]) -> list[Loosened]:
    """For each filter how many payments fit all others, the most first; those that change nothing are left out."""
    if asked.tab != "payments":
        return []
    counts = [Loosened(chip, _count_without(asked, chip.keys)) for chip in found]
    return sorted((one for one in counts if one.payments), key=lambda one: -one.payments)


def _count_without(asked: Asked, keys: tuple[str, ...]) -> int:
    cleared = {name: value for key in keys for name, value in CLEARED[key].items()}
    return listing.select(replace(asked.wanted, **cleared)).count_up_to(ENOUGH)


def _words(active: Mapping[str, str], keys: tuple[str, ...]) -> str:
    if len(keys) == 2:
        return _ends(active.get(keys[0], ""), active.get(keys[1], ""), " FLUX" if "min_amount" in keys else "")
    return WORDS[keys[0]](active[keys[0]])


def _ends(first: str, last: str, unit: str) -> str:
    if first and last:
        return f"{first}{unit}" if first == last else f"{first} – {last}{unit}"
    return f"from {first}{unit}" if first else f"up to {last}{unit}"


def _sender(address: str) -> str:
    return f"from {WALLETS[address].short if address in WALLETS else figures.short(address)}"


WORDS: Mapping[str, Callable[[str], str]] = {
    "search": lambda text: f"“{text}”",
    "app": lambda name: f"app {name}",
    "type": lambda name: TYPE_WORDS[name],
    "address": lambda address: f"to {figures.short(address)}",
    "sender": _sender,
}
