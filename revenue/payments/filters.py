"""Filter, search and count payments exactly, at any size.

A search term can mean several things ("2026" starts txids, is part of names, and is an amount): a payment matches
if any of them applies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.db import connection
from django.db.models import BigIntegerField, CharField, Count, F, Q, QuerySet, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from rest_framework import serializers

from fluxtracker.api.fields import (
    Day,
    Flux,
    OneOf,
    PageQuery,
    Query,
    RangeOfDays,
    Whole,
    Words,
    satoshi,
    with_range,
)
from fluxtracker.periods import Bucket, Period, midnight
from fluxtracker.timestamps import parse_day
from fluxtracker.upstream.parsing import MAX_HEIGHT
from ops.registry import Hook
from revenue.models import App, AppType, Payment
from revenue.period_totals import Sums
from revenue.querysets import PaymentQuerySet
from revenue.selectors import APP_ORDERS, DEFAULT_APP_ORDER, OpenDays

MOST_SUMMED = 250_000  # rows that an anonymous search sums up
MOST_APPS = 10_000  # ids in one statement
TXID = re.compile(r"[0-9a-f]{4,64}")  # by prefix, from 4 characters on (docs/contract.md#api)
ADDRESS = re.compile(r"[0-9A-Za-z]{4,64}", re.ASCII)

# The same columns in an expression that no index serves: see `Meaning.unindexed`.
UNINDEXED: dict[str, Combinable] = {
    "any_txid": Coalesce("txid", Value(""), output_field=CharField()),
    "any_from_address": Coalesce("from_address", Value(""), output_field=CharField()),
    "any_address": Coalesce("address", Value(""), output_field=CharField()),
    "any_app_id": Coalesce(F("app_id"), Value(0), output_field=BigIntegerField()),
    "any_amount_sat": Coalesce("amount_sat", Value(-1), output_field=BigIntegerField()),
    "any_height": Coalesce(F("height"), Value(-1), output_field=BigIntegerField()),
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """One possible meaning of a term."""

    condition: Callable[[str], Q]
    """Builds the condition for a prefix of the column names."""
    rows: int
    """Number of matching payments."""
    address: str = ""
    """Set if it is only this tracked address."""
    period: Period | None = None
    """Set if it is only these days."""

    @property
    def indexed(self) -> Q:
        return self.condition("")

    @property
    def unindexed(self) -> Q:
        """Return the same condition without an index, so that no planner leaves the index being walked."""
        return self.condition("any_")


def meanings(term: str, days: OpenDays) -> list[Meaning]:
    """Return the meanings of the term with at least one payment."""
    candidates = [*_beginnings(term, days), *_app_names(term), *_amounts(term), *_dates(term, days)]
    return [meaning for meaning in candidates if meaning.rows]


def app_meaning(app: App) -> Meaning:
    """Return the payments of one app."""
    return Meaning(lambda prefix: Q(**{f"{prefix}app_id": app.pk}), app.payments)


def _counted(condition: Callable[[str], Q]) -> Meaning:
    """Count where no total helps. Index-only: 1,000,000 entries take about 50 ms."""
    return Meaning(condition, Payment.objects.filter(condition("")).count())


def _beginnings(term: str, days: OpenDays) -> Iterator[Meaning]:
    if TXID.fullmatch(term.lower()):
        yield _counted(lambda prefix: begins(f"{prefix}txid", term.lower()))
    if not ADDRESS.fullmatch(term):
        return
    yield _counted(lambda prefix: begins(f"{prefix}from_address", term))
    tracked = sorted(address for address in days.addresses if address.startswith(term))
    yield Meaning(
        lambda prefix: Q(**{f"{prefix}address__in": tracked}),
        days.at(tracked).total,
        address=tracked[0] if len(tracked) == 1 else "",
    )


def _app_names(term: str) -> Iterator[Meaning]:
    matching = App.objects.filter(payments__gt=0, name__icontains=term)
    apps = dict(matching.values_list("id", "payments"))
    these = list(apps) if len(apps) <= MOST_APPS else matching.values("id")
    yield Meaning(lambda prefix: Q(**{f"{prefix}app_id__in": these}), sum(apps.values()))


def _amounts(term: str) -> Iterator[Meaning]:
    sat = satoshi(term)
    if sat is not None:
        yield _counted(lambda prefix: Q(**{f"{prefix}amount_sat": sat}))


def _dates(term: str, days: OpenDays) -> Iterator[Meaning]:
    period = _period(term)
    if period is not None:
        first, last = period.first_day, period.last_day
        yield Meaning(lambda _: within(first, last), days.between(first, last).total, period=period)


def _period(term: str) -> Period | None:
    day, first = parse_day(term), parse_day(f"{term}-01")
    try:
        if day:
            return Period.containing(Bucket.DAY, midnight(day))
        return Period.containing(Bucket.MONTH, midnight(first)) if first else None
    except OverflowError:
        return None


def begins(column: str, beginning: str) -> Q:
    """Return rows whose column has this prefix.

    PostgreSQL's pattern index serves LIKE; SQLite's LIKE uses none, a range does.
    """
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__startswith": beginning})
    after = beginning[:-1] + chr(ord(beginning[-1]) + 1)
    return Q(**{f"{column}__gte": beginning, f"{column}__lt": after})


def within(first: date | None, last: date | None) -> Q:
    """Return payments of the UTC days `first` to `last`, both included, by the index of the default order."""
    condition = Q()
    if first is not None:
        condition &= Q(paid_at__gte=midnight(first))
    if last is not None and last < date.max:
        condition &= Q(paid_at__lt=_after(last))
    return condition


def _after(day: date) -> datetime:
    return midnight(day + timedelta(days=1))


ORDERS = {  # values of `sort`: column, descending. The id breaks ties.
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


FREE = (
    "sender",
    "owner",
    "type",
    "block",
    "min_amount",
    "max_amount",
)  # filters that daily totals cannot answer
LOOKUPS = {
    "address": "address",
    "sender": "from_address",
    "block": "height",
    "min_amount": "amount_sat__gte",
    "max_amount": "amount_sat__lte",
}


txids_of_owner: Hook[Callable[[str], QuerySet[Any, Any]]] = Hook(["selectors"])
"""Returns the transactions paid for an owner's apps; registered by the app that stores messages."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The matching payments. Each condition exists twice: indexed, and for a walk along another index."""

    values: Mapping[str, Any]
    """The filters, as read by `TransactionsQuery`; a missing or empty one matches everything."""
    days: OpenDays
    """Totals of the filters' days and address; rows outside do not match."""
    meanings: tuple[Meaning, ...] | None
    """Possible meanings of the search. None: no search. Empty: no match."""
    app_id: int | None = None
    """Checked in addition to the meanings."""

    @property
    def order(self) -> tuple[str, bool]:
        """Return the column, and whether it is descending."""
        return ORDERS[self.values.get("sort", DEFAULT_ORDER)]

    def has(self, *keys: str) -> bool:
        """Return whether any of these filters is set."""
        return any(self.values.get(key) not in (None, "") for key in keys)

    @property
    def is_plain(self) -> bool:
        """Return whether the daily totals alone decide which rows match."""
        return self.meanings is None and not self.has(*FREE)

    @property
    def is_narrowed(self) -> bool:
        """Return whether anything besides the meanings decides which rows match."""
        return bool(self.app_id) or self.has("from", "to", "address", *FREE)

    def rows(self, *conditions: Q) -> PaymentQuerySet:
        """Return rows that match the conditions and all filters but the search, by any index."""
        return Payment.objects.filter(self._within, self._filters(""), *conditions)

    def matches(self) -> PaymentQuerySet:
        """Return matching rows, by any index."""
        return self.rows(self._searched(lambda meaning: meaning.indexed))

    def walk(self) -> PaymentQuerySet:
        """Return the same rows by a query that only the default order's index can serve."""
        searched = self._searched(lambda meaning: meaning.unindexed)
        return Payment.objects.alias(**UNINDEXED).filter(self._within, self._filters("any_"), searched)

    @property
    def _within(self) -> Q:
        return within(self.values.get("from"), self.values.get("to"))

    def _searched(self, form: Callable[[Meaning], Q]) -> Q:
        return reduce(or_, map(form, self.meanings)) if self.meanings else Q()

    def _filters(self, prefix: str) -> Q:
        conditions = {f"{prefix}{lookup}": self.values[key] for key, lookup in LOOKUPS.items() if self.has(key)}
        if self.has("owner"):
            (txids,) = (read(self.values["owner"]) for read in txids_of_owner)
            conditions[f"{prefix}txid__in"] = txids
        if self.app_id:
            conditions[f"{prefix}app_id"] = self.app_id
        return Q(**conditions, app_type=self.values["type"]) if self.has("type") else Q(**conditions)

    def count(self) -> int:
        """Return the number of matching rows."""
        if self.is_plain:
            return self.days.total
        if not self.days.total or self.meanings == ():
            return 0
        return self.rows().count() if self.meanings is None else self._count_meanings(self.meanings)

    def sums(self) -> Sums:
        """Return the sums of all matching rows, with their number from `count`. At most one query more."""
        if self.is_plain:
            sums = self.days.sums
        else:
            payments = self.count()
            if not payments:
                return Sums(0, 0, 0, 0)
            if payments > MOST_SUMMED:
                return Sums(None, payments, None, 0)
            row = self.matches().aggregate(sat=Sum("amount_sat"), micro=Sum("usd_micro"), priced=Count("usd_micro"))
            sums = (row["sat"] or 0, payments, row["micro"] or 0, row["priced"])
        sat, payments, micro, priced = sums
        return Sums(sat, payments, micro if priced or not payments else None, payments - priced)

    def count_up_to(self, most: int) -> int:
        """Count matching rows up to `most`, so that no wide filter scans everything."""
        if self.is_plain:
            return min(self.days.total, most)
        if not self.days.total or self.meanings == ():
            return 0
        return self.matches()[:most].count()

    def _count_meanings(self, selected: tuple[Meaning, ...]) -> int:
        """Count rows of all meanings, each once; totals usually give the largest."""
        sizes = sorted(((self._size(meaning), meaning) for meaning in selected), key=lambda size: -size[0])
        total, seen = 0, Q()
        for size, meaning in sizes:
            if size:
                total += self.rows(meaning.indexed).exclude(seen).count() if seen else size
                seen |= meaning.indexed
        return total

    def _size(self, meaning: Meaning) -> int:
        return self.rows(meaning.indexed).count() if self.is_narrowed else meaning.rows


