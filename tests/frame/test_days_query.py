from datetime import date

import pytest
import time_machine
from rest_framework.serializers import ValidationError

from fluxtracker.api.fields import ByQuery, DaysQuery
from fluxtracker.periods import Bucket


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2026-11-20T22:00:00Z", tick=False):
        yield


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({}, date(2026, 10, 22), date(2026, 11, 20)),
        ({"start": "2026-11-01"}, date(2026, 11, 1), date(2026, 11, 20)),
        ({"end": "2026-10-30"}, date(2026, 10, 1), date(2026, 10, 30)),
        ({"start": "2020-01-01", "end": "2020-01-01"}, date(2020, 1, 1), date(2020, 1, 1)),
        ({"end": "2000-01-05"}, date(2000, 1, 1), date(2000, 1, 5)),
        ({"start": "2026-11-11", "end": "2036-11-17"}, date(2026, 11, 11), date(2036, 11, 17)),
    ],
)
def test_a_range_of_days_has_thirty_of_them_unless_it_says_more(asked, first, last):
    assert DaysQuery.read(asked) == {"start": first, "end": last}


@pytest.mark.parametrize(
    "asked",
    [
        {"start": "2026-11-20", "end": "2026-11-19"},
        {"start": "2026-11-21"},
        {"start": "2026-11-11", "end": "2036-11-18"},
        {"start": "1999-12-31", "end": "2000-01-05"},
        {"end": "0001-01-01"},
        {"end": "9999-12-31"},
        {"start": "yesterday"},
        {"start": "2026-02-30"},
    ],
)
def test_a_range_that_is_none_is_refused(asked):
    with pytest.raises(ValidationError):
        DaysQuery.read(asked)


def test_rows_stand_for_days_unless_something_else_is_asked_for():
    assert ByQuery.read({})["by"] is Bucket.DAY
    assert ByQuery.read({"by": "quarter"})["by"] is Bucket.QUARTER


@pytest.mark.parametrize("by", ["hour", "", "Week"])
def test_an_unknown_bucket_is_refused(by):
    with pytest.raises(ValidationError):
        ByQuery.read({"by": by})
