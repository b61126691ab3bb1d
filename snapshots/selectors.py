"""Select days, gaps with reasons, image and category counts, and totals of stored data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from django.db import connection
from django.db.models import Max, Min, Q, QuerySet, Sum, TextField
from django.db.models.functions import Cast

from fluxtracker.batches import chunks
from fluxtracker.database import database_bytes
from fluxtracker.periods import DAY, Span, is_fresh, midnight
from metrics import metric_keys
from metrics.metric_keys import ratios, tracked_apps
from metrics.models import ImageCount, Source
from metrics.selectors import OLD
from revenue import pricing
from revenue.period_totals import Totals
from revenue.status import last_sync_block
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.take import COLUMNS


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image, or a tracked app with its key, now and before. `previous` is None if that day did not count it."""

    rank: int
    name: str
    count: int
    previous: int | None
    key: str = ""

    @property
    def difference(self) -> int | None:
        return None if self.previous is None else self.count - self.previous


def image_history(image: str, first: date | None, last: date | None) -> dict[str, Any]:
    """Return the containers of one image by day, oldest first, without days on which images were not counted.

    A taken day counted every image, so an image missing there had 0 containers. Two queries.
    """
    named = list(ImageDay.objects.filter(image=image).order_by("day").values_list("day", "count", "category"))
    counts = dict.fromkeys(Snapshot.objects.whole().values_list("day", flat=True) if named else (), 0)
    counts |= {day: count for day, count, _ in named}
    low, high = first or date.min, last or date.max
    data = [{"date": day, "count": counts[day]} for day in sorted(counts) if low <= day <= high]
    category = (named[-1][2] or None) if named else None
    return {"image": image, "category": category, "start": first, "end": last, "count": len(data), "data": data}


def top_images(category: str, limit: int, days: int, now: datetime) -> dict[str, Any]:
    """Return the images of a category with the most containers now, and its tracked apps, against `days` ago.

    Eight queries.
    """
    counts = ImageCount.objects.filter(category=category)
    shown = list(counts.order_by("-count", "image").values_list("image", "count")[:limit])
    day = now.date() - timedelta(days=days)
    then = ImageDay.objects.filter(day=day)
    compared = day if then.exists() else None
    before = dict(then.filter(image__in=[image for image, _ in shown]).values_list("image", "count"))
    others = 0 if compared and Snapshot.objects.whole().filter(day=day).exists() else None
    ranked = [Ranked(rank, image, count, before.get(image, others)) for rank, (image, count) in enumerate(shown, 1)]
    read_at = containers_read_at()
    return {
        "category": category,
        "days": days,
        "asOf": read_at,
        "stale": is_old(read_at, now),
        "comparisonDate": compared,
        "message": None if compared else f"there are no counts of images from exactly {days} days ago",
        "count": len(ranked),
        "total": counts.count(),
        "data": ranked,
        "apps": _apps(category, limit, day),
    }


def _apps(category: str, limit: int, day: date) -> list[Ranked]:
    """Return the counted tracked apps of the category, most containers first."""
    now = Source.objects.filter(name=Source.Name.APPS).values_list("values", flat=True).first() or {}
    then = Snapshot.objects.filter(day=day).values_list("counts", flat=True).first() or {}
    counted = [app for app in tracked_apps() if app.category == category and app.column in now]
    counted.sort(key=lambda app: (-now[app.column], app.name))
    return [
        Ranked(rank, app.name, now[app.column], then.get(app.column), app.key)
        for rank, app in enumerate(counted[:limit], 1)
    ]


def containers_read_at() -> datetime | None:
    """Return when image counts were last read, None if never."""
    return Source.objects.filter(name=Source.Name.APPS).values_list("read_at", flat=True).first()


def is_old(read_at: datetime | None, now: datetime) -> bool:
    """Return whether current counts were read over 2 hours ago, in the future, or never."""
    return not is_fresh(read_at, now, OLD)


STAMP = """SELECT snapshot.*, refusal.*, image.*, tracked.*
    FROM (SELECT count(*), max(made_at), max(id) FROM snapshots_snapshot) snapshot,
         (SELECT count(*), max(last_at) FROM snapshots_refusal) refusal,
         (SELECT max(id) FROM snapshots_imageday) image,
         (SELECT count(*), max(changed_at) FROM metrics_trackedapp) tracked
"""  # the ORM needs four queries, each slower than this one


def snapshot_stamp() -> tuple[Any, ...]:
    """Return a stamp that changes with every row written or deleted and every tracked app edited. One small query."""
    with connection.cursor() as cursor:
        cursor.execute(STAMP)
        return tuple(cursor.fetchone())


