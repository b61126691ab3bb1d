"""Report revenue by source and category over time, and by app over some days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import chain
from operator import add, attrgetter
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Max, Min, Sum
from django.db.models.functions import Coalesce

from deployments.splits import daily, periods
from deployments.splits.daily import APP, CATEGORY, NOTHING, SOURCE, Splits, compute, pending_days
from fluxtracker.batches import chunks
from fluxtracker.database import read_snapshot
from fluxtracker.periods import Bucket, Span, split
from revenue.labels import SOURCES, UNKNOWN
from revenue.models import AppFigures, Label, LedgerState, Payment, PrunedPayment
from revenue.querysets import SUMMED
from revenue.selectors import COLUMNS, Sums, Totals

TEAM, ORGANIC = Label.Category.TEAM.value, "organic"
WAITING = "{days} days have changed and are not split again yet."
PRUNED = "Payments of some of these days were pruned before their senders were kept."


@dataclass(frozen=True, slots=True)
class Row:
    """A span's total and its parts; `parts` None: not known."""

    span: Span
    total: Sums
    complete: bool
    parts: Mapping[str, Sums] | None


@dataclass(frozen=True)
class Breakdown:
    """A total in parts, oldest first. `keys`: every part that there is."""

    rows: Sequence[Row]
    keys: Sequence[str]
    as_of: datetime | None
    unsplit: int
    """Days whose parts are not known."""

    @cached_property
    def known_percent(self) -> float | None:
        """Return the share of the FLUX that is in another part than unknown."""
        parts = [row for row in self.rows if row.parts is not None]
        whole = sum(row.total.revenue_sat or 0 for row in parts)
        unknown = sum((row.parts or {}).get(UNKNOWN, ZERO).revenue_sat or 0 for row in parts)
        return round((whole - unknown) * 100 / whole, 2) if whole else None

    @cached_property
    def priced_percent(self) -> float | None:
        """Return the share of the payments that have a price."""
        payments = sum(row.total.payments or 0 for row in self.rows)
        return round(100 - sum(row.total.usd_missing for row in self.rows) * 100 / payments, 2) if payments else None


def sums(part: daily.Sums) -> Sums:
    """Return a part as answers write it: without any price its dollars are not known."""
    revenue_sat, payments, usd_micro, priced = part
    return Sums(revenue_sat, payments, usd_micro if priced or not payments else None, payments - priced)


ZERO = sums(NOTHING)


def breakdown(dimension: str, first: date, last: date, by: Bucket, now: datetime) -> Breakdown:
    """Return the revenue of these days by one dimension. Four queries, more where days wait to be split."""
    totals, found = Totals.load(first, last), Splits.load(dimension, first, last)
    keys = sorted({key for parts in found.parts.values() for key in parts})
    if dimension == SOURCE:
        keys = [*SOURCES]
    rows = [row(span, totals, found, keys, now) for span in split(first, last, by)]
    return Breakdown(rows, keys, totals.ledger.read_until, len(found.unsplit))


def row(span: Span, totals: Totals, found: Splits, keys: Sequence[str], now: datetime) -> Row:
    """Return the total of a span and its parts."""
    days = span.days()
    total, parts = totals.of(days), found.of(days)
    complete = all(totals.ledger.has_all_of(day, now) for day in days)
    if parts is None or total.revenue_sat is None:
        return Row(span, total, complete, None)
    return Row(span, total, complete, {key: sums(parts[key]) if key in parts else ZERO for key in keys})


def organic(row: Row) -> Sums | None:
    """Return the total without the team's part; None where a sender is not known."""
    if row.parts is None or row.parts[UNKNOWN].payments:
        return None
    total, team = row.total, row.parts[TEAM]
    payments, missing = (total.payments or 0) - (team.payments or 0), total.usd_missing - team.usd_missing
    is_priced = payments > missing or not payments
    usd_micro = (total.usd_micro or 0) - (team.usd_micro or 0) if is_priced else None
    return Sums((total.revenue_sat or 0) - (team.revenue_sat or 0), payments, usd_micro, missing)


