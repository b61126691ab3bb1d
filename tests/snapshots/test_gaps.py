"""Which days are missing: laws that hold for any set of days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.periods import Span
from snapshots.selectors import gaps, last_due, missing_days

FIRST = date(2027, 12, 1)
days = st.integers(0, 200).map(lambda n: FIRST + timedelta(days=n))  # with the leap day of 2028


@given(present=st.sets(days), first=days, last=days)
def test_present_and_missing_days_make_the_range_whole_without_overlap(present, first, last):
    found = missing_days(present, first, last)
    assert found == sorted(set(found))
    assert not present & set(found)
    inside = {day for day in present if first <= day <= last}
    assert sorted(inside | set(found)) == Span(first, last).days()


@given(first=days, last=days)
def test_a_range_has_every_day_once_and_a_reversed_one_none(first, last):
    found = Span(first, last).days()
    assert len(found) == max((last - first).days + 1, 0)
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(found))
    assert not found or (found[0], found[-1]) == (first, last)


@given(moment=st.datetimes(datetime(2027, 12, 1), datetime(2028, 3, 3), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_newest_day_due_is_today_or_yesterday(moment):
    due = last_due(moment)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    assert due == (moment - timedelta(days=int(moment - midnight < timedelta(minutes=35)))).date()


@pytest.mark.django_db
def test_nothing_missing_asks_the_database_nothing(django_assert_num_queries):
    now = datetime(2027, 12, 2, 12, tzinfo=UTC)
    with django_assert_num_queries(0):
        assert gaps([FIRST, now.date()], FIRST, now.date(), now) == []
