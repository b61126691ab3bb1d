"""A few places for work that holds a thread for long.

One that is never given back is free again when its time is over.
"""

from __future__ import annotations

import time
from threading import Lock


class Places:
    """At most `most` at once; each for at most `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self._seconds = most, seconds
        self._lock = Lock()
        self._until: dict[object, float] = {}

    def take(self) -> object | None:
        """Take a place and return what gives it back; None when all are taken."""
        now = time.monotonic()
        with self._lock:
            self._until = {place: until for place, until in self._until.items() if until > now}
            if len(self._until) >= self.most:
                return None
            place = object()
            self._until[place] = now + self._seconds
            return place

    def give_back(self, place: object) -> None:
        """Free the place; giving it back twice changes nothing."""
        with self._lock:
            self._until.pop(place, None)

    @property
    def taken(self) -> int:
        now = time.monotonic()
        with self._lock:
            return sum(until > now for until in self._until.values())
