"""Readings over time: every one for 7 days, the first of each hour for 90, then gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from metrics.catalogue import Number
from metrics.models import Reading

EVERY_ONE = timedelta(days=7)
HOURLY = timedelta(days=90)
HOUR = timedelta(hours=1)


def add_reading(values: Mapping[str, Number], now: datetime) -> None:
    """Keep what was read now, if anything was, and thin what is old enough. Inside the caller's transaction."""
    if not values:
        return
    previous = Reading.objects.filter(at__lt=now).values_list("at", flat=True).first()
    Reading.objects.update_or_create(at=now, defaults={"values": dict(values)})
    thin(now, since=previous)


def thin(now: datetime, *, since: datetime | None) -> None:
    """Delete what is due. What was due at the reading of `since` is gone already: only the time between is read."""
    Reading.objects.filter(at__lt=now - HOURLY).delete()
    old = Reading.objects.filter(at__lt=now - EVERY_ONE)
    if since is not None:
        old = old.filter(at__gte=_hour(since - EVERY_ONE))
    due = list(_all_but_first_of_hour(old.order_by("at").values_list("id", "at")))
    if due:
        Reading.objects.filter(id__in=due).delete()


def _all_but_first_of_hour(rows: Iterable[tuple[int, datetime]]) -> Iterator[int]:
    hour = None
    for row, at in rows:
        if _hour(at) == hour:
            yield row
        hour = _hour(at)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
