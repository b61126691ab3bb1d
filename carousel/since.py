"""Which of some blocks were made since an instant, found with few questions to the daemon."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from carousel.chaintime import Timeline
from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.upstream.records import Block
from ops.runs import one_line

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
