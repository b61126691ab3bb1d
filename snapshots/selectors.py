"""Select days, gaps with their reasons, image and category counts, and totals of what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Min, QuerySet, Sum

from fluxtracker.periods import is_fresh, midnight
from metrics import catalogue
from metrics.catalogue import tracked_apps, with_ratios
from metrics.models import ImageCount, Source, TrackedApp
from metrics.selectors import OLD
from ops.health import database_bytes
from revenue import pricing
from revenue.api.serializers import flux
from revenue.models import DailyPrice, DailyTotal
from revenue.selectors import DayReport, OpenDays, Totals
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
    """An image now and then. `previous` is None when images were not counted on that day."""

    image: str
    count: int
    previous: int | None


@dataclass(frozen=True, slots=True)
class RankedApp:
    """A tracked app now and then, with the containers whose image is not public. None: not known."""

    key: str
    name: str
    count: int
    previous: int | None


@dataclass(frozen=True, slots=True)
class Top:
    """The images of a category with the most containers now, and its tracked apps."""

    read_at: datetime | None
    compared: date | None
    total: int
    images: list[Ranked]
    apps: list[RankedApp]

    def is_old(self, now: datetime) -> bool:
        return is_old(self.read_at, now)


def image_history(image: str, first: date | None, last: date | None) -> ImageHistory:
    """Two queries. A taken day counted every image, so one that it does not name ran in no container: 0."""
    rows = ImageDay.objects.filter(image=image).order_by("day").values_list("day", "count", "category")
    if not (named := list(rows)):
        return ImageHistory(None, [])
    whole = Snapshot.objects.filter(source=Snapshot.Source.TAKEN, total_apps__isnull=False)
    counts = dict.fromkeys(whole.values_list("day", flat=True), 0) | {day: count for day, count, _ in named}
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
    others = 0 if compared and _has_every_image(day) else None
    ranked = [Ranked(image, count, before.get(image, others)) for image, count in shown]
    return Top(containers_read_at(), compared, found.count(), ranked, _apps(category, limit, day))


def _apps(category: str, limit: int, day: date) -> list[RankedApp]:
    """Return the tracked apps of the category, most containers first; those that were never counted are left out."""
    now = Source.objects.filter(name=Source.Name.APPS).values_list("values", flat=True).first() or {}
    then = Snapshot.objects.filter(day=day).values_list("counts", flat=True).first() or {}
    found = [
        RankedApp(app.key, app.name, now[app.column], then.get(app.column))
        for app in tracked_apps()
        if app.category == category and app.column in now
    ]
    return sorted(found, key=lambda app: (-app.count, app.name))[:limit]


def _has_every_image(day: date) -> bool:
    rows = Snapshot.objects.filter(day=day, source=Snapshot.Source.TAKEN, total_apps__isnull=False)
    return rows.exists()


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


DAY = timedelta(days=1)
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which days: None leaves an end open. `limit`: at most so many of the newest."""

    first: date | None = None
    last: date | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class DayRow:
    """A day's columns by name with the percentages, and what the ledger says of the day."""

    values: Mapping[str, Any]
    revenue: DayReport


@dataclass(frozen=True, slots=True)
class History:
    """Newest day first, the days without a row as well."""

    rows: list[DayRow] = field(default_factory=list)
    missing: list[Gap] = field(default_factory=list)
    tracked: list[TrackedApp] = field(default_factory=list)


def load(wanted: Wanted, now: datetime) -> History:
    """Six queries at most, however many days."""
    rows = with_closes(read_columns(wanted, FIELDS))
    present = [row["day"] for row in rows]
    totals = Totals.load(present[-1], present[0]) if present else None
    shown = [DayRow(with_ratios(row), _revenue(totals, row["day"], now)) for row in rows if totals]
    return History(shown, missing(wanted, present, now), tracked_apps())


