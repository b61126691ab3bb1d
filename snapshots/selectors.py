"""Select days, gaps with their reasons, image and category counts, and totals of what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from fluxtracker.batches import chunks
from fluxtracker.periods import DAY, is_fresh, midnight
from metrics import catalogue
from metrics.catalogue import tracked_apps, with_ratios
from metrics.models import ImageCount, Source, TrackedApp
from metrics.selectors import OLD
from ops.health import database_bytes
from revenue import pricing
from revenue.models import DailyPrice, DailyTotal
from revenue.selectors import OpenDays, Totals
from revenue.status import last_sync_block
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.take import COLUMNS


@dataclass(frozen=True, slots=True)
class ImageHistory:
    """Containers of one image by day, oldest first; a day on which images were not counted is left out."""

    category: str | None
    days: list[tuple[date, int]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """An image, or a tracked app with its key, now and then. `previous` is None when that day did not count it."""

    rank: int
    name: str
    count: int
    previous: int | None
    key: str = ""

    @property
    def difference(self) -> int | None:
        return None if self.previous is None else self.count - self.previous


@dataclass(frozen=True, slots=True)
class Top:
    """The images of a category with the most containers now, and its tracked apps."""

    category: str
    days: int
    read_at: datetime | None
    compared: date | None
    total: int
    images: list[Ranked]
    apps: list[Ranked]
    now: datetime

    @property
    def is_old(self) -> bool:
        return is_old(self.read_at, self.now)

    @property
    def message(self) -> str | None:
        return None if self.compared else f"there are no counts of images from exactly {self.days} days ago"

    @property
    def count(self) -> int:
        return len(self.images)


def image_history(image: str, first: date | None, last: date | None) -> ImageHistory:
    """Two queries. A taken day counted every image, so one that it does not name ran in no container: 0."""
    named = list(ImageDay.objects.filter(image=image).order_by("day").values_list("day", "count", "category"))
    if not named:
        return ImageHistory(None, [])
    counts = dict.fromkeys(Snapshot.objects.whole().values_list("day", flat=True), 0)
    counts |= {day: count for day, count, _ in named}
    low, high = first or date.min, last or date.max
    return ImageHistory(named[-1][2] or None, sorted((day, n) for day, n in counts.items() if low <= day <= high))


def top_images(category: str, limit: int, days: int, now: datetime) -> Top:
    """Now against exactly `days` ago. Eight queries."""
    found = ImageCount.objects.filter(category=category)
    shown = list(found.order_by("-count", "image").values_list("image", "count")[:limit])
    day = now.date() - timedelta(days=days)
    then = ImageDay.objects.filter(day=day)
    compared = day if then.exists() else None
    before = dict(then.filter(image__in=[image for image, _ in shown]).values_list("image", "count"))
    others = 0 if compared and Snapshot.objects.whole().filter(day=day).exists() else None
    ranked = [Ranked(rank, image, count, before.get(image, others)) for rank, (image, count) in enumerate(shown, 1)]
    apps = _apps(category, limit, day)
    return Top(category, days, containers_read_at(), compared, found.count(), ranked, apps, now)


def _apps(category: str, limit: int, day: date) -> list[Ranked]:
    """Return the tracked apps of the category, most containers first; those that were never counted are left out."""
    now = Source.objects.filter(name=Source.Name.APPS).values_list("values", flat=True).first() or {}
    then = Snapshot.objects.filter(day=day).values_list("counts", flat=True).first() or {}
    counted = [app for app in tracked_apps() if app.category == category and app.column in now]
    counted.sort(key=lambda app: (-now[app.column], app.name))
    return [
        Ranked(rank, app.name, now[app.column], then.get(app.column), app.key)
        for rank, app in enumerate(counted[:limit], 1)
    ]


def containers_read_at() -> datetime | None:
    """Return when the counts of images were last read; None when they never were."""
    return Source.objects.filter(name=Source.Name.APPS).values_list("read_at", flat=True).first()


def is_old(read_at: datetime | None, now: datetime) -> bool:
    """Return whether the counts of now were read over 2 hours ago, in the future, or never."""
    return not is_fresh(read_at, now, OLD)


def snapshot_stamp() -> tuple[Any, ...]:
    """Changes with every row that is written or deleted, and with every edit of a tracked app. Four small queries."""
    rows = {"count": Count("pk"), "last": Max("made_at"), "newest": Max("pk")}
    return (
        tuple(Snapshot.objects.aggregate(**rows).values()),
        tuple(Refusal.objects.aggregate(count=Count("pk"), last=Max("last_at")).values()),
        ImageDay.objects.aggregate(newest=Max("pk"))["newest"],
        tuple(TrackedApp.objects.aggregate(count=Count("pk"), last=Max("changed_at")).values()),
    )


DUE_AFTER = timedelta(minutes=35)  # 00:05 and a check's interval: from then on today counts as missing
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


def days_between(first: date, last: date) -> Iterator[date]:
    """Both included, oldest first; none when `last` lies before `first`."""
    return (first + DAY * n for n in range((last - first).days + 1))


def missing_days(present: Collection[date], first: date, last: date) -> list[date]:
    """Return the days from `first` to `last` that are not among the present, oldest first."""
    there = set(present)
    return [day for day in days_between(first, last) if day not in there]


def gaps(present: Collection[date], first: date, last: date, now: datetime) -> list[Gap]:
    """Return the days that should have a snapshot and have none, oldest first. At most one query."""
    days = missing_days(present, first, min(last, last_due(now)))
    if not days:
        return []
    refusals = dict(Refusal.objects.filter(day__gte=days[0], day__lte=days[-1]).values_list("day", "reason"))
    return [Gap(day, refusals.get(day) or (NOT_YET if day == now.date() else NO_CHECK)) for day in days]


FIELDS = ("id", "day", "source", "made_at", "read_at", *(column.key for column in COLUMNS), "counts")


CATEGORY_TOTALS = {"gaming": "gaming_apps_total", "crypto": "crypto_nodes_total", "wordpress": "wordpress_count"}


@dataclass(frozen=True, slots=True)
class Days:
    """Which days: None leaves an end open. `limit`: at most so many of the newest."""

    first: date | None = None
    last: date | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Newest day first, the days without a row as well. Rows have what the ledger says of the day, too."""

    days: Days
    rows: list[dict[str, Any]]
    missing: list[Gap]

    @property
    def count(self) -> int:
        return len(self.rows)


