from datetime import datetime, timedelta

from fluxtracker.block_times import ANCHORS, Timeline
from fluxtracker.upstream.records import FORK_HEIGHT, Block
from tests.deployments.messages import START, START_AT

LATER = Block(START + 2880, START_AT + timedelta(days=1, seconds=60))
KNOWN = [Block(START, START_AT), LATER]


def test_heights_between_two_known_blocks_are_dated_in_between():
    assert Timeline.of(KNOWN).time_of(START + 1440) == START_AT + timedelta(seconds=43_230)


def test_after_the_last_known_block_one_comes_every_thirty_seconds():
    assert Timeline.of(KNOWN).time_of(LATER.height + 10) == LATER.time + timedelta(seconds=300)


def test_the_order_in_which_blocks_are_told_does_not_matter():
    assert Timeline.of(reversed(KNOWN)) == Timeline.of(KNOWN)


def test_fixed_blocks_hold_where_nothing_else_is_known():
    assert Timeline.of([]).known == ANCHORS
    assert Timeline.of(KNOWN).known == (*ANCHORS, *KNOWN)


def test_known_blocks_win_against_fixed_ones():
    other = Block(1_000_000, datetime(2026, 1, 1, tzinfo=START_AT.tzinfo))  # a chain of its own, above the fork's time
    assert FORK_HEIGHT not in Timeline.of([other, *KNOWN]).heights


def test_a_block_that_would_turn_time_back_is_left_out():
    assert Timeline.of([*KNOWN, Block(START + 1, LATER.time)]).heights == {
        *(block.height for block in ANCHORS), START, START + 1,
    }  # fmt: skip


def test_a_moment_has_the_height_of_its_last_block():
    clock = Timeline.of(KNOWN)
    for height in (400_000, 893_852, FORK_HEIGHT - 1, FORK_HEIGHT, START, START + 1440, LATER.height + 999):
        moment = clock.time_of(height)
        assert clock.height_at(moment) == height
        assert clock.height_at(moment + timedelta(seconds=1)) == height