def select(values: Mapping[str, Any]) -> Selection:
    """Return the selection for the filters of `TransactionsQuery`, using totals and apps."""
    everything = OpenDays()
    term, name = values.get("search"), values.get("app")
    selected = meanings(term, everything) if term else None
    if selected is not None and len(selected) == 1:
        values, selected = _as_filter(values, selected)
    app = App.objects.filter(name=name).first() if name else None
    app_id = None
    if name and app is None:
        selected = []
    elif app is not None and selected is None:
        selected = [app_meaning(app)]
    elif app is not None:
        app_id = app.pk
    days = everything.between(values.get("from"), values.get("to"))
    if values.get("address"):
        days = days.at([values["address"]])
    return Selection(values, days, None if selected is None else tuple(selected), app_id)


def _as_filter(values: Mapping[str, Any], selected: list[Meaning]) -> tuple[Mapping[str, Any], list[Meaning] | None]:
    """Replace a search for just a tracked address or days with the filter of that name."""
    meaning = selected[0]
    if meaning.period is not None:
        first = max(values.get("from") or date.min, meaning.period.first_day)
        last = min(values.get("to") or date.max, meaning.period.last_day)
        return {**values, "from": first, "to": last}, None
    if meaning.address and values.get("address") in (None, "", meaning.address):
        return {**values, "address": meaning.address}, None
    return values, selected


