"""At most API_RATE requests a minute from one client, and as many of pages (docs/contract.md#settings)."""

from __future__ import annotations

import threading
import time
from collections import Counter

from django.conf import settings
from django.http import HttpRequest

from fluxtracker.client_address import client_address, client_of
from fluxtracker.quota import Quota

WINDOW_S = 60.0
MOST_CLIENTS = 20_000  # counted one by one in a minute
SHARED = 1_024  # counts that all further clients of the minute share
HEALTH = ("/api/health", "/api/health/live", "/api/health/ready")  # monitors may ask as often as they like
FOR_PROGRAMS = ("/api/", "/export/", "/metrics")  # what is no page


class Window:
    """Counts requests by client in whole minutes. One a process: without a broker it works the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number, self._counts = 0, Counter[str]()

    def count(self, client: str, limit: int, now: float) -> Quota:
        """Count a request and return what is left."""
        number = int(now // WINDOW_S)
        with self._lock:
            if number != self._number:
                self._number, self._counts = number, Counter()
            if client not in self._counts and len(self._counts) >= MOST_CLIENTS:
                client = f"shared {hash(client) % SHARED}"
            self._counts[client] += 1
            return Quota(limit, limit - self._counts[client], (number + 1) * WINDOW_S - now, WINDOW_S)


window, pages = Window(), Window()  # a script that used up its requests can still be looked at in a browser


def count(request: HttpRequest) -> Quota | None:
    """Count a request and return what is left to its client. None: it has no limit.

    Direct clients on this machine have none; one behind a proxy counts by the address that the proxy tells.
    """
    address = client_address(request)
    if not settings.API_RATE or address is None or request.path_info in HEALTH:
        return None
    counts = window if is_for_programs(request) else pages
    return counts.count(client_of(address), settings.API_RATE, time.time())


def is_for_programs(request: HttpRequest) -> bool:
    """Whether its errors are JSON."""
    return request.path_info.startswith(FOR_PROGRAMS)
