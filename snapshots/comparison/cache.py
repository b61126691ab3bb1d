"""Keep the five comparisons ready, and find the one that still fits.

A comparison is used while its stamp fits and it is at most five minutes old. A reader who finds none makes one; only
`keep_warm` writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from django.db import connection
from django.db.models import CharField, Count, Max, Value
from django.db.models.functions import Cast
from django.utils import timezone

from fluxtracker import __version__
from fluxtracker.database import read_snapshot
from fluxtracker.periods import Bucket, is_fresh
from metrics.metric_keys import COUNTED
from metrics.models import Source, TrackedApp
from revenue.models import LedgerState
from snapshots.comparison import calculate
from snapshots.comparison.serializers import ComparisonAnswer, Report
from snapshots.models import Snapshot, WarmComparison

READ = (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)
TEXT = CharField()

Facts = tuple[tuple[str | None, ...], ...]


def facts() -> Facts:
    """Return when each source was read, which apps are tracked, how the ledger and the snapshots stand.

    One small query.
    """
    with connection.cursor() as cursor:
        cursor.execute(*_facts_query())
        return tuple(sorted(cursor.fetchall(), key=str))


@cache
def _facts_query() -> tuple[str, Sequence[Any]]:
    """Return its SQL, compiled once: that takes longer than to run it."""
    sources = Source.objects.filter(name__in=READ).order_by().values_list("name", Cast("read_at", TEXT), Value(""))
    tracked = TrackedApp.objects.filter(active=True, category__in=COUNTED).order_by()
    ledger = LedgerState.objects.values_list(Value("ledger"), Cast("version", TEXT), Cast("completed_at", TEXT))
    days = Snapshot.objects.order_by().annotate(kind=Value("snapshots")).values("kind")
    days = days.annotate(rows=Cast(Count("id"), TEXT), last=Cast(Max("made_at"), TEXT))
    rows = sources.union(
        tracked.values_list("category", "key", Value("")), ledger, days.values_list("kind", "rows", "last"), all=True
    )
    sql, params = rows.query.sql_with_params()
    return sql, params


def stamp(bucket: Bucket, found: Facts, now: datetime) -> str:
    """Equal only for answers that are the same up to the age of their `toDate`."""
    return hashlib.sha256(repr((__version__, bucket.letter, now.date(), found)).encode()).hexdigest()


log = structlog.get_logger(__name__)

OLDEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Made:
    """A comparison, and what it was made of and when."""

    bucket: Bucket
    stamp: str
    made_at: datetime
    answer: Report

    def fits(self, stamp: str, now: datetime) -> bool:
        """Return whether it is what would be made now. One from the future is as wrong as one from the past."""
        return self.stamp == stamp and is_fresh(self.made_at, now, OLDEST)


def keep_warm() -> None:
    """Make the comparisons again whose stamp has changed or that are five minutes old.

    May run anywhere and beside itself: who writes last may leave a stamp behind that fits no more, and then
    readers make their own until the next time.
    """
    now = timezone.now()
    with read_snapshot():
        found = facts()
        rows = {row.period: row for row in WarmComparison.objects.all()}
        warm = {bucket: _made(rows[bucket.letter]) for bucket in Bucket if bucket.letter in rows}
        fitting = {bucket for bucket, made in warm.items() if made.fits(stamp(bucket, found, now), now)}
        due = [bucket for bucket in Bucket if bucket not in fitting]
        made = _make(due, found, now)
    _store(made)
    log.debug("comparisons_kept_warm", made=len(made))


def find(bucket: Bucket, now: datetime) -> Made:
    """Return the comparison, from two small queries when it is warm."""
    current = stamp(bucket, facts(), now)
    row = WarmComparison.objects.filter(period=bucket.letter).first()
    if row and (made := _made(row)).fits(current, now):
        return made
    with read_snapshot():
        return _make([bucket], facts(), now)[0]


def _make(buckets: Collection[Bucket], found: Facts, now: datetime) -> list[Made]:
    if not buckets:
        return []
    material = calculate.load(buckets, now)
    answers = {bucket: ComparisonAnswer.write(calculate.compare(bucket, material, now)) for bucket in buckets}
    return [Made(bucket, stamp(bucket, found, now), now, answer) for bucket, answer in answers.items()]


def _store(made: Collection[Made]) -> None:
    """Always in the same order: two that write at once wait for each other instead of deadlocking."""
    rows = [
        WarmComparison(period=one.bucket.letter, stamp=one.stamp, answer=one.answer, made_at=one.made_at)
        for one in made
    ]
    WarmComparison.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["period"], update_fields=["stamp", "answer", "made_at"]
    )


def _made(row: WarmComparison) -> Made:
    return Made(Bucket.of_letter(row.period), row.stamp, row.made_at, row.answer)