def notes(found: Breakdown) -> dict[str, str]:
    """Return why figures are null, by figure."""
    said = {"parts": WAITING.format(days=found.unsplit)} if found.unsplit else {}
    if any(row.parts and row.parts.get(UNKNOWN, ZERO).payments for row in found.rows) and ORGANIC not in found.keys:
        said |= {ORGANIC: PRUNED} if TEAM in found.keys else {}
    if any(row.total.revenue_sat is None for row in found.rows):
        said["total"] = "No sync has looked into some of these days."
    return said


def sources(first: date, last: date, by: Bucket, now: datetime) -> Breakdown:
    return breakdown(SOURCE, first, last, by, now)


def categories(first: date, last: date, by: Bucket, now: datetime) -> Breakdown:
    return breakdown(CATEGORY, first, last, by, now)


NOT_SPLIT = "(not split yet)"
AT_ONCE = 31  # days in memory


def parts_of(dimension: str, span: Span) -> dict[str, Sums]:
    """Return a span's parts, the largest first; they add up to its total, with NOT_SPLIT for days that wait."""
    found: dict[str, daily.Sums] = {}
    for some in chunks(span.days(), AT_ONCE):
        with read_snapshot():
            loaded = Splits.load(dimension, some[0], some[-1])
            waiting = Totals.load(some[0], some[-1]).rows if loaded.unsplit else {}
        parts = [loaded.of(day for day in some if day not in loaded.unsplit) or {}]
        parts += [{NOT_SPLIT: tuple(waiting[day][name] for name in SUMMED)} for day in loaded.unsplit & waiting.keys()]
        for key, part in chain.from_iterable(each.items() for each in parts):
            found[key] = tuple(map(add, found.get(key, NOTHING), part))
    return {key: sums(part) for key, part in sorted(found.items(), key=lambda row: (-row[1][0], row[0]))}


class _AppSum(NamedTuple):
    name: str
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int
    first_paid_at: date
    last_paid_at: date


