"""The laws of blocks in time: when an app ends, when a block was made, which blocks are of the last day."""

import random
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carousel.lists import MOST_PROBES, made_since
from fluxtracker.block_times import Timeline, scheduled
from fluxtracker.upstream.records import FORK_HEIGHT, Block, Unit, end_height, read_term

FORK_TIME = datetime(2025, 10, 25, 18, 0, 35, tzinfo=UTC)
DAY = timedelta(days=1)
heights = st.integers(1, 4_000_000)


def block(height, seconds=None):
    return Block(height, FORK_TIME + timedelta(seconds=scheduled(height) if seconds is None else seconds))


# When an app ends (docs/upstream.md#app-terms)


@pytest.mark.parametrize("version", range(1, 9))
@pytest.mark.parametrize(
    ("height", "expire", "end"),
    [
        (2_990_000, None, 3_078_000),
        (2_990_000, 0, 3_078_000),
        (2_990_000, 20_160, 3_010_160),
        (2_990_000, 100, 2_990_100),
        (2_020_000, None, 2_108_000),
        (2_019_999, None, 2_020_000 + 4 * 21_999),
        (1_500_000, None, 1_522_000),
        (1_998_000, None, 2_020_000),  # ends exactly at the fork
        (1_998_001, None, 2_020_004),
        (2_000_000, 264_000, 2_020_000 + 4 * 244_000),
    ],
)
def test_up_to_version_8_an_app_ends_by_its_blocks_or_the_default_of_its_time(version, height, expire, end):
    term = read_term(version, expire, 604_800, height)
    assert term is not None
    assert (term.unit, end_height(height, term.amount)) == (Unit.BLOCKS, end)


@pytest.mark.parametrize("expire", ["88000", 88_000.0, True, -1, 2**31, [], {}, ""])
def test_blocks_that_are_no_number_are_no_term(expire):
    assert read_term(8, expire, None, 2_990_000) is None


@pytest.mark.parametrize("version", [0, -1])
def test_without_a_version_a_term_is_not_known(version):
    assert read_term(version, 88_000, None, 2_990_000) is None
    assert read_term(version, None, None, 2_990_000) is None


@pytest.mark.parametrize("version", [9, 10, 20])
@pytest.mark.parametrize(
    ("expire", "ttl", "seconds"),
    [
        (604_800, None, 604_800),
        (None, 604_800, 604_800),
        (604_800, 604_800, 604_800),
        (604_800, 0, 604_800),
        (0, 604_800, 604_800),
        (88_000, None, 88_000),
        (3_600, None, 3_600),
        (94_608_000, None, 94_608_000),
        (3_599, None, None),
        (94_608_001, None, None),
        (604_800, 604_801, None),
        (604_800, 100, None),
        (None, None, None),
        (0, 0, None),
        (1, None, None),
        (100, None, None),
        (-604_800, None, None),
        ("604800", None, None),
        (604_800.0, None, None),
        (True, None, None),
        (604_800, "604800", None),
        (604_800, [], None),
        (2**40, None, None),
    ],
)
def test_above_version_8_a_term_is_a_plausible_duration_in_seconds_or_none(version, expire, ttl, seconds):
    term = read_term(version, expire, ttl, 3_060_000)
    assert term == (None if seconds is None else (seconds, Unit.SECONDS))


@given(
    version=st.integers(9, 99), expire=st.none() | st.integers(0, 2**31), ttl=st.none() | st.integers(0, 2**31),
    height=heights,
)  # fmt: skip
def test_nothing_above_version_8_is_ever_taken_for_blocks(version, expire, ttl, height):
    term = read_term(version, expire, ttl, height)
    assert term is None or (term.unit == Unit.SECONDS and 3_600 <= term.amount <= 94_608_000)


@given(height=heights, expire=st.integers(1, 1_056_000))
def test_what_was_paid_for_is_as_long_in_time_on_both_sides_of_the_fork(height, expire):
    """A block of before the fork is 120 s of running, wherever it falls."""
    paid = expire * (30 if height >= FORK_HEIGHT else 120)
    assert scheduled(end_height(height, expire)) - scheduled(height) == paid


@given(height=heights, expire=st.integers(1, 500_000), more=st.integers(1, 500_000))
def test_paying_for_more_blocks_never_ends_earlier(height, expire, more):
    assert height < end_height(height, expire) < end_height(height, expire + more)


