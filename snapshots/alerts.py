"""What is an alert about the daily snapshots (ops.alerts.services)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ops.alerts.records import Trouble
from ops.registry import alert_rule
from snapshots.status import missing_sentence


@alert_rule
def of_snapshot(now: datetime) -> Iterator[Trouble]:
    """No snapshot at 02:00 UTC."""
    if missing := missing_sentence(now):
        yield Trouble("snapshot", missing)
