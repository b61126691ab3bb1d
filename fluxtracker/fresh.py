"""Whether what a row says was done lately was done lately. No Django here.

A clock that ran ahead and was corrected leaves times in the future behind: they are as wrong as old ones.
"""

from __future__ import annotations

from datetime import datetime, timedelta

AHEAD = timedelta(minutes=2)  # what clocks of several machines may differ by


def is_fresh(at: datetime | None, now: datetime, limit: timedelta) -> bool:
    """Whether it was at most `limit` ago, and not in the future. None: never."""
    return at is not None and at - now <= AHEAD and now - at <= limit


def is_ahead(at: datetime | None, now: datetime) -> bool:
    """Whether it lies in the future: written by a clock that was wrong."""
    return at is not None and at - now > AHEAD
