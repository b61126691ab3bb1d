"""Simulate a year of days and 90 days of readings for the demo, deterministic by seed and marked as simulated.

Works only with a network simulated on this machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import pi, sin
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.db.models import Min

from fluxtracker.api.report_serializers import as_report, described
from fluxtracker.periods import DAY
from metrics.collect import EVERY_ONE, HOUR, HOURLY
from metrics.metric_keys import FIXED, RATIOS, Number, Values, tracked_apps, with_ratios
from metrics.models import ImageCount, Reading, Source, TrackedApp, image_matcher
from metrics.selectors import Latest
from ops.jobs.runs import NotDone, Run
from revenue.models import DailyPrice
from snapshots.models import ImageDay, Snapshot
from snapshots.selectors import missing_days
from snapshots.take import opening

YEAR = 365.0  # days
WAVES = ((400.0, 0.4), (131.0, 0.3), (37.0, 0.25), (11.0, 0.2), (3.1, 0.1), (1.0, 0.08))
"""Days and height of each wave; the last one is the course of a day."""
MOST_USED = 0.95  # of a capacity
NEWCOMERS = 3  # tracked games that started in the last months
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
CAPACITY = {  # total: use, decimals
    "total_cpu_cores": ("used_cpu_cores", 1),
    "total_ram_gb": ("used_ram_gb", 2),
    "total_storage_gb": ("used_storage_gb", 2),
}
COLUMNS = {metric.key: metric.source for metric in FIXED if metric.key not in RATIOS}
CATEGORIES = {"gaming_": "gaming_apps_total", "crypto_": "crypto_nodes_total"}


Curve = Callable[[float], float | None]
"""Share of today's value at this many days ago, None before it existed."""


def curve(seed: int, name: str, year: float, wobble: float, born: float | None = None) -> Curve:
    """Return a different curve for each name.

    `year` is the share of today's value a year ago, `wobble` about the largest amplitude of the waves. It did not exist
    before `born` days ago.
    """
    rng = random.Random(f"{seed}:{name}")
    waves = [(days, rng.uniform(0, 2 * pi), wobble * size * rng.uniform(0.5, 1.0)) for days, size in WAVES]

    def at(age: float) -> float | None:
        if born is not None and age >= born:
            return None
        grown = 1.0 if born is None else max(0.03, 1 - age / born) ** 1.5
        wave = sum(height * (sin(2 * pi * age / days + phase) - sin(phase)) for days, phase, height in waves)
        return float(grown * year ** (age / YEAR) * max(0.1, 1 + wave))

    return at


