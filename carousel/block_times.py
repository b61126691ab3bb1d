"""Find out when blocks were made, with few requests to the daemon (docs/upstream.md#chain)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.records import FORK_HEIGHT, NEW_SECONDS, OLD_SECONDS, Block
from ops.runs import one_line


def scheduled(height: int) -> int:
    """Return seconds from the fork to a block, were every block on time; negative before the fork."""
    past = height - FORK_HEIGHT
    return past * (NEW_SECONDS if past >= 0 else OLD_SECONDS)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times of all blocks, by those of the known ones: in between the schedule is stretched to fit."""

    known: tuple[Block, ...]
    """At least one, by rising height."""

    @property
    def heights(self) -> set[int]:
        return {block.height for block in self.known}

    def with_block(self, block: Block) -> Timeline:
        """Return the timeline with this block, in place of what was taken for it."""
        others = (known for known in self.known if known.height != block.height)
        return Timeline(tuple(sorted((*others, block), key=lambda known: known.height)))

    def time_of(self, height: int) -> datetime:
        """About when the block was made or will be; exact for the known ones."""
        low, high = self._around(height)
        planned = scheduled(height) - scheduled(low.height)
        if low.height == high.height:
            return low.time + timedelta(seconds=planned)
        stretch = (high.time - low.time).total_seconds() / (scheduled(high.height) - scheduled(low.height))
        return low.time + timedelta(seconds=planned * stretch)

    def _around(self, height: int) -> tuple[Block, Block]:
        """Return the known blocks on both sides; twice the same one where there is none beyond."""
        right = bisect_left(self.known, height, key=lambda block: block.height)
        if right == len(self.known):
            return self.known[-1], self.known[-1]
        exact = self.known[right].height == height
        return self.known[right if exact or right == 0 else right - 1], self.known[right]


log = structlog.get_logger(__name__)

MOST_PROBES = 6  # blocks asked for besides the tip's


@dataclass(frozen=True, slots=True)
class Since:
    """`lowest`: the lowest of the heights that was made since; None when none was.

    Not `exact` where the questions did not suffice: the last decision then rests on the times around.
    """

    lowest: int | None
    exact: bool
    timeline: Timeline


def made_since(moment: datetime, heights: Iterable[int], tip: int, ask: Callable[[int], Block]) -> Since:
    """Look for the lowest of the heights whose block was made at the moment or later.

    Only these heights are asked for: the blocks between two of them decide nothing. Those above the tip
    cannot be asked for and are judged by the schedule.
    """
    ordered, timeline = sorted(set(heights)), Timeline((ask(tip),))
    above = bisect_right(ordered, tip)
    low, high, probes = 0, above, MOST_PROBES
    if timeline.known[0].time < moment:  # the chain stands
        low, high, probes = above, len(ordered), 0
    for _ in range(probes):
        if low == high:
            break
        at = min(bisect_left(ordered, moment, low, high, key=timeline.time_of), high - 1)
        block = ask(ordered[at])
        timeline = timeline.with_block(block)
        low, high = (low, at) if block.time >= moment else (at + 1, high)
    first = bisect_left(ordered, moment, low, high, key=timeline.time_of)
    return Since(ordered[first] if first < len(ordered) else None, low == high or not probes, timeline)


def learn(timeline: Timeline, heights: Iterable[int], ask: Callable[[int], Block]) -> Timeline:
    """Return the timeline with the times of these blocks, as far as the daemon tells them."""
    try:
        for height in heights:
            timeline = timeline.with_block(ask(height))
    except UpstreamError as error:
        log.warning("block_time_not_told", error=one_line(error))
    return timeline
