"""Height to time and back: 120 seconds a block before the fork, 30 from it on (docs/upstream.md#chain)."""

from __future__ import annotations

from datetime import UTC, date, datetime

FORK_HEIGHT = 2_020_000
FORK_TIME = 1_761_415_235  # 2025-10-25T18:00:35Z
OLD_SECONDS, NEW_SECONDS = 120, 30


def time_of(height: int) -> int:
    """Unix seconds of a block of the history."""
    past = height - FORK_HEIGHT
    return FORK_TIME + past * (NEW_SECONDS if past >= 0 else OLD_SECONDS)


def height_at(seconds: float) -> int:
    """The last block at or before an instant."""
    past = int(seconds) - FORK_TIME
    return FORK_HEIGHT + past // (NEW_SECONDS if past >= 0 else OLD_SECONDS)


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def day_of(seconds: float) -> date:
    return utc(seconds).date()
