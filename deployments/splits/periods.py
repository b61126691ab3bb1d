"""Store monthly and yearly sums of apps and owners, so that long ranges are fast to read.

They are updated in any transaction that changes a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from itertools import product
from typing import Any

from django.db import connection
from django.db.models import Max, Min

from deployments.models import DailySplit, PeriodSplit
from fluxtracker.batches import chunks
from fluxtracker.periods import DAY, Bucket, Period, midnight
from revenue.models import ChangedDay
from revenue.querysets import SUMMED

DIMENSIONS = (DailySplit.Dimension.APP.value, DailySplit.Dimension.OWNER.value)
LEVELS = (Bucket.MONTH, Bucket.YEAR)
DAYS, PERIODS = DailySplit._meta.db_table, PeriodSplit._meta.db_table
SUMS = ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in SUMMED)
ENDS = "min({}) AS first_day, max({}) AS last_day"

Sql = tuple[str, list[Any]]


def refresh(parts: Iterable[tuple[str, date, str]], done: Collection[date]) -> None:
    """Recompute the months and years of changed parts: dimension, day, key. Call inside a transaction.

    `done` are the days now split. A period with waiting days has no rows until the last one is done: until then its
    days are read, and it is added up once.
    """
    changed = [part for part in parts if part[0] in DIMENSIONS]
    waiting = set(ChangedDay.objects.values_list("day", flat=True)).difference(done)
    for bucket in LEVELS:
        first_of = {day: Period.containing(bucket, midnight(day)).first_day for day in {*done, *waiting}}
        keys: defaultdict[tuple[str, date], set[str]] = defaultdict(set)
        for dimension, day, key in changed:
            keys[dimension, first_of[day]].add(key)
        waits = {first_of[day] for day in waiting}
        for dimension, first in product(DIMENSIONS, sorted({first_of[day] for day in done})):
            _refresh(dimension, Period.containing(bucket, midnight(first)), keys[dimension, first], first in waits)


def _refresh(dimension: str, period: Period, keys: Collection[str], waits: bool) -> None:
    there = PeriodSplit.objects.filter(dimension=dimension, bucket=period.bucket, first=period.first_day)
    if waits:
        if keys:
            there.delete()
    elif not there.exists():
        _add_up(dimension, period)
    else:
        for batch in chunks(sorted(keys)):
            there.filter(key__in=batch).delete()
            _add_up(dimension, period, batch)


def _add_up(dimension: str, period: Period, keys: Sequence[str] = ()) -> None:
    """Store the sums of these keys, by default all. Months are sums of days, years of months."""
    first, last, bucket = period.first_day, period.last_day, period.bucket
    table, since, ends, among = DAYS, "day", ENDS.format("day", "day"), ""
    if bucket != LEVELS[0]:
        table, since, ends = PERIODS, "first", ENDS.format("first_day", "last_day")
        among = f"AND bucket = '{LEVELS[0]}'"
    if keys:
        among += f" AND key IN ({_places(keys)})"
    columns = ", ".join(("dimension", "bucket", "first", "key", *SUMMED, "first_day", "last_day"))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {PERIODS} ({columns}) SELECT dimension, %s, {_date()}, key, {SUMS}, {ends} FROM {table} "  # noqa: S608  our own names
            f"WHERE dimension = %s AND {since} BETWEEN %s AND %s {among} GROUP BY dimension, key",
            [str(bucket), first, dimension, first, last, *keys],
        )


def _date() -> str:
    """Return the placeholder of a selected day, which needs an explicit type in PostgreSQL."""
    return "CAST(%s AS date)" if connection.vendor == "postgresql" else "%s"


def _places(values: Collection[object]) -> str:
    return ", ".join(["%s"] * len(values))


def select(dimension: str, first: date, last: date, without: Collection[date], search: str = "") -> Sql:
    """Return the query for payments by app or owner on these days, with exceptions: name, SUMMED, first, last day."""
    days, periods = cover(*_to_the_ends(dimension, first, last), without)
    named, names = "dimension = %s AND key <> ''", [dimension]
    if search:
        named, names = f"{named} AND LOWER(key) LIKE LOWER(%s) ESCAPE '!'", [dimension, f"%{_escaped(search)}%"]
    of_days = (f"day AS first_day, day AS last_day FROM {DAYS}", "day BETWEEN %s AND %s")
    parts: list[tuple[str, str, Sequence[Any]]] = [(*of_days, range_) for range_ in days]
    for bucket, starts in periods.items():
        of_periods = f"bucket = %s AND first IN ({_places(starts)})"
        parts.append((f"first_day, last_day FROM {PERIODS}", of_periods, [str(bucket), *starts]))
    parts = parts or [(*of_days, (date.max, date.min))]
    columns = ", ".join(("key", *SUMMED))
    rows = " UNION ALL ".join(f"SELECT {columns}, {source} WHERE {named} AND {which}" for source, which, _ in parts)
    sums = f"{SUMS}, {ENDS.format('first_day', 'last_day')}"
    sql = f"SELECT key AS name, {sums} FROM ({rows}) AS part GROUP BY key HAVING sum(payments) > 0"  # noqa: S608  our own names
    return sql, [value for *_, values in parts for value in (*names, *values)]


def _escaped(words: str) -> str:
    return words.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _to_the_ends(dimension: str, first: date, last: date) -> tuple[date, date]:
    """Return the range, extended to whole years if nothing lies beyond its ends. One query."""
    known = DailySplit.objects.filter(dimension=dimension).aggregate(first=Min("day"), last=Max("day"))
    if known["first"] is None or first > known["last"] or last < known["first"]:
        return date.max, date.min
    if first <= known["first"]:
        first = date(known["first"].year, 1, 1)
    if last >= known["last"]:
        last = date(known["last"].year, 12, 31)
    return first, last


def cover(
    first: date, last: date, without: Collection[date]
) -> tuple[list[tuple[date, date]], dict[Bucket, list[date]]]:
    """Return the days, months and years that make up a range, with exceptions."""
    days: list[tuple[date, date]] = []
    periods: dict[Bucket, list[date]] = {}
    day = first
    while day <= last:
        whole = _whole(day, last, without)
        if whole is not None and whole.bucket is not None:
            periods.setdefault(whole.bucket, []).append(day)
            day = whole.last_day
        elif day not in without:
            joins = days and days[-1][1] + DAY == day
            days.append((days.pop()[0], day) if joins else (day, day))
        day += DAY
    return days, periods


def _whole(day: date, last: date, without: Collection[date]) -> Period | None:
    """Return the longest period that begins on the day, ends by the last and excludes the others."""
    for bucket in reversed(LEVELS):
        period = Period.containing(bucket, midnight(day))
        is_whole = period.first_day == day and period.last_day <= last
        if is_whole and not any(day <= one <= period.last_day for one in without):
            return period
    return None
