"""Make up a year of days and 90 days of readings for the demo, the same for one seed and marked as simulated.

Works only against a network that is simulated on this machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import pi, sin
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Min

from metrics.catalogue import FIXED, RATIOS, Number, Values, tracked_apps, with_ratios
from metrics.models import ImageCount, Reading, Source, TrackedApp, image_matcher
from metrics.selectors import Latest
from ops.runs import NotDone, Run
from revenue.models import DailyPrice
from snapshots.models import ImageDay, Snapshot
from snapshots.take import opening

YEAR, MONTH = 365.0, 30.0  # days
WAVES = (400.0, 131.0, 37.0, 11.0, 3.1, 1.0)  # days; the last one is the course of a day
MOST_USED = 0.95  # of a capacity
NEWCOMERS = 3  # tracked games that came in the last months
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
CAPACITY = {  # total: use, decimals
    "total_cpu_cores": ("used_cpu_cores", 1),
    "total_ram_gb": ("used_ram_gb", 2),
    "total_storage_gb": ("used_storage_gb", 2),
}
CATEGORIES = {"gaming_": "gaming_apps_total", "crypto_": "crypto_nodes_total"}


@dataclass(frozen=True, slots=True)
class Curve:
    """How much of its value of today something had. `month`, `year`: the share of it so long ago."""

    month: float
    year: float
    waves: tuple[tuple[float, float, float], ...]
    """Days, phase, share of the value."""
    born: float | None = None
    """Days ago; before, it did not exist."""

    def at(self, age: float) -> float | None:
        """Return the share of today's value `age` days ago; None when there was nothing yet."""
        if self.born is not None and age >= self.born:
            return None
        grown = 1.0 if self.born is None else max(0.03, 1 - age / self.born) ** 1.5
        return grown * self._trend(age) * max(0.1, 1 + self._wave(age) - self._wave(0.0))

    def _trend(self, age: float) -> float:
        if age <= MONTH:
            return 1 - (1 - self.month) * age / MONTH
        return self.month * math.pow(self.year / self.month, (age - MONTH) / (YEAR - MONTH))

    def _wave(self, age: float) -> float:
        return sum(height * sin(2 * pi * age / days + phase) for days, phase, height in self.waves)


def curve(
    seed: int, name: str, year: float, wobble: float, month: float | None = None, born: float | None = None
) -> Curve:
    """Return a curve of its own for each name. `wobble` is about the greatest part that the waves add or take."""
    rng = random.Random(f"{seed}:{name}")
    sizes = [wobble * size * rng.uniform(0.5, 1.0) for size in (0.4, 0.3, 0.25, 0.2, 0.1, 0.08)]
    waves = tuple((days, rng.uniform(0, 2 * pi), size) for days, size in zip(WAVES, sizes, strict=True))
    return Curve(year ** (MONTH / YEAR) if month is None else month, year, waves, born)


