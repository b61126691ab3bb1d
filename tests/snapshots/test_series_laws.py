"""Laws of series, held against sums made the slow way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fluxtracker import money
from fluxtracker.periods import Bucket, split
from revenue.models import LedgerState
from revenue.period_totals import Totals
from snapshots.series import selectors
from snapshots.series.choices import SUMS, Category, Choice
from snapshots.series.selectors import DayValues
from tests.snapshots.series_rows import DAY, NOW, TODAY

FLUX = SUMS[0]
NODES = Choice("node_total", "Nodes", "", Category.NODES)
SATOSHI = st.dictionaries(st.integers(0, 120), st.integers(1, 10**15), max_size=60)
RANGES = st.tuples(st.integers(0, 120), st.integers(0, 60))
BUCKETS = st.sampled_from(Bucket)


def days_ago(values: Mapping[int, int]) -> dict[date, int]:
    return {TODAY - DAY * back: value for back, value in values.items()}


def ledger_of(paid: Mapping[date, int], completed_at: datetime | None = NOW) -> DayValues:
    rows = {day: {"revenue_sat": sat, "payments": 1, "usd_micro": 0, "priced": 1} for day, sat in paid.items()}
    return DayValues(Totals(rows, LedgerState(completed_at=completed_at)), {}, {}, {})


def stretch(bounds: tuple[int, int]) -> tuple[date, date]:
    last = TODAY - DAY * bounds[0]
    return last - DAY * bounds[1], last


def drawn(known: DayValues, bounds: tuple[int, int], bucket: Bucket, choice: Choice, *, cumulative: bool = False):
    return selectors._Drawn(known, split(*stretch(bounds), bucket), cumulative, NOW).line(choice)


@given(SATOSHI, RANGES, BUCKETS)
def test_buckets_add_up_to_all_that_was_paid_in_the_range(values, bounds, bucket):
    paid, (first, last) = days_ago(values), stretch(bounds)
    points = drawn(ledger_of(paid), bounds, bucket, FLUX).points
    exact = sum(round(point * money.SAT) for point in points)
    assert exact == sum(sat for day, sat in paid.items() if first <= day <= last)


@given(SATOSHI, RANGES, BUCKETS)
def test_the_last_cumulative_point_is_the_sum_of_all_and_none_falls(values, bounds, bucket):
    known = ledger_of(days_ago(values))
    rising = drawn(known, bounds, bucket, FLUX, cumulative=True).points
    each = drawn(known, bounds, bucket, FLUX).points
    assert rising == sorted(rising)
    assert round(rising[-1] * money.SAT) == sum(round(point * money.SAT) for point in each)


@given(SATOSHI, RANGES, BUCKETS, st.integers(0, 200))
def test_what_no_sync_has_seen_is_never_a_zero(values, bounds, bucket, behind):
    paid, completed_at = days_ago(values), NOW - DAY * behind
    spans = split(*stretch(bounds), bucket)
    assert spans
    line = drawn(ledger_of(paid, completed_at), bounds, bucket, FLUX)
    for number, (span, point) in enumerate(zip(spans, line.points, strict=True)):
        if span.first > completed_at.date() and not any(day in paid for day in span.days()):
            assert point is None
        if span.last >= completed_at.date():
            assert point is None or number in line.partial


@given(st.dictionaries(st.integers(0, 120), st.integers(0, 10**6), max_size=60), RANGES, BUCKETS)
def test_a_state_is_the_last_known_value_of_its_span(values, bounds, bucket):
    counted = days_ago(values)
    known = DayValues(None, {NODES.key: counted}, dict.fromkeys(counted, "taken"), {})
    line = drawn(known, bounds, bucket, NODES)
    for span, point, source in zip(split(*stretch(bounds), bucket), line.points, line.sources, strict=True):
        inside = [counted[day] for day in span.days() if day in counted]
        assert point == (inside[-1] if inside else None)
        assert bool(source) == bool(inside)


@given(RANGES, BUCKETS)
def test_the_days_before_are_as_many_and_end_right_before_the_first(bounds, bucket):
    first, last = stretch(bounds)
    request = selectors.SeriesRequest((NODES,), first, last, bucket, previous=True)
    before = [span.back(request.length) for span in split(first, last, bucket)]
    assert before[-1].last == first - timedelta(days=1)
    assert sum(len(span.days()) for span in before) == request.length
    assert not NODES.is_sum
