"""Days in weeks and months: none lost, none twice, in order."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.periods import Bucket, Span, split

DAYS = st.dates(date(2019, 1, 1), date(2030, 12, 31))


def test_weeks_begin_on_monday_and_those_at_the_ends_are_cut():
    assert split(date(2026, 11, 11), date(2026, 11, 24), Bucket.WEEK) == [
        Span(date(2026, 11, 11), date(2026, 11, 15), cut=True),
        Span(date(2026, 11, 16), date(2026, 11, 22)),
        Span(date(2026, 11, 23), date(2026, 11, 24), cut=True),
    ]


def test_months_have_their_own_lengths():
    spans = split(date(2028, 1, 31), date(2028, 3, 31), Bucket.MONTH)
    assert [(span.last - span.first).days + 1 for span in spans] == [1, 29, 31]
    assert [span.cut for span in spans] == [True, False, False]


def test_going_back_keeps_the_number_of_days():
    assert Span(date(2026, 3, 1), date(2026, 3, 31)).back(31) == Span(date(2026, 1, 29), date(2026, 2, 28))


@given(DAYS, st.integers(0, 800), st.sampled_from(Bucket))
def test_every_day_of_the_range_is_in_exactly_one_bucket(first, more, bucket):
    last = first + timedelta(days=more)
    days = [day for span in split(first, last, bucket) for day in span.days()]
    assert days == [first + timedelta(days=number) for number in range(more + 1)]
