"""Report revenue by source and category over time, and by app over a range of days."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
from revenue.models import AppFigures, DailyTotal, Label, LedgerState, Payment, PrunedPayment
from revenue.period_totals import Sums, Totals
from revenue.querysets import SUMMED
from revenue.selectors import COLUMNS

TEAM, ORGANIC = Label.Category.TEAM.value, "organic"
WAITING = "{days} changed days are not split again yet."
PRUNED = "Payments of some of these days were pruned before senders were stored."


@dataclass(frozen=True, slots=True)
class Row:
    """A span's total and its parts; `parts` None: not known."""

    span: Span
    total: Sums
    complete: bool
    parts: Mapping[str, Sums] | None


@dataclass(frozen=True)
class Breakdown:
    """A total in parts, oldest first. `keys`: all parts."""

    rows: Sequence[Row]
    keys: Sequence[str]
    as_of: datetime | None
    unsplit: int
    """Days without known parts."""

    @cached_property
    def known_percent(self) -> float | None:
        """Return the share of FLUX that is not in the unknown part."""
        parts = [row for row in self.rows if row.parts is not None]
        whole = sum(row.total.revenue_sat or 0 for row in parts)
        unknown = sum((row.parts or {}).get(UNKNOWN, ZERO).revenue_sat or 0 for row in parts)
        return round((whole - unknown) * 100 / whole, 2) if whole else None

    @cached_property
    def priced_percent(self) -> float | None:
        """Return the share of payments with a price."""
        payments = sum(row.total.payments or 0 for row in self.rows)
        return round(100 - sum(row.total.usd_missing for row in self.rows) * 100 / payments, 2) if payments else None


def sums(part: daily.Sums) -> Sums:
    """Return a part as in answers: dollars are not known without a price."""
    revenue_sat, payments, usd_micro, priced = part
    return Sums(revenue_sat, payments, usd_micro if priced or not payments else None, payments - priced)


ZERO = sums(NOTHING)


def breakdown(dimension: str, first: date, last: date, by: Bucket, now: datetime) -> Breakdown:
    """Return the revenue of these days by one dimension. Four queries, more if days wait to be split."""
    totals, splits = Totals.load(first, last), Splits.load(dimension, first, last)
    keys = sorted({key for parts in splits.parts.values() for key in parts})
    if dimension == SOURCE:
        keys = [*SOURCES]
    rows = [row(span, totals, splits, keys, now) for span in split(first, last, by)]
    return Breakdown(rows, keys, totals.ledger.read_until, len(splits.unsplit))


def row(span: Span, totals: Totals, splits: Splits, keys: Sequence[str], now: datetime) -> Row:
    """Return the total of a span and its parts."""
    days = span.days()
    total, parts = totals.of(days), splits.of(days)
    complete = all(totals.ledger.has_all_of(day, now) for day in days)
    if parts is None or total.revenue_sat is None:
        return Row(span, total, complete, None)
    return Row(span, total, complete, {key: sums(parts[key]) if key in parts else ZERO for key in keys})


def organic(row: Row) -> Sums | None:
    """Return the total without the team's part, None if a sender is not known."""
    if row.parts is None or row.parts[UNKNOWN].payments:
        return None
    total, team = row.total, row.parts[TEAM]
    payments, missing = (total.payments or 0) - (team.payments or 0), total.usd_missing - team.usd_missing
    is_priced = payments > missing or not payments
    usd_micro = (total.usd_micro or 0) - (team.usd_micro or 0) if is_priced else None
    return Sums((total.revenue_sat or 0) - (team.revenue_sat or 0), payments, usd_micro, missing)


def notes(result: Breakdown) -> dict[str, str]:
    """Return why figures are null, by figure."""
    reasons = {"parts": WAITING.format(days=result.unsplit)} if result.unsplit else {}
    if any(row.parts and row.parts.get(UNKNOWN, ZERO).payments for row in result.rows) and ORGANIC not in result.keys:
        reasons |= {ORGANIC: PRUNED} if TEAM in result.keys else {}
    if any(row.total.revenue_sat is None for row in result.rows):
        reasons["total"] = "No sync has read some of these days."
    return reasons


