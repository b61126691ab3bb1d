"""A worker's sign of life: a row that its main process refreshes every 20 s."""

from __future__ import annotations

import threading
from typing import Any

import structlog
from celery.signals import worker_ready, worker_shutting_down
from django.db import DatabaseError, connection
from django.utils import timezone

from ops.models import WorkerSeen

log = structlog.get_logger(__name__)

EVERY_S = 20.0
_stop = threading.Event()


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
    while True:
        try:
            seen(hostname)
        except DatabaseError as error:
            log.warning("worker_not_seen", error=type(error).__name__)
        finally:
            connection.close()
        if _stop.wait(EVERY_S):
            return
