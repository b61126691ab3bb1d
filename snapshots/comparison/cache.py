"""Keep the five comparisons ready, and find a current one.

A comparison is used while its stamp matches and it is at most five minutes old. A reader without one makes it; only
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
    """Return when each source was read, which apps are tracked, and the state of ledger and snapshots.

    One small query.
    """
    with connection.cursor() as cursor:
        cursor.execute(*_facts_query())
        return tuple(sorted(cursor.fetchall(), key=str))


@cache
def _facts_query() -> tuple[str, Sequence[Any]]:
    """Return its SQL, compiled once, as compiling takes longer than running it."""
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


def stamp(bucket: Bucket, current: Facts, now: datetime) -> str:
    """Return a stamp, equal only for answers that are the same but for the age of their `toDate`."""
    return hashlib.sha256(repr((__version__, bucket.letter, now.date(), current)).encode()).hexdigest()


log = structlog.get_logger(__name__)

OLDEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Made:
    """A comparison, with the stamp of its data and its time."""

    bucket: Bucket
    stamp: str
    made_at: datetime
    answer: Report

    def fits(self, stamp: str, now: datetime) -> bool:
        """Return whether it is current. One from the future is as wrong as an old one."""
        return self.stamp == stamp and is_fresh(self.made_at, now, OLDEST)


def keep_warm() -> None:
    """Make comparisons again if their stamp has changed or they are five minutes old.

    Safe to run concurrently: the last writer may leave an outdated stamp, and readers then make their own until the
    next run.
    """
    now = timezone.now()
    with read_snapshot():
        current = facts()
        rows = {row.period: row for row in WarmComparison.objects.all()}
        warm = {bucket: _made(rows[bucket.letter]) for bucket in Bucket if bucket.letter in rows}
        fitting = {bucket for bucket, made in warm.items() if made.fits(stamp(bucket, current, now), now)}
        due = [bucket for bucket in Bucket if bucket not in fitting]
        made = _make(due, current, now)
    _store(made)
    log.debug("comparisons_kept_warm", made=len(made))


def find(bucket: Bucket, now: datetime) -> Made:
    """Return the comparison, with two small queries if it is warm."""
    current = stamp(bucket, facts(), now)
    row = WarmComparison.objects.filter(period=bucket.letter).first()
    if row and (made := _made(row)).fits(current, now):
        return made
    with read_snapshot():
        return _make([bucket], facts(), now)[0]


def _make(buckets: Collection[Bucket], current: Facts, now: datetime) -> list[Made]:
    if not buckets:
        return []
    material = calculate.load(buckets, now)
    answers = {bucket: ComparisonAnswer.write(calculate.compare(bucket, material, now)) for bucket in buckets}
    return [Made(bucket, stamp(bucket, current, now), now, answer) for bucket, answer in answers.items()]


def _store(made: Collection[Made]) -> None:
    """Store comparisons, always in the same order so that concurrent writers wait instead of deadlocking."""
    rows = [
        WarmComparison(period=one.bucket.letter, stamp=one.stamp, answer=one.answer, made_at=one.made_at)
        for one in made
    ]
    WarmComparison.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["period"], update_fields=["stamp", "answer", "made_at"]
    )


def _made(row: WarmComparison) -> Made:
    return Made(Bucket.of_letter(row.period), row.stamp, row.made_at, row.answer)