def sources(first: date, last: date, by: Bucket, now: datetime) -> Breakdown:
    return breakdown(SOURCE, first, last, by, now)


def categories(first: date, last: date, by: Bucket, now: datetime) -> Breakdown:
    return breakdown(CATEGORY, first, last, by, now)


NOT_SPLIT = "(not split yet)"
AT_ONCE = 31  # days in memory


def parts_of(dimension: str, span: Span) -> dict[str, Sums]:
    """Return a span's parts, largest first; they add up to its total, with NOT_SPLIT for waiting days."""
    parts_by_key: dict[str, daily.Sums] = {}
    for batch in chunks(span.days(), AT_ONCE):
        with read_snapshot():
            loaded = Splits.load(dimension, batch[0], batch[-1])
            waiting = Totals.load(batch[0], batch[-1]).rows if loaded.unsplit else {}
        parts = [loaded.of(day for day in batch if day not in loaded.unsplit) or {}]
        parts += [{NOT_SPLIT: tuple(waiting[day][name] for name in SUMMED)} for day in loaded.unsplit & waiting.keys()]
        for key, part in chain.from_iterable(each.items() for each in parts):
            parts_by_key[key] = tuple(map(add, parts_by_key.get(key, NOTHING), part))
    return {key: sums(part) for key, part in sorted(parts_by_key.items(), key=lambda row: (-row[1][0], row[0]))}


class _AppSum(NamedTuple):
    name: str
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int
    first_paid_at: date
    last_paid_at: date


class AppSum(AppFigures, _AppSum):
    """Payments of one app in a range; its first and last payment are days."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AppSums:
    """Apps in the requested order, and the number of days not included yet."""

    apps: list[AppSum] = field(default_factory=list)
    total: int = 0
    """Number of all apps, beyond the requested ones too."""
    unsplit: int = 0
    as_of: datetime | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    waiting: AppSum | None = None
    """Sums of the days that are not split yet, of all apps and of none."""


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
    """Return payments by app or owner over a range, including pruned ones: all, or one page.

    Four queries, more if days wait to be split.
    """
    first, last = first or date.min, last or date.max
    pending = pending_days(first, last)
    is_few = len(pending) <= daily.MOST_PENDING
    unsplit = 0 if is_few else len(pending)
    reasons = {"apps": WAITING.format(days=unsplit)} if unsplit else {}
    query = periods.select(dimension, first, last, pending, search)
    waiting = compute(pending, [dimension]) if pending and is_few else {}
    apps, total = _with_waiting(query, waiting, search, sort, shown) if waiting else _page(query, sort, shown)
    left_out = _on_days(pending) if unsplit else None
    return AppSums(apps, total, unsplit, LedgerState.known().read_until, reasons, left_out)


def _on_days(days: Collection[date]) -> AppSum | None:
    """Return what was paid on these days under the name NOT_SPLIT; None without a payment."""
    found: AppSum | None = None
    for row in DailyTotal.objects.filter(day__in=days, payments__gt=0).by_day():
        found = _with(found, NOT_SPLIT, tuple(row[name] for name in SUMMED), row["day"])
    return found


def _page(query: periods.Sql, sort: str, shown: Shown | None) -> tuple[list[AppSum], int]:
    """Return the sums in order, and their number. Two queries if a page is past the end."""
    sql, params = query
    start, limit = shown or (0, 0)
    rows = f"SELECT *, count(*) OVER () FROM ({sql}) AS summed ORDER BY {_order(sort)}"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.execute(f"{rows} LIMIT %s OFFSET %s" if shown else rows, [*params, limit, start] if shown else params)
        records = cursor.fetchall()
        if records or not start:
            return [_app_sum(row[:-1]) for row in records], records[0][-1] if records else 0
        cursor.execute(f"SELECT count(*) FROM ({sql}) AS summed", params)  # noqa: S608  our own names
        (total,) = cursor.fetchone()
    return [], total


def _order(sort: str) -> str:
    """Return the order of `_sorted` in SQL."""
    key, direction = sort.removeprefix("-"), "DESC" if sort.startswith("-") else "ASC"
    name = 'name COLLATE "C"' if connection.vendor == "postgresql" else "name"
    if key == "app":
        return f"{name} {direction}"
    column = {"first": "first_day", "last": "last_day"}.get(key, COLUMNS[key])
    return f"{'priced = 0, ' if key == 'usd' else ''}{column} {direction}, {name}"


def _with_waiting(
    query: periods.Sql, waiting: daily.Parts, search: str, sort: str, shown: Shown | None
) -> tuple[list[AppSum], int]:
    """Return the same including the days just split."""
    by_name = {app.name: app for app in _page(query, sort, None)[0]}
    for key, part in waiting.items():
        if key.key and search.lower() in key.key.lower():
            by_name[key.key] = _with(by_name.get(key.key), key.key, part, key.day)
    apps = _sorted([app for app in by_name.values() if app.payments], sort)
    return apps if shown is None else apps[shown[0] : sum(shown)], len(apps)


def _app_sum(row: Sequence[Any]) -> AppSum:
    """Return the sums of a query's row. SQLite returns computed days as text."""
    *values, first, last = row
    return AppSum(*values, *(date.fromisoformat(day) if isinstance(day, str) else day for day in (first, last)))


