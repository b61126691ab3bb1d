"""The five comparisons, made ahead and found again.

What was made is used while its stamp fits and it is no more than five minutes old: `toDate` goes with the clock. A
reader who finds none makes its own and keeps it in the memory of its process; only `keep_warm` writes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.utils import timezone

from fluxtracker.api.reading import one_moment
from fluxtracker.fresh import is_fresh
from snapshots import compare, compare_wire
from snapshots.compare import Span
from snapshots.compare_stamp import Facts, facts, stamp
from snapshots.compare_wire import Answer
from snapshots.models import WarmComparison

log = structlog.get_logger(__name__)

OLDEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Made:
    """A comparison, and what it was made of and when."""

    span: Span
    stamp: str
    made_at: datetime
    answer: Answer

    def fits(self, stamp: str, now: datetime) -> bool:
        """Whether it says what would be said now. One from the future is as wrong as one from the past."""
        return self.stamp == stamp and is_fresh(self.made_at, now, OLDEST)


KEPT: dict[Span, Made] = {}
"""What this process made for its readers: at most one for each span."""


def keep_warm() -> None:
    """Make the comparisons anew whose stamp has changed or that are five minutes old.

    May run anywhere and beside itself: who writes last may leave a stamp behind that fits no more, and then
    readers make their own until the next time.
    """
    now = timezone.now()
    with one_moment():
        found = facts()
        warm = {row.period: _made(row) for row in WarmComparison.objects.filter(period__in=list(Span))}
        due = [span for span in Span if span not in warm or not warm[span].fits(stamp(span, found, now), now)]
        made = _make(due, found, now)
    _store(made)
    log.debug("comparisons_kept_warm", made=len(made))


def find(span: Span, now: datetime) -> Made:
    """The comparison, from two small queries when it is warm."""
    wanted = stamp(span, facts(), now)
    row = WarmComparison.objects.filter(period=span).first()
    for made in (_made(row) if row else None, KEPT.get(span)):
        if made is not None and made.fits(wanted, now):
            return made
    with one_moment():
        KEPT[span] = made = _make([span], facts(), now)[0]
    return made


def _make(spans: Collection[Span], found: Facts, now: datetime) -> list[Made]:
    if not spans:
        return []
    material = compare.load(spans, now)
    answers = {span: compare_wire.answer(compare.compare(span, material, now), now) for span in spans}
    return [Made(span, stamp(span, found, now), now, answer) for span, answer in answers.items()]


def _store(made: Collection[Made]) -> None:
    """Always in the same order: two that write at once wait for each other instead of for ever."""
    rows = [WarmComparison(period=one.span, stamp=one.stamp, answer=one.answer, made_at=one.made_at) for one in made]
    WarmComparison.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["period"], update_fields=["stamp", "answer", "made_at"]
    )


def _made(row: WarmComparison) -> Made:
    return Made(Span(row.period), row.stamp, row.made_at, row.answer)
