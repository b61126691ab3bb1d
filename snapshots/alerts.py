"""What is an alert about the daily snapshots (ops.alert_rules)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fluxtracker.periods import midnight
from ops.alert_rules import installed_at
from ops.alerts import Trouble
from snapshots.gaps import DAY, gaps
from snapshots.models import Snapshot
from snapshots.standing import SNAPSHOT_LATE


def troubles(now: datetime) -> Iterator[Trouble]:
    """No snapshot at 02:00 UTC. Before that hour the one of yesterday is looked for: midnight alone heals nothing.

    An installation made in the course of the day has two hours from then on.
    """
    day = now.date() if now - midnight(now.date()) >= SNAPSHOT_LATE else now.date() - DAY
    if Snapshot.objects.filter(day=day).exists():
        return
    since = max(midnight(day), installed_at(now))
    if min(now, midnight(day + DAY)) - since < SNAPSHOT_LATE:
        return
    reasons = [gap.reason for gap in gaps((), day, day, now)]
    yield Trouble("snapshot", f"There is no snapshot of {day}: {reasons[0] if reasons else 'none was taken'}.")