def _days() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    return {
        "from": Day(required=False, help_text="First UTC day, included."),
        "to": Day(required=False, help_text="Last UTC day, included."),
        "range": RangeOfDays("`from` and `to`"),
    }


class _InDays(PageQuery):
    """A list limited by days; a `range` is read as its `from` and `to`."""

    ends: ClassVar[Sequence[tuple[str, str]]] = (("from", "to"),)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | _days()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate(with_range(attrs, self.initial_data, "from", "to"))


class TransactionsQuery(_InDays):
    search = Words(
        help_text="Start of a txid or an address (4 characters or more), part of an app name, "
        "an exact amount of FLUX, a day YYYY-MM-DD or a month YYYY-MM."
    )
    app = Words(help_text="Exact app name.")
    sort = OneOf(list(ORDERS), default=DEFAULT_ORDER, help_text="A minus means descending.")
    type = OneOf(list(AppType.values), required=False, help_text="How the app was deployed.")
    address = Words(help_text="Exact address that was paid.")
    sender = Words(help_text="Exact address that paid.")
    owner = Words(help_text="Exact id of the owner whose apps were paid for.")
    block = Whole(required=False, maximum=MAX_HEIGHT, help_text="Height of the block.")
    min_amount = Flux(required=False, help_text="FLUX, included.")
    max_amount = Flux(required=False, help_text="FLUX, included.")
    ends = (("from", "to"), ("min_amount", "max_amount"))


class AppsQuery(_InDays):
    search = Words(help_text="Part of an app name.")
    sort = OneOf(list(APP_ORDERS), default=DEFAULT_APP_ORDER, help_text="A minus means descending.")


class DailyQuery(Query):
    days = Whole(default=30, maximum=3650, help_text="Days back from today, today included.")
    range = RangeOfDays("`days`")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return with_range(attrs, self.initial_data, "start", "end")
