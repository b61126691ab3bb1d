"""Refusals into the audit log, as many as strangers may cause: a flood must not fill the disk."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import structlog

from fluxtracker.api.rate import WINDOW_S, Window
from fluxtracker.client_address import client_of
from ops import audit

log = structlog.get_logger(__name__)

MOST_OF_ONE = 60  # kept a minute of one client
MOST = 300  # kept a minute of all clients: addresses are cheap


class Flood:
    """Counts the refusals of this process, and those that were not kept."""

    def __init__(self) -> None:
        self._of_one, self._of_all = Window(), Window()  # two: many clients share a count of the first
        self._lock = threading.Lock()
        self._minute, self._left_out = 0, 0

    def keeps(self, address: str, now: float) -> bool:
        """Whether this one is still to be kept; counted either way."""
        client = client_of(address)
        kept = not (self._of_one.count(client, MOST_OF_ONE, now).is_over or self._of_all.count("", MOST, now).is_over)
        if not kept:
            with self._lock:
                self._minute, self._left_out = int(now // WINDOW_S), self._left_out + 1
        return kept

    def left_out(self, now: float) -> tuple[datetime, int] | None:
        """Once the minute is over: when it began, and how many were not kept. Told once."""
        if not self._left_out or now // WINDOW_S <= self._minute:
            return None
        with self._lock:
            told, self._left_out = self._left_out, 0
        return (datetime.fromtimestamp(self._minute * WINDOW_S, UTC), told) if told else None


flood = Flood()


def record(*, address: str, action: str, **entry: Any) -> None:
    """Write a refusal down, unless this minute has had too many. The answer stays the same either way."""
    now = time.time()
    tell_left_out(now)
    if flood.keeps(address, now):
        audit.record_if_possible(address=address, action=action, outcome=audit.REFUSED, **entry)
    else:
        log.warning("refusal_not_kept", address=address, action=action)


def tell_left_out(now: float) -> None:
    """One entry for all that a minute left out. Asked with every request: costs nothing where there is none."""
    if found := flood.left_out(now):
        minute, count = found
        audit.record_if_possible(
            actor="", address=None, action="more refusals", outcome=audit.REFUSED,
            detail={"count": count, "minute": minute.strftime("%Y-%m-%dT%H:%MZ")},
        )  # fmt: skip
