"""Record that a worker is alive, in a row that its main process refreshes every 20 s.

The main process also forks whenever a child of its pool has ended. A child forked while SQLite holds a lock can never
use the database ("Carrying an open database connection across a fork()" in
https://www.sqlite.org/howtocorrupt.html), so a fork waits until the connection is closed.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutting_down
from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from ops import schedule_rows
from ops.jobs import task_helpers
from ops.models import WorkerSeen

log = structlog.get_logger(__name__)

EVERY_S = 20.0
FIRST_LOOK_S, LOOK_S = 600.0, 60.0  # for overdue alert checks; a start has time to catch up
_stop = threading.Event()
_connected = threading.Lock()
os.register_at_fork(before=_connected.acquire, after_in_parent=_connected.release, after_in_child=_connected.release)


@worker_ready.connect
def start(sender: Any, **_: Any) -> None:
    _stop.clear()
    threading.Thread(target=_beat, args=(sender.hostname,), name="worker seen", daemon=True).start()


@worker_shutting_down.connect
def stop(**_: Any) -> None:
    _stop.set()


def seen(hostname: str) -> None:
    WorkerSeen.objects.update_or_create(hostname=hostname, defaults={"seen_at": timezone.now()})


def _beat(hostname: str) -> None:
    look_at = time.monotonic() + FIRST_LOOK_S
    while True:
        is_overdue = False
        with _connected:
            try:
                seen(hostname)
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + LOOK_S
                    is_overdue = schedule_rows.is_overdue(task_helpers.CHECK, timezone.now())
            except DatabaseError as error:
                log.warning("worker_not_seen", error=type(error).__name__)
            finally:
                connection.close()
        if is_overdue:  # beat is not running
            log.warning("alerts_asked_for_by_worker", asked=task_helpers.give(task_helpers.CHECK))
        if _stop.wait(EVERY_S):
            return
