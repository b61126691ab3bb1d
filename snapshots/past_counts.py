"""How many containers of certain images ran on past days: what a tracked app would have counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date

from django.db.models import QuerySet, Sum

from snapshots.gaps import DAY
from snapshots.models import ImageDay, Snapshot

LOOKED_BACK = (*range(14), 30, 60, 90, 180, 365)  # days
AT_A_TIME = 5_000  # images in a query


def past_counts(fits: Callable[[str], bool], column: str, today: date) -> list[tuple[date, int | None, int | None]]:
    """Days, newest first, with the containers of the images that fit and what was counted under `column` then.

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
