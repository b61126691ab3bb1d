"""At most API_RATE requests a minute from one client (contract section 2)."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle

from fluxtracker.quota import Quota

if TYPE_CHECKING:  # DRF's settings import this file before its views are there
    from rest_framework.request import Request
    from rest_framework.views import APIView

WINDOW_S = 60.0
MOST_CLIENTS = 20_000  # counted at once; more make the count begin anew
NEAR = tuple(  # where a proxy of ours may be; `is_private` would be too wide
    map(ipaddress.ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
FORWARDING = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host")


class Window:
    """Counts requests by client in whole minutes. One a process: without a broker it works the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number, self._counts = 0, Counter[str]()

    def count(self, client: str, limit: int, now: float) -> Quota:
        """Count a request and answer what is left."""
        number = int(now // WINDOW_S)
        with self._lock:
            if number != self._number or len(self._counts) > MOST_CLIENTS:
                self._number, self._counts = number, Counter()
            self._counts[client] += 1
            return Quota(limit, limit - self._counts[client], (number + 1) * WINDOW_S - now, WINDOW_S)


window = Window()


class ClientRate(BaseThrottle):
    """Direct clients on this machine are exempt; one behind a proxy counts by the address the proxy tells."""

    _quota: Quota | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        self._quota = count(request._request)
        return self._quota is None or not self._quota.is_over

    def wait(self) -> float | None:
        return self._quota.reset_s if self._quota else None


def count(request: HttpRequest) -> Quota | None:
    """Count a request and answer what is left to its client; None: it has no limit."""
    client = client_address(request)
    if not settings.API_RATE or client is None:
        return None
    quota = window.count(client, settings.API_RATE, time.time())
    request.quota = quota  # type: ignore[attr-defined]  # for fluxtracker.middleware.Headers
    return quota


def client_address(request: HttpRequest) -> str | None:
    """Who asks. None for a direct client on this machine.

    Only the last address of X-Forwarded-For was written by our own proxy; those before it are hearsay, and
    all of it is when no proxy of ours (loopback or a private network) passed the request on. A proxy that does not
    tell for whom it asks is a stranger itself.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    if not any(name in request.headers for name in FORWARDING):
        return None if _is_loopback(peer) else peer
    told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return told or request.headers.get("X-Real-IP", "").strip() or peer if _is_near(peer) else peer


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return not address  # a Unix socket has no address


def _is_near(address: str) -> bool:
    try:
        peer = ipaddress.ip_address(address)
    except ValueError:
        return not address
    return any(peer in network for network in NEAR)
