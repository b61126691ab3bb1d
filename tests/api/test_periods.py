"""Calendar periods: UTC, half-open, weeks from Monday."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.periods import Bucket, Period

DAY = timedelta(days=1)
moments = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


def at(text):
    return datetime.fromisoformat(text + "+00:00")


@pytest.mark.parametrize(
    ("bucket", "moment", "first", "last", "previous_first", "previous_last"),
    [
        (Bucket.DAY, "2026-03-01T00:00:00", "2026-03-01", "2026-03-01", "2026-02-28", "2026-02-28"),
        (Bucket.WEEK, "2026-11-22T23:59:59", "2026-11-16", "2026-11-22", "2026-11-09", "2026-11-15"),
        (Bucket.WEEK, "2026-11-23T00:00:00", "2026-11-23", "2026-11-29", "2026-11-16", "2026-11-22"),
        (Bucket.WEEK, "2027-01-01T12:00:00", "2026-12-28", "2027-01-03", "2026-12-21", "2026-12-27"),
        (Bucket.MONTH, "2028-03-31T12:00:00", "2028-03-01", "2028-03-31", "2028-02-01", "2028-02-29"),
        (Bucket.QUARTER, "2026-02-15T00:00:00", "2026-01-01", "2026-03-31", "2025-10-01", "2025-12-31"),
        (Bucket.QUARTER, "2026-12-31T23:59:59", "2026-10-01", "2026-12-31", "2026-07-01", "2026-09-30"),
        (Bucket.YEAR, "2028-12-31T00:00:00", "2028-01-01", "2028-12-31", "2027-01-01", "2027-12-31"),
    ],
)
def test_a_period_and_the_one_before_it(bucket, moment, first, last, previous_first, previous_last):
    period = Period.containing(bucket, at(moment))
    assert (str(period.first_day), str(period.last_day)) == (first, last)
    assert (str(period.previous().first_day), str(period.previous().last_day)) == (previous_first, previous_last)


@given(bucket=st.sampled_from(list(Bucket)), moment=moments)
def test_periods_follow_each_other_without_gap_or_overlap(bucket, moment):
    period = Period.containing(bucket, moment)
    assert period.start <= moment < period.end
    assert period.previous().end == period.start
    assert Period.containing(bucket, period.end).previous() == period
    assert Period.containing(bucket, period.end - timedelta(microseconds=1)) == period


@given(bucket=st.sampled_from(list(Bucket)), moment=moments)
def test_to_date_ends_now_and_the_previous_is_cut_at_the_same_elapsed_time(bucket, moment):
    period = Period.containing(bucket, moment)
    assert period.to_date(moment) == Period(period.start, moment, bucket)
    before = period.previous()
    cut = before.cut_like(period, moment)
    assert cut.start == before.start
    assert cut.end == min(before.start + (moment - period.start), before.end)


def test_a_31st_is_clamped_to_the_end_of_a_shorter_month():
    march = Period.containing(Bucket.MONTH, at("2026-03-31T12:00:00"))
    assert march.previous().cut_like(march, at("2026-03-31T12:00:00")).end == at("2026-03-01T00:00:00")


def test_the_days_of_a_period_are_all_days_that_have_a_part_in_it():
    assert list(Period.of_days(date(2026, 2, 27), date(2026, 3, 1)).days()) == [
        date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1),
    ]  # fmt: skip
    assert list(Period(at("2026-01-01T00:00:00"), at("2026-01-02T00:00:01")).days())[-1] == date(2026, 1, 2)


def test_any_stretch_of_days_has_one_as_long_before_it():
    assert Period.of_days(date(2026, 1, 3), date(2026, 1, 4)).previous() == Period.of_days(
        date(2026, 1, 1), date(2026, 1, 2)
    )


def test_the_moment_s_own_time_zone_does_not_matter():
    sydney = timezone(timedelta(hours=10))
    assert Period.containing(Bucket.DAY, datetime(2026, 3, 1, 5, tzinfo=sydney)).first_day == date(2026, 2, 28)