class AppSum(AppFigures, _AppSum):
    """Payments of one app on some days; its first and last payment are days."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AppSums:
    """Apps in the order asked for, and how many of the days are not in them yet."""

    apps: list[AppSum] = field(default_factory=list)
    total: int = 0
    """Number of apps, also beyond those that were asked for."""
    unsplit: int = 0
    as_of: datetime | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


Shown = tuple[int, int]
"""Start of a page and its number of rows."""


def apps_between(
    first: date | None,
    last: date | None,
    search: str,
    sort: str,
    dimension: str = APP,
    shown: Shown | None = None,
) -> AppSums:
    """Return what apps, or owners, paid from one day to another, pruned payments included: all, or a page of them.

    Four queries, more where days wait to be split.
    """
    first, last = first or date.min, last or date.max
    pending = pending_days(first, last)
    is_few = len(pending) <= daily.MOST_PENDING
    unsplit = 0 if is_few else len(pending)
    said = {"apps": WAITING.format(days=unsplit)} if unsplit else {}
    query = periods.select(dimension, first, last, pending, search)
    waiting = compute(pending, [dimension]) if pending and is_few else {}
    apps, total = _with_waiting(query, waiting, search, sort, shown) if waiting else _page(query, sort, shown)
    return AppSums(apps, total, unsplit, LedgerState.known().read_until, said)


def _page(query: periods.Sql, sort: str, shown: Shown | None) -> tuple[list[AppSum], int]:
    """Return the sums in order, and how many there are. Two queries where a page is past the end."""
    sql, params = query
    start, limit = shown or (0, 0)
    rows = f"SELECT *, count(*) OVER () FROM ({sql}) AS summed ORDER BY {_order(sort)}"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.execute(f"{rows} LIMIT %s OFFSET %s" if shown else rows, [*params, limit, start] if shown else params)
        found = cursor.fetchall()
        if found or not start:
            return [_app_sum(row[:-1]) for row in found], found[0][-1] if found else 0
        cursor.execute(f"SELECT count(*) FROM ({sql}) AS summed", params)  # noqa: S608  our own names
        (total,) = cursor.fetchone()
    return [], total


def _order(sort: str) -> str:
    """Return what `_sorted` sorts by, in SQL."""
    key, direction = sort.removeprefix("-"), "DESC" if sort.startswith("-") else "ASC"
    name = 'name COLLATE "C"' if connection.vendor == "postgresql" else "name"
    if key == "app":
        return f"{name} {direction}"
    column = {"first": "first_day", "last": "last_day"}.get(key, COLUMNS[key])
    return f"{'priced = 0, ' if key == 'usd' else ''}{column} {direction}, {name}"


def _with_waiting(
    query: periods.Sql, waiting: daily.Parts, search: str, sort: str, shown: Shown | None
) -> tuple[list[AppSum], int]:
    """Return the same with the days that were split just now."""
    found = {app.name: app for app in _page(query, sort, None)[0]}
    for key, part in waiting.items():
        if key.key and search.lower() in key.key.lower():
            found[key.key] = _with(found.get(key.key), key.key, part, key.day)
    apps = _sorted([app for app in found.values() if app.payments], sort)
    return apps if shown is None else apps[shown[0] : sum(shown)], len(apps)


def _app_sum(row: Sequence[Any]) -> AppSum:
    """Return a row of a query. SQLite has days as text where they are computed."""
    *told, first, last = row
    return AppSum(*told, *(date.fromisoformat(day) if isinstance(day, str) else day for day in (first, last)))


def payers_between(first: date | None, last: date | None, search: str, sort: str) -> AppSums:
    """Return what each sender paid from one day to another, pruned payments included. Three queries."""
    days = {"day__gte": first or date.min, "day__lte": last or date.max}
    columns: dict[str, Any] = {
        "first_paid_at": Min("day"),
        "last_paid_at": Max("day"),
        "revenue_sat": Sum("amount_sat"),
    }
    single = {"n": Count("id"), "k": Count("usd_micro"), "micro": Coalesce(Sum("usd_micro"), 0)}
    summed = {"n": Sum("payments"), "k": Sum("priced"), "micro": Sum("usd_micro")}
    found: dict[str, AppSum] = {}
    for rows, more in ((Payment.objects.filter(**days), single), (PrunedPayment.objects.filter(**days), summed)):
        senders: Any = rows.exclude(from_address=None).order_by().values("from_address").annotate(**columns, **more)
        for row in senders:
            name = row["from_address"]
            sums = (row["revenue_sat"], row["n"], row["micro"], row["k"])
            ends = (row["first_paid_at"], row["last_paid_at"])
            found[name] = _with(_with(found.get(name), name, sums, ends[0]), name, NOTHING, ends[1])
    wanted = [payer for payer in found.values() if search.lower() in payer.name.lower()]
    return AppSums(_sorted(wanted, sort), len(wanted), 0, LedgerState.known().read_until)


def _with(app: AppSum | None, name: str, part: daily.Sums, day: date) -> AppSum:
    if app is None:
        return AppSum(name, **dict(zip(SUMMED, part, strict=True)), first_paid_at=day, last_paid_at=day)
    more: dict[str, Any] = {column: getattr(app, column) + value for column, value in zip(SUMMED, part, strict=True)}
    more |= {"first_paid_at": min(day, app.first_paid_at), "last_paid_at": max(day, app.last_paid_at)}
    return app._replace(**more)


def _sorted(apps: Iterable[AppSum], sort: str) -> list[AppSum]:
    """Sort by a key of COLUMNS; the name decides between equals, and what has no price comes last."""
    key = sort.removeprefix("-")
    found: list[AppSum] = sorted(apps, key=attrgetter("name"), reverse=sort == "-app")
    if key != "app":
        found.sort(key=attrgetter(COLUMNS[key]), reverse=sort.startswith("-"))
    return sorted(found, key=lambda app: not app.priced) if key == "usd" else found