def read_columns(wanted: Wanted, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows' columns, newest day first."""
    rows = Snapshot.objects.order_by("-day")
    if wanted.first is not None:
        rows = rows.filter(day__gte=wanted.first)
    if wanted.last is not None:
        rows = rows.filter(day__lte=wanted.last)
    return [dict(zip(names, row, strict=True)) for row in rows.values_list(*names)[: wanted.limit]]


def with_closes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the close of each day in place of the price that was read on it, save in what the old tracker told."""
    closes = pricing.stored({row["day"] for row in rows if row["source"] != Snapshot.Source.IMPORT})
    return [row | ({"flux_price_usd": closes[row["day"]].price} if row["day"] in closes else {}) for row in rows]


def missing(wanted: Wanted, present: list[date], now: datetime) -> list[Gap]:
    """Return days without a row, newest first: of the range asked for, or from the oldest row shown on."""
    last = wanted.last or now.date()
    is_cut = wanted.limit is not None and len(present) == wanted.limit
    oldest = present[-1] if present else last
    first = oldest if is_cut or wanted.first is None else wanted.first
    return gaps(present, first, last, now)[::-1]


def nearest(day: date) -> date | None:
    """Return the day closest to this one that has a row, the older of two; None when no day has. Two queries."""
    before = Snapshot.objects.filter(day__lte=day).aggregate(day=Max("day"))["day"]
    after = Snapshot.objects.filter(day__gte=day).aggregate(day=Min("day"))["day"]
    there = [found for found in (before, after) if found is not None]
    return min(there, key=lambda found: abs(found - day)) if there else None


def _revenue(totals: Totals, day: date, now: datetime) -> DayReport:
    return DayReport(day, totals.of([day]), totals.ledger.has_all_of(day, now))


# Each step seeks the next image in the unique index: the table grows for ever, the number of images hardly.
DISTINCT_IMAGES = """
    WITH RECURSIVE seen(image) AS (
        SELECT MIN(image) FROM {table}
        UNION ALL
        SELECT (SELECT MIN(image) FROM {table} WHERE image > seen.image) FROM seen WHERE seen.image IS NOT NULL
    )
    SELECT COUNT(image) FROM seen
"""


def stats(now: datetime) -> dict[str, Any]:
    """Return counts and sums, all at one moment; sums are null where the ledger does not know."""
    newest = Snapshot.objects.aggregate(day=Max("day"))["day"]
    first = DailyTotal.objects.filter(payments__gt=0).first_day()
    return {
        "snapshots": Snapshot.objects.count(),
        "transactions": OpenDays.load().total,
        "priceHistory": DailyPrice.objects.filter(price_usd__isnull=False).count(),
        "repoSnapshots": ImageDay.objects.count(),
        "distinctRepos": _number(DISTINCT_IMAGES.format(table=ImageDay._meta.db_table)),
        "dbSizeKB": database_bytes() // 1024,
        "lastSnapshotDate": newest and newest.isoformat(),
        "revenue": _revenue_stats(now.date(), first),
        "firstTransactionDate": first and first.isoformat(),
        "lastSyncBlock": last_sync_block(),
    }


def _revenue_stats(today: date, first: date | None) -> dict[str, float | None]:
    begin = min(first or today, today - timedelta(days=29))
    totals = Totals.load(begin, today)
    spans = {"today": today, "last7Days": today - timedelta(days=6), "last30Days": today - timedelta(days=29)}
    spans["total"] = begin
    return {name: flux(totals.of(days_between(start, today)).revenue_sat) for name, start in spans.items()}


def _number(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return int(row[0])


LOOKED_BACK = (*range(14), 30, 60, 90, 180, 365)  # days
AT_A_TIME = 5_000  # images in a query


@catalogue.past_counts
def past_counts(fits: Callable[[str], bool], column: str, today: date) -> list[tuple[date, int | None, int | None]]:
    """Return days, newest first, with the containers of the images that fit and what was counted under `column` then.

    None: nobody counted on that day. Days of which neither is known are left out. Four queries.
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
    for start in range(0, len(images), AT_A_TIME):
        some = rows.filter(image__in=images[start : start + AT_A_TIME]).order_by()
        total.update(dict(some.values("day").annotate(sum=Sum("count")).values_list("day", "sum")))
    return total
