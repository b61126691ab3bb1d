"""What a search term may mean, as conditions that an index answers on either engine.

A term can be several things at once ("2026" begins txids, is part of app names and an amount): a payment is
found when any of them fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import BigIntegerField, CharField, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from fluxtracker.api.params import satoshi
from fluxtracker.periods import Length, Period, midnight
from revenue.models import App, Payment
from revenue.opendays import OpenDays

MOST_APPS = 10_000  # ids in one statement
TXID = re.compile(r"[0-9a-f]{4,64}")  # by its beginning, from 4 characters on (docs/contract.md#api)
ADDRESS = re.compile(r"[0-9A-Za-z]{4,64}", re.ASCII)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
MONTH = re.compile(r"[0-9]{4}-[0-9]{2}", re.ASCII)

# The same columns behind an expression that no index serves: see `Meaning.unindexed`.
UNINDEXED: dict[str, Combinable] = {
    "any_txid": Coalesce("txid", Value(""), output_field=CharField()),
    "any_from_address": Coalesce("from_address", Value(""), output_field=CharField()),
    "any_address": Coalesce("address", Value(""), output_field=CharField()),
    "any_app_id": Coalesce(F("app_id"), Value(0), output_field=BigIntegerField()),
    "any_amount_sat": Coalesce("amount_sat", Value(-1), output_field=BigIntegerField()),
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that a term may mean."""

    condition: Callable[[str], Q]
    """Makes the condition from a prefix of the columns' names."""
    rows: int
    """How many payments fit."""
    address: str = ""
    """Set when it is nothing but this tracked address."""
    period: Period | None = None
    """Set when it is nothing but these days."""

    @property
    def indexed(self) -> Q:
        return self.condition("")

    @property
    def unindexed(self) -> Q:
        """The same for a walk along another index, so that no planner leaves that one for this condition."""
        return self.condition("any_")


def meanings(term: str, days: OpenDays) -> list[Meaning]:
    """Everything that the term means for at least one payment."""
    found = [*_beginnings(term, days), *_app_names(term), *_amounts(term), *_dates(term, days)]
    return [meaning for meaning in found if meaning.rows]


def app_meaning(app: App) -> Meaning:
    """The payments of one app."""
    return Meaning(lambda prefix: Q(**{f"{prefix}app_id": app.pk}), app.payments)


def _counted(condition: Callable[[str], Q]) -> Meaning:
    """For what no total knows. The index alone answers: 1,000,000 entries take about 50 ms."""
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
    found = App.objects.filter(payments__gt=0, name__icontains=term)
    apps = dict(found.values_list("id", "payments"))
    these = list(apps) if len(apps) <= MOST_APPS else found.values("id")
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
    try:
        if DAY.fullmatch(term):
            return Period.containing(Length.DAILY, midnight(date.fromisoformat(term)))
        if MONTH.fullmatch(term):
            return Period.containing(Length.MONTHLY, midnight(date.fromisoformat(f"{term}-01")))
    except (ValueError, OverflowError):
        pass
    return None


def begins(column: str, beginning: str) -> Q:
    """Rows whose column begins so. PostgreSQL's pattern index serves LIKE; SQLite's LIKE uses none, a range does."""
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__startswith": beginning})
    after = beginning[:-1] + chr(ord(beginning[-1]) + 1)
    return Q(**{f"{column}__gte": beginning, f"{column}__lt": after})


def within(first: date | None, last: date | None) -> Q:
    """Payments of the UTC days `first` to `last`, both included, by the index of the default order."""
    condition = Q()
    if first is not None:
        condition &= Q(paid_at__gte=midnight(first))
    if last is not None and last < date.max:
        condition &= Q(paid_at__lt=_after(last))
    return condition


def _after(day: date) -> datetime:
    return midnight(day + timedelta(days=1))
