"""Stands beside a running job: gives its signs of life and progress, and hears when it is called off."""

from __future__ import annotations

import threading
from contextvars import Token
from types import TracebackType

import structlog
from django.db import Error as DatabaseError
from django.db import connection

from fluxtracker.watch import WATCH, Cancelled, Watch
from ops.leases import LeaseLost, database_time
from ops.models import Job

log = structlog.get_logger(__name__)

EVERY_S = 2.0
LONGEST_PROGRESS = 200


class JobWatch:
    """A thread with a connection of its own, so that words said inside a transaction are seen outside of it."""

    def __init__(self, job: Job) -> None:
        self._row = Job.objects.filter(pk=job.pk, holder=job.holder, state=Job.State.RUNNING)
        self._words = ""
        self._cancelled, self._lost, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"job {job.pk}", daemon=True)
        self._token: Token[Watch] | None = None

    @property
    def words(self) -> str:
        return self._words

    def progress(self, words: str) -> None:
        self._words = words[:LONGEST_PROGRESS]
        self.check()

    def check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled("cancelled")
        if self._lost.is_set():
            raise LeaseLost("the job went to another worker")

    def __enter__(self) -> JobWatch:
        self._token = WATCH.set(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(EVERY_S)
        if self._token:
            WATCH.reset(self._token)

    def _beat(self) -> None:
        """Until told to stop. A database that is gone for a moment is asked again at the next beat."""
        while not self._stop.wait(EVERY_S):
            try:
                self._look()
            except DatabaseError as error:
                log.warning("job_not_seen", error=type(error).__name__)
                connection.close()
        connection.close()

    def _look(self) -> None:
        if not self._row.update(seen_at=database_time(), progress=self._words):
            if not self._stop.is_set():  # else it has just ended
                self._lost.set()
        elif self._row.filter(cancel_asked=True).exists():
            self._cancelled.set()