def payers_between(first: date | None, last: date | None, search: str, sort: str) -> AppSums:
    """Return payments by sender over a range, including pruned ones. Three queries."""
    days = {"day__gte": first or date.min, "day__lte": last or date.max}
    columns: dict[str, Any] = {
        "first_paid_at": Min("day"),
        "last_paid_at": Max("day"),
        "revenue_sat": Sum("amount_sat"),
    }
    single = {"n": Count("id"), "k": Count("usd_micro"), "micro": Coalesce(Sum("usd_micro"), 0)}
    summed = {"n": Sum("payments"), "k": Sum("priced"), "micro": Sum("usd_micro")}
    by_name: dict[str, AppSum] = {}
    for rows, more in ((Payment.objects.filter(**days), single), (PrunedPayment.objects.filter(**days), summed)):
        senders: Any = rows.exclude(from_address=None).order_by().values("from_address").annotate(**columns, **more)
        for row in senders:
            name = row["from_address"]
            sums = (row["revenue_sat"], row["n"], row["micro"], row["k"])
            ends = (row["first_paid_at"], row["last_paid_at"])
            by_name[name] = _with(_with(by_name.get(name), name, sums, ends[0]), name, NOTHING, ends[1])
    matching = [payer for payer in by_name.values() if search.lower() in payer.name.lower()]
    return AppSums(_sorted(matching, sort), len(matching), 0, LedgerState.known().read_until)


def _with(app: AppSum | None, name: str, part: daily.Sums, day: date) -> AppSum:
    if app is None:
        return AppSum(name, **dict(zip(SUMMED, part, strict=True)), first_paid_at=day, last_paid_at=day)
    more: dict[str, Any] = {column: getattr(app, column) + value for column, value in zip(SUMMED, part, strict=True)}
    more |= {"first_paid_at": min(day, app.first_paid_at), "last_paid_at": max(day, app.last_paid_at)}
    return app._replace(**more)


def _sorted(apps: Iterable[AppSum], sort: str) -> list[AppSum]:
    """Sort by a key of COLUMNS; the name breaks ties, and apps without a price come last."""
    key = sort.removeprefix("-")
    result: list[AppSum] = sorted(apps, key=attrgetter("name"), reverse=sort == "-app")
    if key != "app":
        result.sort(key=attrgetter(COLUMNS[key]), reverse=sort.startswith("-"))
    return sorted(result, key=lambda app: not app.priced) if key == "usd" else result
