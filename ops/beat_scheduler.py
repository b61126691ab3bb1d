"""Schedule tasks despite a clock set back: forget runs in the future, or nothing would run until then.

Beat also ensures that alerts are checked, as a broker or workers that are down cannot report it.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import DatabaseError, connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from fluxtracker.periods import AHEAD, is_ahead
from ops.alerts import services

log = structlog.get_logger(__name__)

FIRST_LOOK_S, LOOK_S = 600.0, 60.0  # after a start everything has twice the alerts' interval to catch up
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class ScheduleEntry(ModelEntry):  # type: ignore[misc]  # the package has no types
    """A row of the schedule. One that ran in the future is due at once."""

    last_run_at: datetime

    def is_due(self) -> Any:
        if is_ahead(self.last_run_at, now := timezone.now()):
            self._forget(now)
        return super().is_due()

    def _forget(self, now: datetime) -> None:
        """Forget the run and an earlier start, also in the row, which a restarted beat reads."""
        log.warning("beat_run_in_future", entry=self.name, last_run_at=self.last_run_at.isoformat())
        start = self.model.start_time
        if start is not None and start <= self.last_run_at:
            self.model.start_time = min(start, now)
        PeriodicTask.objects.filter(pk=self.model.pk).update(last_run_at=None, start_time=self.model.start_time)
        self.last_run_at = self.model.last_run_at = LONG_AGO


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """Rereads its rows and replans when the clock was set back."""

    Entry = ScheduleEntry

    _offset: float | None = None
    """Of the clock against the monotonic one, in seconds, at the last tick."""

    _look_at: float | None = None
    """Time of its next look, by the monotonic clock."""

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        self._look()
        offset = time.time() - time.monotonic()
        if self._offset is not None and self._offset - offset > AHEAD.total_seconds():
            log.warning("clock_set_back", seconds=round(self._offset - offset))
            self._initial_read, self._heap = True, None
        self._offset = offset
        return super().tick(*args, **kwargs)

    def _look(self) -> None:
        """Check in a thread, so that the schedule does not wait for mail servers."""
        now = time.monotonic()
        if self._look_at is None:
            self._look_at = now + FIRST_LOOK_S
        elif now >= self._look_at:
            self._look_at = now + LOOK_S
            threading.Thread(target=look, name="alerts", daemon=True).start()


def look() -> None:
    """Check the alerts here if no worker does."""
    try:
        services.check_if_overdue(timezone.now())
    except DatabaseError as error:
        log.warning("alerts_not_looked_at", error=type(error).__name__)
    finally:
        connection.close()