class Past:
    """The past of the metrics whose present values are given. What is not known today was not known then."""

    def __init__(self, present: Values, tracked: Iterable[str], seed: int, days: int) -> None:
        self.present, self.seed = present, seed
        self.tracked = [key for key in tracked if present.get(key) is not None]
        # 4 % fewer nodes a month ago: what the simulated network tells of its last 30 days.
        self.nodes = curve(seed, "nodes", year=0.82, wobble=0.004, month=0.96)
        self.containers = curve(seed, "containers", year=0.6, wobble=0.03)
        self.git = curve(seed, "git", year=0.3, wobble=0.05)
        self.wordpress = curve(seed, "wordpress", year=0.7, wobble=0.04)
        self.price = curve(seed, "price", year=1.3, wobble=0.12)
        self.machines = {total: curve(seed, total, year=0.98, wobble=0.002) for total in CAPACITY}
        self.use = {total: curve(seed, f"use of {total}", year=0.85, wobble=0.05) for total in CAPACITY}
        born = self._newcomers(days)
        self.apps = {key: self._app(key, born.get(key)) for key in self.tracked}

    def _newcomers(self, days: int) -> Mapping[str, float]:
        rng = random.Random(f"{self.seed}:newcomers")
        games = [key for key in self.tracked if key.startswith("gaming_") and self.present[key]]
        names = rng.sample(games, min(NEWCOMERS, len(games) // 2))
        return {key: days * rng.uniform(0.12, 0.4) for key in names}

    def _app(self, key: str, born: float | None) -> Curve:
        year = random.Random(f"{self.seed}:growth of {key}").uniform(0.35, 0.95)
        return curve(self.seed, key, year, wobble=0.06, born=born)

    def at(self, age: float) -> dict[str, Number | None]:
        """Return every metric `age` days ago, percentages included; a tracked app that did not exist has no key."""
        found = self._nodes(age) | self._cloud(age) | self._apps(age)
        price = self._times("flux_price_usd", self.price, age)
        return with_ratios(found | {"flux_price_usd": None if price is None else round(price, 10)})

    def _times(self, key: str, by: Curve, age: float) -> float | None:
        value, share = self.present.get(key), by.at(age)
        return None if value is None or share is None else value * share

    def _count(self, key: str, by: Curve, age: float) -> int | None:
        value = self._times(key, by, age)
        return None if value is None else round(value)

    def _nodes(self, age: float) -> dict[str, Number | None]:
        tiers = {key: self._count(key, self.nodes, age) for key in TIERS}
        return {**tiers, "node_total": None if None in tiers.values() else sum(n for n in tiers.values() if n)}

    def _cloud(self, age: float) -> dict[str, Number | None]:
        """A capacity follows the nodes; what is used of it, its own course."""
        found: dict[str, Number | None] = {}
        for total, (used, places) in CAPACITY.items():
            whole = self._times(total, self.nodes, age)
            whole = None if whole is None else round(whole * (self.machines[total].at(age) or 0), places)
            found[total], found[used] = whole, self._used(total, used, whole, age, places)
        return found

    def _used(self, total: str, used: str, whole: float | None, age: float, places: int) -> float | None:
        now, share = self.present.get(used), self.use[total].at(age)
        all_now = self.present.get(total)
        if whole is None or now is None or share is None or not all_now:
            return None
        return round(whole * min(MOST_USED, now / all_now * share), places)

    def _apps(self, age: float) -> dict[str, Number | None]:
        total = self._count("total_apps", self.containers, age)
        git = self._count("gitapps_count", self.git, age)
        found: dict[str, Number | None] = {"total_apps": total, "gitapps_count": git}
        found["dockerapps_count"] = None if total is None or git is None else total - git
        found["watchtower_count"] = self._count("watchtower_count", self.containers, age)
        found["wordpress_count"] = self._count("wordpress_count", self.wordpress, age)
        counts = {key: self._count(key, by, age) for key, by in self.apps.items()}
        known = {
            key: max(1, count) if self.present[key] else count for key, count in counts.items() if count is not None
        }
        return found | known | {key: self._category(prefix, key, known, age) for prefix, key in CATEGORIES.items()}

    def _category(self, prefix: str, key: str, known: Mapping[str, int], age: float) -> int | None:
        """Return the tracked ones of then, and the others that the total counts besides."""
        now = self.present.get(key)
        if now is None:
            return None
        others = max(0.0, now - sum(self.present[name] or 0 for name in self.tracked if name.startswith(prefix)))
        named = sum(count for name, count in known.items() if name.startswith(prefix))
        return named + round(others * (self.containers.at(age) or 0))


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
    """Return whether an upstream's address is on this machine, where only a simulated one can be."""
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
    """Return the day on which the statistics did not answer."""
    return last - DAY * (days * 2 // 3) if days >= FAILED_FROM else None


def _age(at: datetime, now: datetime) -> float:
    """Return days between an instant and now."""
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