def by_key(category: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a day's total of the category and each tracked app by its short key."""
    counts = row["counts"]
    tracked = {key: counts[column] for key, column in _columns_of(category, tuple(counts))}
    return {"total": row[CATEGORY_TOTALS[category]], **tracked}


@lru_cache
def _columns_of(category: str, columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the category's columns with their short keys: `gaming_palworld` is `palworld` of `gaming`."""
    start = f"{category}_"
    return [(column.removeprefix(start), column) for column in columns if column.startswith(start)]


def load(days: Days, now: datetime) -> History:
    """Six queries at most, however many days."""
    rows = with_closes(read_columns(days, FIELDS))
    present = [row["day"] for row in rows]
    totals = Totals.load(present[-1], present[0]) if present else None
    shown = [_with_revenue(with_ratios(row), totals, now) for row in rows if totals]
    return History(days, shown, missing(days, present, now))


def _with_revenue(row: dict[str, Any], totals: Totals, now: datetime) -> dict[str, Any]:
    sums = totals.of([row["day"]])
    row["revenue_sat"], row["usd_micro"], row["usd_missing"] = sums.revenue_sat, sums.usd_micro, sums.usd_missing
    row["payments"], row["complete"] = sums.payments, totals.ledger.has_all_of(row["day"], now)
    return row


def read_columns(days: Days, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows' columns, newest day first; an active tracked app that a day did not count is None in it."""
    uncounted = {app.column: None for app in tracked_apps()}
    rows = Snapshot.objects.filter(pricing.between(days.first, days.last)).order_by("-day")
    found: list[dict[str, Any]] = list(rows.values(*names)[: days.limit])
    for row in found:
        row["counts"] = uncounted | row["counts"]
    return found


def with_closes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the close of each day in place of the price that was read on it, save in what the old tracker told."""
    closes = pricing.stored({row["day"] for row in rows if row["source"] != Snapshot.Source.IMPORT})
    return [row | ({"flux_price_usd": closes[row["day"]].price} if row["day"] in closes else {}) for row in rows]


def missing(days: Days, present: list[date], now: datetime) -> list[Gap]:
    """Return days without a row, newest first: of the range asked for, or from the oldest row shown on."""
    last = days.last or now.date()
    is_cut = days.limit is not None and len(present) == days.limit
    oldest = present[-1] if present else last
    first = oldest if is_cut or days.first is None else days.first
    return gaps(present, first, last, now)[::-1]


def nearest(days: Collection[date]) -> dict[date, date | None]:
    """Return the day with a row that is nearest to each of these, the older of two. One query; none without days."""
    if not days:
        return {}
    ends: dict[str, Max | Min] = {f"before_{day:%Y%m%d}": Max("day", filter=Q(day__lte=day)) for day in days}
    ends |= {f"after_{day:%Y%m%d}": Min("day", filter=Q(day__gte=day)) for day in days}
    found = Snapshot.objects.aggregate(**ends)
    around = {day: (found[f"before_{day:%Y%m%d}"], found[f"after_{day:%Y%m%d}"]) for day in days}
    return {
        day: min(filter(None, pair), key=lambda found: abs(found - day), default=None) for day, pair in around.items()
    }


def images_of_days() -> list[str]:
    """Return the distinct images of all days: one step in the index for each, however many days there are."""
    table = connection.ops.quote_name(ImageDay._meta.db_table)
    first, following = f"SELECT min(image) FROM {table}", f"SELECT min(image) FROM {table} WHERE image > names.image"  # noqa: S608  our own name
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE names(image) AS ({first} UNION ALL SELECT ({following}) FROM names "  # noqa: S608
            "WHERE names.image IS NOT NULL) SELECT image FROM names WHERE image IS NOT NULL"
        )
        return [image for (image,) in cursor.fetchall()]


def stats(now: datetime) -> dict[str, Any]:
    """Return counts and sums, all at one moment; sums are null where the ledger does not know."""
    newest = Snapshot.objects.aggregate(day=Max("day"))["day"]
    first = DailyTotal.objects.filter(payments__gt=0).first_day()
    return {
        "snapshots": Snapshot.objects.count(),
        "transactions": OpenDays.load().total,
        "priceHistory": DailyPrice.objects.filter(price_usd__isnull=False).count(),
        "repoSnapshots": ImageDay.objects.count(),
        "distinctRepos": len(images_of_days()),
        "dbSizeKB": database_bytes() // 1024,
        "lastSnapshotDate": newest,
        "revenue": _revenue_stats(now.date(), first),
        "firstTransactionDate": first,
        "lastSyncBlock": last_sync_block(),
    }


def _revenue_stats(today: date, first: date | None) -> dict[str, int | None]:
    begin = min(first or today, today - timedelta(days=29))
    totals = Totals.load(begin, today)
    spans = {"today": today, "last7Days": today - timedelta(days=6), "last30Days": today - timedelta(days=29)}
    spans["total"] = begin
    return {name: totals.of(days_between(start, today)).revenue_sat for name, start in spans.items()}


LOOKED_BACK = (*range(14), 30, 60, 90, 180, 365)  # days


@catalogue.past_counts
def past_counts(fits: Callable[[str], bool], column: str, today: date) -> list[tuple[date, int | None, int | None]]:
    """Return days, newest first, with the containers of the images that fit and what was counted under `column` then.

    None: not counted on that day. Days of which neither is known are left out. Four queries.
    """
    days = [today - DAY * back for back in LOOKED_BACK]
    rows = ImageDay.objects.filter(day__in=days)
    counted = set(rows.order_by().values_list("day", flat=True).distinct())
    images = rows.order_by().values_list("image", flat=True).distinct()
    sums = _sums(rows, [image for image in images if fits(image)])
    told = dict(Snapshot.objects.filter(day__in=days).values_list("day", "counts"))
    found = [(day, sums.get(day, 0) if day in counted else None, told.get(day, {}).get(column)) for day in days]
    return [row for row in found if row[1:] != (None, None)]


def _sums(rows: QuerySet[ImageDay], images: list[str]) -> Counter[date]:
    """By day; a database takes only so many values in one query."""
    total: Counter[date] = Counter()
    for names in chunks(images):
        some = rows.filter(image__in=names).order_by()
        total.update(dict(some.values("day").annotate(sum=Sum("count")).values_list("day", "sum")))
    return total
