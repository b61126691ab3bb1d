"""When a block was or will be made (docs/upstream.md#chain). No tables here."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime, timedelta

from fluxtracker.terms import FORK_HEIGHT, NEW_SECONDS, OLD_SECONDS
from fluxtracker.upstream.records import Block


def scheduled(height: int) -> int:
    """Seconds from the fork to a block, were every block on time; negative before the fork."""
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
        """The known blocks on both sides; twice the same one where there is none beyond."""
        right = bisect_left(self.known, height, key=lambda block: block.height)
        if right == len(self.known):
            return self.known[-1], self.known[-1]
        exact = self.known[right].height == height
        return self.known[right if exact or right == 0 else right - 1], self.known[right]
