"""Date blocks: between known ones the schedule is scaled to fit, after the last one it is used unchanged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from fluxtracker.upstream.records import FORK_HEIGHT, NEW_SECONDS, OLD_SECONDS, Block

ANCHORS = tuple(  # docs/upstream.md#chain
    Block(height, datetime.fromtimestamp(unix_s, UTC))
    for height, unix_s in ((331_897, 1557270310), (893_852, 1625149000), (FORK_HEIGHT, 1761415235))
)


def scheduled(height: int) -> int:
    """Return scheduled seconds from the fork to a block, negative before the fork."""
    past = height - FORK_HEIGHT
    return past * (NEW_SECONDS if past >= 0 else OLD_SECONDS)


def _is_before(low: Block, high: Block) -> bool:
    return low.height < high.height and low.time < high.time


@dataclass(frozen=True, slots=True)
class Timeline:
    """Times of all blocks, interpolated from known ones."""

    known: tuple[Block, ...]
    """At least one, by rising height."""

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> Self:
        """Return the timeline of these blocks and compatible fixed ones.

        A block that would make time run backwards is left out.
        """
        rising: list[Block] = []
        for block in sorted(blocks, key=lambda known: known.height):
            if not rising or _is_before(rising[-1], block):
                rising.append(block)
        for anchor in ANCHORS:
            place = bisect_left(rising, anchor.height, key=lambda known: known.height)
            if all(_is_before(low, anchor) for low in rising[:place][-1:]) and all(
                _is_before(anchor, high) for high in rising[place : place + 1]
            ):
                rising.insert(place, anchor)
        return cls(tuple(rising))

    @property
    def heights(self) -> set[int]:
        return {block.height for block in self.known}

    def with_block(self, block: Block) -> Timeline:
        """Return the timeline with this block instead of its estimate."""
        others = (known for known in self.known if known.height != block.height)
        return Timeline(tuple(sorted((*others, block), key=lambda known: known.height)))

    def time_of(self, height: int) -> datetime:
        """Return the approximate time of a past or future block, exact for known ones."""
        low, high = self._around(height)
        planned = scheduled(height) - scheduled(low.height)
        if low.height == high.height:
            return low.time + timedelta(seconds=planned)
        stretch = (high.time - low.time).total_seconds() / (scheduled(high.height) - scheduled(low.height))
        return low.time + timedelta(seconds=planned * stretch)

    def height_at(self, moment: datetime) -> int:
        """Return the approximate last block made by then, in past or future."""
        low, high = 0, max(self.known[-1].height, FORK_HEIGHT) + 1
        while self.time_of(high) <= moment:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.time_of(middle) <= moment else (low, middle)
        return low

    def _around(self, height: int) -> tuple[Block, Block]:
        """Return the known blocks on both sides, the same one twice at the ends."""
        right = bisect_left(self.known, height, key=lambda block: block.height)
        if right == len(self.known):
            return self.known[-1], self.known[-1]
        exact = self.known[right].height == height
        return self.known[right if exact or right == 0 else right - 1], self.known[right]
