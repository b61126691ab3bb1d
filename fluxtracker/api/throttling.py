"""Identify clients and limit their requests per minute (API_RATE), and the places for work that holds a thread."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from threading import Lock

from django.conf import settings
from django.http import HttpRequest

NEAR = tuple(  # where a proxy of ours may be; `is_private` would be too wide
    map(ipaddress.ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
FORWARDING = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host")
MOST_HOPS = 20  # of X-Forwarded-For that are read, from its end
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str | None:
    """Return the address of the client. None for a direct client on this machine.

    A proxy of ours (loopback or a private network) writes the client to the end of X-Forwarded-For; further proxies
    of ours may follow it, and all before it is hearsay. Where something else than an address stands in its place, the
    peer is the client: rubbish never makes a new one.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    known = _parsed(peer)
    if not any(name in request.headers for name in FORWARDING):
        is_this_machine = known.is_loopback if known else not peer
        return None if is_this_machine else str(known or peer)
    return str((_told(request) if is_near(peer) else None) or known or peer)


def client_of(address: str) -> str:
    """Return the client that an address belongs to: the IPv4 address, also one inside an IPv6 address, else the /64."""
    known = _parsed(address)
    if not isinstance(known, IPv6Address):
        return str(known or address)
    if known in TRANSLATED:
        return str(IPv4Address(int(known) & 0xFFFFFFFF))
    return str(known.sixtofour or IPv6Address(int(known) >> 64 << 64))


def is_near(peer: str) -> bool:
    """Return whether a proxy of ours may be there. A Unix socket has no address."""
    known = _parsed(peer)
    return _is_near(known) if known else not peer


def _told(request: HttpRequest) -> Address | None:
    """Return the last address that is not a proxy's; None where something else stands in its place."""
    told = request.headers.get("X-Forwarded-For", "") or request.headers.get("X-Real-IP", "")
    hops = [_parsed(word.strip()) for word in told.rsplit(",", MOST_HOPS)[-MOST_HOPS:]]
    hops = [None if getattr(hop, "scope_id", None) else hop for hop in hops]  # a zone is this machine's own
    return next((hop for hop in reversed(hops) if hop is None or not _is_near(hop)), hops[-1])


def _is_near(address: Address) -> bool:
    return any(address in network for network in NEAR)


def _parsed(text: str) -> Address | None:
    """None: not an address. A dual-stack listener writes IPv4 peers as IPv6 ones."""
    try:
        known = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known


@dataclass(frozen=True, slots=True)
class Quota:
    """How a client stands against the limit. Times are in seconds."""

    limit: int
    remaining: int
    """Below 0: the request that was counted last is one too many."""
    reset_s: float
    window_s: float

    @property
    def is_over(self) -> bool:
        return self.remaining < 0

    @property
    def policy(self) -> str:
        return f'"client";q={self.limit};w={self.window_s:.0f}'

    @property
    def left(self) -> str:
        return f'"client";r={max(self.remaining, 0)};t={math.ceil(self.reset_s)}'


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
    """Return whether its errors are JSON."""
    return request.path_info.startswith(FOR_PROGRAMS)


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
