"""Raise alerts about the daily snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ops.registry import alert_rule
from ops.status import Status
from snapshots.status import missing


@alert_rule
def of_snapshot(now: datetime) -> Iterator[Status]:
    """Yield a problem if there is no snapshot by 02:00 UTC."""
    yield missing(now)