DUE_AFTER = timedelta(minutes=35)  # 00:05 plus a check's interval: from then on today counts as missing
NO_CHECK = "no check ran on that day"
NOT_YET = "no snapshot has been taken yet today"


@dataclass(frozen=True, slots=True)
class Gap:
    """A day without a snapshot."""

    day: date
    reason: str


def last_due(now: datetime) -> date:
    """Return the newest day that must have a snapshot: today from 00:35 UTC on, before that yesterday."""
    today = now.date()
    return today if now >= midnight(today) + DUE_AFTER else today - DAY


def missing_days(present: Collection[date], first: date, last: date) -> list[date]:
    """Return the days from `first` to `last` that are not present, oldest first."""
    there = set(present)
    return [day for day in Span(first, last).days() if day not in there]


def gaps(present: Collection[date], first: date, last: date, now: datetime) -> list[Gap]:
    """Return the days that should have a snapshot and have none, oldest first. At most one query."""
    days = missing_days(present, first, min(last, last_due(now)))
    if not days:
        return []
    refusals = dict(Refusal.objects.filter(day__gte=days[0], day__lte=days[-1]).values_list("day", "reason"))
    return [Gap(day, refusals.get(day) or (NOT_YET if day == now.date() else NO_CHECK)) for day in days]


FIELDS = ("day", "source", "read_at", *(column.key for column in COLUMNS))
EVERY_FIELD = ("id", "made_at", *FIELDS)


CATEGORY_TOTALS = {"gaming": "gaming_apps_total", "crypto": "crypto_nodes_total", "wordpress": "wordpress_count"}


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a list: None leaves an end open. `limit`: at most this many of the newest."""

    first: date | None = None
    last: date | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Rows and missing days, newest first. Rows include the ledger's sums of the day."""

    days: Days
    rows: list[dict[str, Any]]
    missing: list[Gap]

    @property
    def count(self) -> int:
        return len(self.rows)


