"""Batches hold every item once, in order; pauses double up to the longest."""

from __future__ import annotations

import gc
from datetime import timedelta

from fluxtracker.batches import backoff, chunks, garbage_kept

HALF_AN_HOUR, DAY = timedelta(minutes=30), timedelta(days=1)


def test_chunks_hold_every_item_once_and_in_order():
    assert [list(some) for some in chunks(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([])) == []


def test_a_pause_doubles_with_each_attempt_up_to_the_longest():
    assert [backoff(HALF_AN_HOUR, attempts, DAY) for attempts in (1, 2, 3, 6, 7)] == [
        HALF_AN_HOUR,
        2 * HALF_AN_HOUR,
        4 * HALF_AN_HOUR,
        32 * HALF_AN_HOUR,
        DAY,
    ]


def test_a_pause_stays_within_the_longest_after_a_million_attempts():
    assert backoff(HALF_AN_HOUR, 10**6, DAY) == DAY


def test_garbage_is_collected_as_before_once_the_work_is_done():
    before = gc.get_threshold()
    with garbage_kept():
        assert gc.get_threshold() > before
    assert gc.get_threshold() == before
