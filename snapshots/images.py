"""Counts of images and categories over the days, and now against then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fluxtracker.fresh import is_fresh
from metrics.catalogue import tracked_apps
from metrics.latest import OLD
from metrics.models import ImageCount, Source
from snapshots.models import ImageDay, Snapshot


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
    """The tracked apps of the category, most containers first; those that were never counted are left out."""
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
    """When the counts of images were last read; None when they never were."""
    return Source.objects.filter(name=Source.Name.APPS).values_list("read_at", flat=True).first()


def is_old(read_at: datetime | None, now: datetime) -> bool:
    """Whether the counts of now were read over 2 hours ago, in the future, or never."""
    return not is_fresh(read_at, now, OLD)