def by_key(category: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a day's category total and tracked apps by short key."""
    start = f"{category}_"
    size, counts = len(start), row["counts"].items()  # `gaming_palworld` is `palworld` in `gaming`
    apps = {column[size:]: count for column, count in counts if column.startswith(start)}
    return {"total": row[CATEGORY_TOTALS[category]], **apps}


def load(days: Days, now: datetime, names: tuple[str, ...] = FIELDS) -> History:
    """Load any number of days in at most six queries."""
    rows = with_closes(read_columns(days, names))
    present = [row["day"] for row in rows]
    if present:
        totals = Totals.load(present[-1], present[0])
        for row in rows:
            row |= ratios(row) | _earned(row["day"], totals, now)
    return History(days, rows, missing(days, present, now))


def _earned(day: date, totals: Totals, now: datetime) -> dict[str, Any]:
    report = totals.day(day, now)
    sums = report.sums
    return {
        "revenue_sat": sums.revenue_sat,
        "usd_micro": sums.usd_micro,
        "usd_missing": sums.usd_missing,
        "payments": sums.payments,
        "complete": report.complete,
    }


def read_columns(days: Days, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows' columns and counts, newest day first.

    An active tracked app is None on days that did not count it.
    """
    uncounted = {app.column: None for app in tracked_apps()}
    rows = Snapshot.objects.filter(pricing.between(days.first, days.last)).order_by("-day")
    rows = rows.annotate(text=Cast("counts", TextField()))  # orjson reads it several times faster than Django
    values: list[dict[str, Any]] = list(rows.values(*names, "text")[: days.limit])
    for row in values:
        row["counts"] = uncounted | orjson.loads(row.pop("text"))
    return values


def with_closes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the price read on each day with its close, except in imported rows."""
    closes = pricing.stored({row["day"] for row in rows if row["source"] != Snapshot.Source.IMPORT})
    for row in rows:
        if close := closes.get(row["day"]):
            row["flux_price_usd"] = close.price
    return rows


def missing(days: Days, present: list[date], now: datetime) -> list[Gap]:
    """Return days without a row, newest first: in the requested range, or from the oldest row shown on."""
    last = days.last or now.date()
    is_cut = days.limit is not None and len(present) == days.limit
    oldest = present[-1] if present else last
    first = oldest if is_cut or days.first is None else days.first
    return gaps(present, first, last, now)[::-1]


def nearest(days: Collection[date]) -> dict[date, date | None]:
    """Return the nearest day with a row for each of these, the older of two. One query; none without days."""
    if not days:
        return {}
    ends: dict[str, Max | Min] = {f"before_{day:%Y%m%d}": Max("day", filter=Q(day__lte=day)) for day in days}
    ends |= {f"after_{day:%Y%m%d}": Min("day", filter=Q(day__gte=day)) for day in days}
    row = Snapshot.objects.aggregate(**ends)
    around = {day: (row[f"before_{day:%Y%m%d}"], row[f"after_{day:%Y%m%d}"]) for day in days}
    return {
        day: min(filter(None, pair), key=lambda other: abs(other - day), default=None) for day, pair in around.items()
    }


def images_of_days() -> list[str]:
    """Return the distinct images of all days, with one index step each."""
    table = connection.ops.quote_name(ImageDay._meta.db_table)
    first, following = f"SELECT min(image) FROM {table}", f"SELECT min(image) FROM {table} WHERE image > names.image"  # noqa: S608  our own name
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE names(image) AS ({first} UNION ALL SELECT ({following}) FROM names "  # noqa: S608
            "WHERE names.image IS NOT NULL) SELECT image FROM names WHERE image IS NOT NULL"
        )
        return [image for (image,) in cursor.fetchall()]


STATS = """SELECT snapshot.*, price.*, image.*, total.*
    FROM (SELECT count(*), CAST(max(day) AS varchar) FROM snapshots_snapshot) snapshot,
         (SELECT count(price_usd) FROM revenue_dailyprice) price,
         (SELECT count(*) FROM snapshots_imageday) image,
         (SELECT CAST(min(CASE WHEN payments > 0 THEN day END) AS varchar),
                 CAST(coalesce(sum(CASE WHEN day > closed_through THEN payments END), 0) AS bigint),
                 CAST(coalesce(sum(CASE WHEN day <= %s THEN revenue_sat END), 0) AS bigint)
            FROM revenue_dailytotal,
                 (SELECT coalesce(max(closed_through), '0001-01-01') AS closed_through FROM revenue_ledgerstate) ledger
         ) total
"""  # days come as text: SQLite has no type for computed dates


def stats(now: datetime) -> dict[str, Any]:
    """Return counts and sums as of one moment; sums are null if the ledger does not know them."""
    today = now.date()
    with connection.cursor() as cursor:
        cursor.execute(STATS, [today])
        days, newest, prices, counts, first, payments, revenue_sat = cursor.fetchone()
    newest, first = (day and date.fromisoformat(day) for day in (newest, first))
    return {
        "snapshots": days,
        "transactions": payments,
        "priceHistory": prices,
        "repoSnapshots": counts,
        "distinctRepos": len(images_of_days()),
        "dbSizeKB": database_bytes() // 1024,
        "lastSnapshotDate": newest,
        "revenue": _revenue_stats(today, first, revenue_sat),
        "firstTransactionDate": first,
        "lastSyncBlock": last_sync_block(),
    }


def _revenue_stats(today: date, first: date | None, total: int) -> dict[str, int | None]:
    """Return the ledger's sums. `total`: of all days up to today."""
    month = today - timedelta(days=29)
    totals = Totals.load(month, today)
    spans = {"today": today, "last7Days": today - timedelta(days=6), "last30Days": month, "total": month}
    sums = {name: totals.of(Span(start, today).days()).revenue_sat for name, start in spans.items()}
    if first and first < month:
        sums["total"] = total
    return sums


LOOKED_BACK = (*range(14), 30, 60, 90, 180, 365)  # days


@metric_keys.past_counts
def past_counts(fits: Callable[[str], bool], column: str, today: date) -> list[tuple[date, int | None, int | None]]:
    """Return days, newest first, with the containers of matching images and the count of `column`.

    None: not counted on that day. Days with neither are left out. Four queries.
    """
    days = [today - DAY * back for back in LOOKED_BACK]
    rows = ImageDay.objects.filter(day__in=days)
    counted = set(rows.order_by().values_list("day", flat=True).distinct())
    images = rows.order_by().values_list("image", flat=True).distinct()
    sums = _sums(rows, [image for image in images if fits(image)])
    counts = dict(Snapshot.objects.filter(day__in=days).values_list("day", "counts"))
    pairs = [(day, sums.get(day, 0) if day in counted else None, counts.get(day, {}).get(column)) for day in days]
    return [row for row in pairs if row[1:] != (None, None)]


def _sums(rows: QuerySet[ImageDay], images: list[str]) -> Counter[date]:
    """Return sums by day, in batches, as a database limits the values in one query."""
    total: Counter[date] = Counter()
    for names in chunks(images):
        matching = rows.filter(image__in=names).order_by()
        total.update(dict(matching.values("day").annotate(sum=Sum("count")).values_list("day", "sum")))
    return total
