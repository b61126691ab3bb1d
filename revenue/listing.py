"""Which payments a reader asks for, and how many they are: exact at any size, mostly without counting rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from operator import or_

from django.db.models import Q

from revenue.models import App, Payment
from revenue.opendays import OpenDays
from revenue.querysets import PaymentQuerySet
from revenue.search import UNINDEXED, Meaning, app_meaning, meanings, within

ORDERS = {  # what `sort` may say: column, descending. The id decides between equals.
    "-timestamp": ("paid_at", True),
    "timestamp": ("paid_at", False),
    "-date": ("paid_at", True),
    "date": ("paid_at", False),
    "-amount": ("amount_sat", True),
    "amount": ("amount_sat", False),
    "-block_height": ("height", True),
    "block_height": ("height", False),
}
DEFAULT_ORDER = "-timestamp"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader asks for. Empty and None: everything."""

    first: date | None = None
    last: date | None = None
    address: str = ""
    sender: str = ""
    app: str = ""
    app_type: str = ""
    min_sat: int | None = None
    max_sat: int | None = None
    search: str = ""
    sort: str = DEFAULT_ORDER

    @property
    def order(self) -> tuple[str, bool]:
        """Column, and whether descending."""
        return ORDERS[self.sort]


@dataclass(frozen=True, slots=True)
class Selection:
    """The payments that fit. Conditions come twice: indexed, and for a walk along another index."""

    wanted: Wanted
    days: OpenDays
    """Of the days and the address asked for: rows outside of them do not fit."""
    meanings: tuple[Meaning, ...] | None
    """What the search may mean; None: no search. Empty: nothing fits."""
    app_id: int | None = None
    """To be looked at besides the meanings."""

    @property
    def is_plain(self) -> bool:
        """Whether the daily totals alone say which rows fit."""
        wanted = self.wanted
        return self.meanings is None and not (wanted.sender or wanted.app_type or self._has_amounts)

    @property
    def is_narrowed(self) -> bool:
        """Whether something besides the meanings decides which rows fit."""
        wanted = self.wanted
        return bool(
            wanted.first or wanted.last or wanted.address or wanted.sender or wanted.app_type
            or self.app_id or self._has_amounts
        )  # fmt: skip

    @property
    def _has_amounts(self) -> bool:
        return self.wanted.min_sat is not None or self.wanted.max_sat is not None

    def rows(self, *conditions: Q) -> PaymentQuerySet:
        """Rows that fit all but the search, and the conditions; by whatever index serves."""
        return Payment.objects.filter(self._within, self._filters(""), *conditions)

    def matches(self) -> PaymentQuerySet:
        """Rows that fit, by whatever index serves."""
        return self.rows(self._searched(lambda meaning: meaning.indexed))

    def walk(self) -> PaymentQuerySet:
        """The same rows, so written that only the index of the default order can serve."""
        searched = self._searched(lambda meaning: meaning.unindexed)
        return Payment.objects.alias(**UNINDEXED).filter(self._within, self._filters("any_"), searched)

    @property
    def _within(self) -> Q:
        return within(self.wanted.first, self.wanted.last)

    def _searched(self, form: Callable[[Meaning], Q]) -> Q:
        return reduce(or_, map(form, self.meanings)) if self.meanings else Q()

    def _filters(self, prefix: str) -> Q:
        wanted = self.wanted
        exact = {"address": wanted.address, "from_address": wanted.sender, "app_id": self.app_id}
        condition = Q(**{f"{prefix}{column}": value for column, value in exact.items() if value})
        if wanted.app_type:
            condition &= Q(app_type=wanted.app_type)
        if wanted.min_sat is not None:
            condition &= Q(**{f"{prefix}amount_sat__gte": wanted.min_sat})
        if wanted.max_sat is not None:
            condition &= Q(**{f"{prefix}amount_sat__lte": wanted.max_sat})
        return condition

    def count(self) -> int:
        """How many rows fit."""
        if self.is_plain:
            return self.days.total
        if not self.days.total or self.meanings == ():
            return 0
        return self.rows().count() if self.meanings is None else self._count_meanings(self.meanings)

    def count_up_to(self, most: int) -> int:
        """How many rows fit, `most` for all that are more: it stops there, so that no wide filter scans everything."""
        if self.is_plain:
            return min(self.days.total, most)
        if not self.days.total or self.meanings == ():
            return 0
        return self.matches()[:most].count()

    def _count_meanings(self, found: tuple[Meaning, ...]) -> int:
        """The rows of each meaning that no bigger one has; the biggest is mostly known from totals."""
        sizes = sorted(((self._size(meaning), meaning) for meaning in found), key=lambda size: -size[0])
        total, seen = 0, Q()
        for size, meaning in sizes:
            if size:
                total += self.rows(meaning.indexed).exclude(seen).count() if seen else size
                seen |= meaning.indexed
        return total

    def _size(self, meaning: Meaning) -> int:
        return self.rows(meaning.indexed).count() if self.is_narrowed else meaning.rows


def select(wanted: Wanted) -> Selection:
    """Look up what the totals and the apps know of what is asked for."""
    everything = OpenDays.load()
    found = meanings(wanted.search, everything) if wanted.search else None
    if found is not None and len(found) == 1:
        wanted, found = _as_filter(wanted, found)
    app = App.objects.filter(name=wanted.app).first() if wanted.app else None
    app_id = None
    if wanted.app and app is None:
        found = []
    elif app is not None and found is None:
        found = [app_meaning(app)]
    elif app is not None:
        app_id = app.pk
    days = everything.between(wanted.first, wanted.last)
    if wanted.address:
        days = days.at([wanted.address])
    return Selection(wanted, days, None if found is None else tuple(found), app_id)


def _as_filter(wanted: Wanted, found: list[Meaning]) -> tuple[Wanted, list[Meaning] | None]:
    """A search that means nothing but a tracked address or some days is the filter of that name."""
    meaning = found[0]
    if meaning.period is not None:
        first = max(wanted.first or date.min, meaning.period.first_day)
        last = min(wanted.last or date.max, meaning.period.last_day)
        return replace(wanted, first=first, last=last), None
    if meaning.address and wanted.address in ("", meaning.address):
        return replace(wanted, address=meaning.address), None
    return wanted, found