class Past:
    """The past of metrics with given present values. What is unknown today was unknown then."""

    def __init__(self, present: Values, tracked: Iterable[str], seed: int, days: int) -> None:
        self.present: dict[str, Number] = {key: value for key, value in present.items() if value is not None}
        self.seed = seed
        self.nodes = curve(seed, "nodes", year=0.61, wobble=0.004)  # 4 % fewer a month ago, as in the network's history
        self.containers = curve(seed, "containers", year=0.6, wobble=0.03)
        self.use = {total: curve(seed, f"use of {total}", year=0.85, wobble=0.05) for total in CAPACITY}
        self.apps = self._apps([key for key in tracked if key in self.present], days)
        self.curves: dict[str, Curve] = {
            **dict.fromkeys(TIERS, self.nodes),
            **dict.fromkeys(("total_apps", "watchtower_count"), self.containers),
            "gitapps_count": curve(seed, "git", year=0.3, wobble=0.05),
            "wordpress_count": curve(seed, "wordpress", year=0.7, wobble=0.04),
            "flux_price_usd": curve(seed, "price", year=1.3, wobble=0.12),
            **self.apps,
        }

    def _apps(self, tracked: list[str], days: int) -> dict[str, Curve]:
        """Return a curve for each tracked app; a few games started in the last months."""
        rng = random.Random(f"{self.seed}:newcomers")
        games = [key for key in tracked if key.startswith("gaming_") and self.present[key]]
        names = rng.sample(games, min(NEWCOMERS, len(games) // 2))
        born = {key: days * rng.uniform(0.12, 0.4) for key in names}
        growth = {key: random.Random(f"{self.seed}:growth of {key}").uniform(0.35, 0.95) for key in tracked}
        return {key: curve(self.seed, key, growth[key], wobble=0.06, born=born.get(key)) for key in tracked}

    def at(self, age: float) -> dict[str, Number | None]:
        """Return every metric `age` days ago, including percentages; a tracked app that did not exist has no key."""
        known: dict[str, Number] = {}
        for key in self.curves.keys() & self.present.keys():
            if (share := self.curves[key](age)) is not None:
                known[key] = round(self.present[key] * share, 10 if key == "flux_price_usd" else None)
        known |= {key: max(1, known[key]) for key in self.apps.keys() & known.keys() if self.present[key]}
        if known.keys() >= set(TIERS):
            known["node_total"] = sum(known[tier] for tier in TIERS)
        if "total_apps" in known and "gitapps_count" in known:
            known["dockerapps_count"] = known["total_apps"] - known["gitapps_count"]
        return with_ratios(dict.fromkeys(COLUMNS) | known | self._categories(known, age) | self._cloud(age))

    def _categories(self, known: Mapping[str, Number], age: float) -> dict[str, Number]:
        """Return category totals: the apps tracked then, and the others counted in a total."""
        totals: dict[str, Number] = {}
        for prefix, key in CATEGORIES.items():
            if key in self.present:
                tracked = [name for name in self.apps if name.startswith(prefix)]
                others = max(0.0, self.present[key] - sum(self.present[name] for name in tracked))
                named = sum(known.get(name, 0) for name in tracked)
                totals[key] = named + round(others * (self.containers(age) or 0))
        return totals

    def _cloud(self, age: float) -> dict[str, Number]:
        """Return capacities, which follow the nodes, and usage, which has its own curve."""
        values: dict[str, Number] = {}
        for total, (used, places) in CAPACITY.items():
            if total in self.present:
                values[total] = round(self.present[total] * (self.nodes(age) or 0), places)
                if self.present[total] and used in self.present:
                    part = self.present[used] / self.present[total] * (self.use[total](age) or 0)
                    values[used] = round(values[total] * min(MOST_USED, part), places)
        return values


TEN_MINUTES = timedelta(minutes=10)
IMAGES = 25  # per day
GAP_FROM, FAILED_FROM = 10, 4  # with fewer days, none is missing and no source failed
HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class SimulateReport:
    """Result of a simulation. `skipped` counts days that already had a row."""

    created: int
    skipped: int
    readings: int
    first: date = field(metadata=described(key="from"))
    last: date = field(metadata=described(key="to"))


def is_this_machine(url: str) -> bool:
    """Return whether an upstream's address is on this machine, so that it can only be simulated."""
    return (urlsplit(url).hostname or "") in HERE


def simulate_history(*, now: datetime, run: Run, days: int, seed: int) -> SimulateReport:
    """Simulate missing rows of the last `days` days before today, and readings before the first real one."""
    first, last = now.date() - DAY * days, now.date() - DAY
    latest = Latest.load(now)
    if latest.read_at is None:
        nothing = as_report(SimulateReport(0, 0, 0, first, last))
        raise NotDone("nothing has been collected yet: run collect_metrics first", nothing)
    past = Past(latest.values, [app.column for app in tracked_apps()], seed, days)
    with transaction.atomic():
        run.guard()
        there = list(Snapshot.objects.between(first, last).values_list("day", flat=True))
        missing = missing_days([*there, *_gap(last, days)], first, last)
        _make_days(missing, past, now, failed=_failed(last, days))
        readings = _make_readings(past, now)
    return SimulateReport(len(missing), len(there), readings, first, last)


def _gap(last: date, days: int) -> tuple[date, ...]:
    """Return two days in the middle that get no snapshot, as any history has gaps."""
    middle = last - DAY * (days // 2)
    return (middle, middle + DAY) if days >= GAP_FROM else ()


def _failed(last: date, days: int) -> date | None:
    """Return the day on which the statistics failed."""
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
    """Return today's most frequent images on each day they existed."""
    images = list(ImageCount.objects.order_by("-count", "image")[:IMAGES])
    curves = _image_curves([row.image for row in images], past)
    for day in missing:
        age = _age(opening(day), now)
        for row in images:
            share = curves[row.image](age)
            if share is not None and round(row.count * share):
                yield ImageDay(day=day, image=row.image, category=row.category, count=round(row.count * share))


def _image_curves(images: list[str], past: Past) -> Mapping[str, Curve]:
    """Return curves by image; one of a tracked app follows the app's count."""
    known = past.apps | {
        "git_orbit": past.curves["gitapps_count"], "wordpress_wordpress": past.curves["wordpress_count"],
    }  # fmt: skip
    apps = [(image_matcher(app.image_patterns), known.get(app.column)) for app in TrackedApp.objects.all()]
    curves: dict[str, Curve] = {}
    for image in images:
        fitting = (by for fits, by in apps if by and fits(image))
        curves[image] = next(fitting, None) or curve(past.seed, image, year=0.7, wobble=0.06)
    return curves


def _make_readings(past: Past, now: datetime) -> int:
    """Make readings before the first real one: hourly for 90 days, every ten minutes for the last 7."""
    until = Reading.objects.aggregate(first=Min("at"))["first"] or now
    made_up = ((at, past.at(_age(at, now))) for at in _moments(now) if at < until)
    rows = [Reading(at=at, values={key: n for key, n in values.items() if n is not None}) for at, values in made_up]
    return len(Reading.objects.bulk_create(rows, batch_size=500))


def _moments(now: datetime) -> Iterator[datetime]:
    at = (now - HOURLY).replace(minute=0, second=0, microsecond=0) + HOUR
    while at < now:
        yield at
        at += TEN_MINUTES if at >= now - EVERY_ONE else HOUR
