"""Freshness: old times and times in the future are stale."""

from datetime import UTC, datetime, timedelta

import pytest

from fluxtracker.periods import is_ahead, is_fresh

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
LIMIT = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("minutes", "fresh", "ahead"),
    [(-30, True, False), (-31, False, False), (0, True, False), (2, True, False), (3, False, True), (360, False, True)],
)
def test_an_instant_is_fresh_within_the_limit_and_two_minutes_ahead(minutes, fresh, ahead):
    at = NOW + timedelta(minutes=minutes)
    assert (is_fresh(at, NOW, LIMIT), is_ahead(at, NOW)) == (fresh, ahead)


def test_never_is_neither():
    assert (is_fresh(None, NOW, LIMIT), is_ahead(None, NOW)) == (False, False)
