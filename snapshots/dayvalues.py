"""What is known of each day of a range, for the metrics that are asked for. A fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Min, Q

from metrics.catalogue import RATIOS, Number, percent
from metrics.latest import Latest
from metrics.models import ImageCount, Source
from revenue.models import DailyTotal
from revenue.reports import Totals
from snapshots.choices import Choice, Kind
from snapshots.models import ImageDay, Snapshot

Days = dict[date, Number]
COLUMNS = frozenset(field.name for field in Snapshot._meta.concrete_fields)
ALL_IMAGES = "total_apps"  # known: the containers were read, so an image without a row had none


@dataclass(frozen=True, slots=True)
class Live:
    """That today's value is the last reading. `stale`: the source is late, or failed since."""

    read_at: datetime
    stale: bool


@dataclass(frozen=True, slots=True)
class DayValues:
    """`totals` is None where nothing of the ledger was asked for; a day that is not in `states` is unknown."""

    totals: Totals | None
    states: Mapping[str, Days]
    sources: Mapping[date, str]
    live: Mapping[str, Live]

    @classmethod
    def load(cls, choices: Sequence[Choice], first: date, last: date, now: datetime) -> DayValues:
        """At most eight queries, whatever the range and the number of metrics."""
        states = [choice for choice in choices if choice.kind == Kind.STATE]
        found, sources = _snapshots(states, first, last) if states else ({}, {})
        live: dict[str, Live] = {}
        if states and first <= now.date() <= last:
            live = _add_readings(found, states, now)
        has_sums = len(states) < len(choices)
        return cls(Totals.load(first, last) if has_sums else None, found, sources, live)


def first_day_of(choices: Sequence[Choice]) -> date | None:
    """The first day of which one of these metrics is known; None when none has any. At most three queries."""
    firsts: list[date | None] = []
    if any(choice.kind == Kind.SUM for choice in choices):
        firsts.append(DailyTotal.objects.first_day())
    if told := [_told(choice) for choice in choices if choice.kind == Kind.STATE]:
        known = Snapshot.objects.filter(reduce(or_, told))
        firsts.append(known.aggregate(first=Min("day"))["first"])
    if images := [choice.image for choice in choices if choice.image]:
        firsts.append(ImageDay.objects.filter(image__in=images).aggregate(first=Min("day"))["first"])
    return min((day for day in firsts if day is not None), default=None)


def _told(choice: Choice) -> Q:
    """The snapshots that know the metric. An image that a snapshot does not list had no container, see below."""
    if choice.image:
        return Q(source=Snapshot.Source.TAKEN, **{f"{ALL_IMAGES}__isnull": False})
    if choice.key in COLUMNS or choice.key in RATIOS:
        return Q(**{f"{column}__isnull": False for column in _columns([choice.key])})
    return Q(counts__has_key=choice.key)


def _snapshots(choices: Sequence[Choice], first: date, last: date) -> tuple[dict[str, Days], dict[date, str]]:
    images = {choice.image: choice.key for choice in choices if choice.image}
    plain = [choice.key for choice in choices if not choice.image]
    columns = sorted(_columns(plain) | ({ALL_IMAGES} if images else set()))
    rows = list(Snapshot.objects.filter(day__range=(first, last)).values("day", "source", *columns))
    states = {key: _days(key, rows) for key in plain}
    if images:
        states |= _image_days(images, rows, first, last)
    return states, {row["day"]: row["source"] for row in rows}


def _columns(keys: Iterable[str]) -> set[str]:
    """The columns that the metrics are made of."""
    needed: set[str] = set()
    for key in keys:
        needed |= set(RATIOS.get(key) or [key if key in COLUMNS else "counts"])
    return needed


def _days(key: str, rows: Iterable[Mapping[str, Any]]) -> Days:
    if key in RATIOS:
        part, whole = RATIOS[key]
        pairs: Iterator[tuple[date, Any]] = ((row["day"], percent(row[part], row[whole])) for row in rows)
    elif key in COLUMNS:
        pairs = ((row["day"], row[key]) for row in rows)
    else:
        pairs = ((row["day"], row["counts"].get(key)) for row in rows)
    return {day: float(value) if isinstance(value, Decimal) else value for day, value in pairs if value is not None}


def _image_days(
    images: Mapping[str, str], rows: Iterable[Mapping[str, Any]], first: date, last: date
) -> dict[str, Days]:
    """Only a snapshot that was taken lists every image: there, one that is not listed had none."""
    whole = [row["day"] for row in rows if row["source"] == Snapshot.Source.TAKEN and row[ALL_IMAGES] is not None]
    states: dict[str, Days] = {key: dict.fromkeys(whole, 0) for key in images.values()}
    counts = ImageDay.objects.filter(image__in=list(images), day__range=(first, last))
    for image, day, count in counts.values_list("image", "day", "count"):
        states[images[image]][day] = count
    return states


def _add_readings(states: dict[str, Days], choices: Sequence[Choice], now: datetime) -> dict[str, Live]:
    """Today's values as they were last read, in place of those of today's snapshot. Answers which those are."""
    latest, today, live = Latest.load(now), now.date(), {}
    values = {**latest.values} | _image_counts(choices)
    for choice in choices:
        view, value = latest.sources[choice.source or Source.Name.APPS], values.get(choice.key)
        if value is not None and view.read_at is not None and view.read_at.date() == today:
            states[choice.key][today] = value
            live[choice.key] = Live(view.read_at, stale=view.status != "ok")
    return live


def _image_counts(choices: Sequence[Choice]) -> dict[str, int]:
    images = {choice.image: choice.key for choice in choices if choice.image}
    if not images:
        return {}
    counts = dict(ImageCount.objects.filter(image__in=list(images)).values_list("image", "count"))
    return {key: counts.get(image, 0) for image, key in images.items()}
