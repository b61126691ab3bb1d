"""A year of made-up days and 90 days of made-up readings for the demo, marked as such.

It must never get into a real database: it works only against a network that is simulated on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Min

from metrics.catalogue import FIXED, RATIOS, Number, tracked_apps
from metrics.latest import Latest
from metrics.models import ImageCount, Reading, Source, TrackedApp
from metrics.patterns import image_matcher
from ops.runs import NotDone, Run
from revenue.models import DailyPrice
from snapshots.made_up import Curve, Past, curve
from snapshots.models import ImageDay, Snapshot
from snapshots.take import opening

DAY = timedelta(days=1)
HOURLY, EVERY_ONE = timedelta(days=90), timedelta(days=7)  # as real readings are kept
TEN_MINUTES, HOUR = timedelta(minutes=10), timedelta(hours=1)
IMAGES = 25  # a day
GAP_FROM, FAILED_FROM = 10, 4  # with fewer days than these, none is missing and no source failed
HERE = ("127.0.0.1", "localhost", "::1")
COLUMNS = {metric.key: metric.source for metric in FIXED if metric.key not in RATIOS}


@dataclass(frozen=True, slots=True)
class SimulateReport:
    """`skipped` counts the days that had a row already."""

    created: int
    skipped: int
    readings: int
    first: date
    last: date


def is_this_machine(url: str) -> bool:
    """Whether an upstream's address is on this machine, where only a simulated one can be."""
    return (urlsplit(url).hostname or "") in HERE


def simulate_history(*, now: datetime, run: Run, days: int, seed: int) -> SimulateReport:
    """Make up the last `days` days before today that have no row, and the readings before the first real one."""
    first, last = now.date() - DAY * days, now.date() - DAY
    latest = Latest.load(now)
    if latest.read_at is None:
        raise NotDone("nothing has been collected yet: run collect_metrics first", _nothing(first, last))
    past = Past(latest.values, [app.column for app in tracked_apps()], seed, days)
    with transaction.atomic():
        run.guard()
        there = set(Snapshot.objects.filter(day__gte=first, day__lte=last).values_list("day", flat=True))
        missing = [day for day in _days(first, last) if day not in there and day not in _gap(last, days)]
        _make_days(missing, past, now, failed=_failed(last, days))
        readings = _make_readings(past, now)
    return SimulateReport(len(missing), len(there), readings, first, last)


def _nothing(first: date, last: date) -> dict[str, Any]:
    return {"created": 0, "skipped": 0, "from": first.isoformat(), "to": last.isoformat()}


def _days(first: date, last: date) -> list[date]:
    return [first + DAY * number for number in range((last - first).days + 1)]


def _gap(last: date, days: int) -> tuple[date, ...]:
    """Two days in the middle on which nobody took a snapshot: a history has gaps."""
    middle = last - DAY * (days // 2)
    return (middle, middle + DAY) if days >= GAP_FROM else ()


def _failed(last: date, days: int) -> date | None:
    """The day on which the statistics did not answer."""
    return last - DAY * (days * 2 // 3) if days >= FAILED_FROM else None


def _age(at: datetime, now: datetime) -> float:
    """Days between an instant and now."""
    return max(0.0, (now - at) / DAY)


def _make_days(missing: list[date], past: Past, now: datetime, failed: date | None) -> None:
    prices = dict(DailyPrice.objects.filter(day__in=missing).values_list("day", "price_usd"))
    rows = [_row(day, past, now, prices.get(day), without_cloud=day == failed) for day in missing]
    Snapshot.objects.bulk_create(rows, batch_size=200)
    ImageDay.objects.filter(day__in=missing).delete()
    ImageDay.objects.bulk_create(_image_days(missing, past, now), batch_size=1000)


def _row(day: date, past: Past, now: datetime, price: Decimal | None, *, without_cloud: bool) -> Snapshot:
    values = past.at(_age(opening(day), now))
    if without_cloud:
        values |= {key: None for key, source in COLUMNS.items() if source == Source.Name.CLOUD}
    made_up_price = values["flux_price_usd"]
    if price is None and made_up_price is not None:
        price = round(Decimal(str(made_up_price)), 10)
    columns: dict[str, Any] = {key: values[key] for key in COLUMNS} | {"flux_price_usd": price}
    counts = {key: values[key] for key in past.apps if key in values}
    return Snapshot(
        day=day, source=Snapshot.Source.SIMULATED, made_at=now, read_at=opening(day), counts=counts, **columns
    )


def _image_days(missing: list[date], past: Past, now: datetime) -> Iterator[ImageDay]:
    """Today's most frequent images on each of the days on which they existed."""
    images = list(ImageCount.objects.order_by("-count", "image")[:IMAGES])
    curves = _image_curves([row.image for row in images], past)
    for day in missing:
        age = _age(opening(day), now)
        for row in images:
            share = curves[row.image].at(age)
            if share is not None and round(row.count * share):
                yield ImageDay(day=day, image=row.image, category=row.category, count=round(row.count * share))


def _image_curves(images: list[str], past: Past) -> Mapping[str, Curve]:
    """An image of a tracked app goes the way of the app's count."""
    known = past.apps | {"git_orbit": past.git, "wordpress_wordpress": past.wordpress}
    apps = [(image_matcher(app.image_patterns), known.get(app.column)) for app in TrackedApp.objects.all()]
    found: dict[str, Curve] = {}
    for image in images:
        fitting = (by for matcher, by in apps if matcher and by and matcher.search(image))
        found[image] = next(fitting, None) or curve(past.seed, image, year=0.7, wobble=0.06)
    return found


def _make_readings(past: Past, now: datetime) -> int:
    """Hourly ones for 90 days, of every ten minutes for the last 7, all before the first that there is."""
    until = Reading.objects.aggregate(first=Min("at"))["first"] or now
    rows = [Reading(at=at, values=_known(past.at(_age(at, now)))) for at in _moments(now) if at < until]
    Reading.objects.bulk_create(rows, batch_size=500)
    return len(rows)


def _moments(now: datetime) -> Iterator[datetime]:
    at = (now - HOURLY).replace(minute=0, second=0, microsecond=0) + HOUR
    while at < now:
        yield at
        at += TEN_MINUTES if at >= now - EVERY_ONE else HOUR


def _known(values: Mapping[str, Number | None]) -> dict[str, Number]:
    return {key: value for key, value in values.items() if value is not None}