# When a block was made


@given(known=st.sets(heights, min_size=1, max_size=8), height=heights)
def test_blocks_on_schedule_are_told_to_the_second(known, height):
    timeline = Timeline(tuple(map(block, sorted(known))))
    assert abs(timeline.time_of(height) - block(height).time) < timedelta(seconds=1)


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 10**6)), min_size=2, max_size=6),
    st.integers(FORK_HEIGHT - 9000, FORK_HEIGHT + 9000),
)
def test_the_timeline_goes_through_what_is_known_and_never_back(steps, start):
    blocks, made = [], 0
    for step, seconds in steps:
        start, made = start + step, made + seconds
        blocks.append(block(start, made))
    timeline = Timeline(tuple(blocks))
    assert [timeline.time_of(known.height) for known in blocks] == [known.time for known in blocks]
    times = [timeline.time_of(height) for height in range(blocks[0].height - 3, blocks[-1].height + 3, 97)]
    assert times == sorted(times)


# Which blocks are of the last day


class Chain:
    """Blocks that came after pauses of their own; counts who asks."""

    def __init__(self, first, pauses):
        self.first, self.asked = first, []
        self.times = [FORK_TIME + timedelta(seconds=s) for s in accumulate(pauses)]
        self.tip = first + len(self.times) - 1

    def __call__(self, height):
        assert self.first <= height <= self.tip, "asks for a block that is not there"
        self.asked.append(height)
        return Block(height, self.times[height - self.first])

    def made_since(self, moment, wanted):
        return [height for height in sorted(wanted) if self.times[height - self.first] >= moment]


@pytest.mark.parametrize("tip", [2_018_000, 2_020_000, 2_020_500, 2_021_000, 2_022_879, 2_030_000], ids=str)
@given(data=st.data())
def test_on_schedule_the_lowest_is_found_with_three_blocks_on_either_side_of_the_fork(tip, data):
    wanted = data.draw(st.sets(st.integers(tip - 4000, tip), max_size=300))
    asked = []
    found = made_since(block(tip).time - DAY, wanted, tip, lambda height: asked.append(height) or block(height))
    right = [height for height in wanted if block(height).time >= block(tip).time - DAY]
    assert (found.lowest, found.exact) == (min(right, default=None), True)
    assert len(asked) <= 3


@given(seed=st.integers(0, 10**9), many=st.integers(0, 200), uneven=st.integers(0, 29))
def test_blocks_that_come_unevenly_are_found_as_well(seed, many, uneven):
    rng = random.Random(seed)
    chain = Chain(3_000_000, [rng.randint(30 - uneven, 30 + uneven) for _ in range(5000)])
    wanted = {rng.randrange(3_000_000, chain.tip + 1) for _ in range(many)}
    moment = chain.times[-1] - DAY
    found = made_since(moment, wanted, chain.tip, chain)
    assert found.exact
    assert found.lowest == min(chain.made_since(moment, wanted), default=None)
    assert len(chain.asked) <= 1 + MOST_PROBES


@given(
    pauses=st.lists(st.integers(0, 20_000), min_size=1, max_size=400),
    data=st.data(),
)
def test_however_blocks_came_it_asks_seldom_and_what_it_calls_exact_is_true(pauses, data):
    chain = Chain(3_000_000, pauses)
    wanted = data.draw(st.sets(st.integers(chain.first, chain.tip), max_size=100))
    moment = chain.times[-1] - DAY
    found = made_since(moment, wanted, chain.tip, chain)
    assert len(chain.asked) <= 1 + MOST_PROBES
    if found.exact:
        assert found.lowest == min(chain.made_since(moment, wanted), default=None)
    assert found.lowest is None or found.lowest in wanted


def test_a_height_above_the_tip_was_made_since():
    found = made_since(block(3_000_000).time - DAY, [3_000_004], 3_000_000, block)
    assert found.lowest == 3_000_004


def test_on_a_chain_that_stands_nothing_was_made_since():
    now = block(3_000_000).time + 2 * DAY
    found = made_since(now - DAY, [2_999_000, 3_000_000, 3_000_004], 3_000_000, block)
    assert found.lowest is None
