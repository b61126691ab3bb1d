"""How many requests this process has sent to each host, and what came of them. Runs write it down (ops.tallies)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Lock

Counts = Mapping[tuple[str, str], int]


class Tally:
    """By host and result: `2xx` to `5xx`, `timeout`, `no_connection`, `error`. A wrong answer in a 200 is a 2xx."""

    def __init__(self) -> None:
        self._lock, self._counts = Lock(), Counter[tuple[str, str]]()

    def add(self, host: str, result: str) -> None:
        with self._lock:
            self._counts[host, result] += 1

    def take(self) -> Counts:
        """What was counted since the last time; the caller keeps it now."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
            return taken

    def put_back(self, counts: Counts) -> None:
        """Of a caller that could not keep it."""
        with self._lock:
            self._counts.update(counts)


SENT = Tally()
