"""When a block was or will be made, and when an app ends (upstream.md 3.2, 5). No tables here."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta

from fluxtracker.upstream.records import Block

FORK_HEIGHT = 2_020_000  # from here on a block comes every 30 s, before it came every 120 s
OLD_SECONDS, NEW_SECONDS = 120, 30
OLD_EXPIRE, NEW_EXPIRE = 22_000, 88_000  # blocks an app runs when its specification does not say
FORK_FACTOR = OLD_SECONDS // NEW_SECONDS


def end_height(height: int, expire: int | None) -> int:
    """The last block of an app whose newest specification is of that height. None or 0: it does not say.

    An app of before the fork was paid in blocks of 120 s: its blocks after the fork count four times.
    """
    end = height + (expire or (OLD_EXPIRE if height < FORK_HEIGHT else NEW_EXPIRE))
    if height < FORK_HEIGHT < end:
        end = FORK_HEIGHT + FORK_FACTOR * (end - FORK_HEIGHT)
    return end


def scheduled(height: int) -> int:
    """Seconds from the fork to a block, were every block on time; negative before the fork."""
    past = height - FORK_HEIGHT
    return past * (NEW_SECONDS if past >= 0 else OLD_SECONDS)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times of all blocks, by those of the known ones: in between the schedule is stretched to fit."""

    known: tuple[Block, ...]
    """At least one, by rising height."""

    def with_block(self, block: Block) -> Timeline:
        return Timeline(tuple(sorted({*self.known, block}, key=lambda known: known.height)))

    def time_of(self, height: int) -> datetime:
        """About when the block was made or will be; exact for the known ones."""
        low, high = self._around(height)
        planned = scheduled(height) - scheduled(low.height)
        if low.height == high.height:
            return low.time + timedelta(seconds=planned)
        stretch = (high.time - low.time).total_seconds() / (scheduled(high.height) - scheduled(low.height))
        return low.time + timedelta(seconds=planned * stretch)

    def _around(self, height: int) -> tuple[Block, Block]:
        """The known blocks on both sides; twice the same one where there is none beyond."""
        right = bisect_left(self.known, height, key=lambda block: block.height)
        if right == len(self.known):
            return self.known[-1], self.known[-1]
        exact = self.known[right].height == height
        return self.known[right if exact or right == 0 else right - 1], self.known[right]
