"""Identify clients, and limit their requests per minute (API_RATE) and concurrent work that holds a thread.

Web processes share counts in a small SQLite file that the server creates at each start in WEB_FOLDER. Other
programs, and a process that cannot use that file, count in their own memory.
"""

from __future__ import annotations

import ipaddress
import math
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path
from typing import TypeVar

import structlog
from django.conf import settings
from django.http import HttpRequest

log = structlog.get_logger(__name__)
T = TypeVar("T")

NEAR = tuple(  # networks of our proxies; `is_private` would be too wide
    map(ipaddress.ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
FORWARDING = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host")
MOST_HOPS = 20  # entries of X-Forwarded-For that are read, from the end
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str | None:
    """Return the client's address, None for a direct client on this machine.

    Our proxy (loopback or a private network) appends the client to X-Forwarded-For; further proxies of ours may follow,
    and earlier entries are untrusted. If that entry is not an address, the peer is the client, so that garbage never
    creates a new one.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    known = _parsed(peer)
    if not any(name in request.headers for name in FORWARDING):
        is_this_machine = known.is_loopback if known else not peer
        return None if is_this_machine else str(known or peer)
    return str((_forwarded(request) if is_near(peer) else None) or known or peer)


def client_of(address: str) -> str:
    """Return the client of an address: the IPv4 address, even inside an IPv6 address, else the /64."""
    known = _parsed(address)
    if not isinstance(known, IPv6Address):
        return str(known or address)
    if known in TRANSLATED:
        return str(IPv4Address(int(known) & 0xFFFFFFFF))
    return str(known.sixtofour or IPv6Address(int(known) >> 64 << 64))


def is_near(peer: str) -> bool:
    """Return whether it may be a proxy of ours. A Unix socket has no address."""
    known = _parsed(peer)
    return _is_near(known) if known else not peer


def _forwarded(request: HttpRequest) -> Address | None:
    """Return the last address that is not a proxy's, None if that entry is not an address."""
    header = request.headers.get("X-Forwarded-For", "") or request.headers.get("X-Real-IP", "")
    hops = [_parsed(word.strip()) for word in header.rsplit(",", MOST_HOPS)[-MOST_HOPS:]]
    hops = [None if getattr(hop, "scope_id", None) else hop for hop in hops]  # zones exist only on this machine
    return next((hop for hop in reversed(hops) if hop is None or not _is_near(hop)), hops[-1])


def _is_near(address: Address) -> bool:
    return any(address in network for network in NEAR)


def _parsed(text: str) -> Address | None:
    """Return the parsed address, None if invalid. A dual-stack listener reports IPv4 peers as IPv6."""
    try:
        known = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known


WEB_FOLDER = "FLUXTRACKER_WEB_FOLDER"  # in the environment of the web processes
BUSY_S = 0.25  # for a lock that another process holds for microseconds
MOST_CLIENTS = 20_000  # clients counted separately per minute and kind
MOST_SHARED = 1_024  # counts shared by all further clients of the minute
TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS counts
  (kind TEXT, client TEXT, minute INTEGER, n INTEGER, PRIMARY KEY (kind, client)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, until REAL);
"""
ADD = """
INSERT INTO counts VALUES (?, ?, ?, 1)
ON CONFLICT DO UPDATE SET n = CASE minute WHEN excluded.minute THEN n + 1 ELSE 1 END, minute = excluded.minute
RETURNING n
"""


class Counters:
    """Counts by minute, and places taken for a time. `folder`: shared with other processes through a file."""

    def __init__(self, folder: str | None = None, *, of_server: bool = False) -> None:
        self._folder, self._of_server = folder, of_server
        self._lock = threading.RLock()  # a garbage-collected download gives its place back at any moment
        self._pid, self._minute, self._is_alone = 0, 0, False
        self._connection: sqlite3.Connection
        self._alone = connect(":memory:")

    def count(self, kind: str, client: str, minute: int) -> int:
        """Count one for the client in the minute and return the total, including this one."""

        def work(database: sqlite3.Connection) -> int:
            if minute != self._minute:
                self._minute = minute
                database.execute("DELETE FROM counts WHERE minute <> ?", [minute])
            known, name = "SELECT 1 FROM counts WHERE kind = ? AND client = ? AND minute = ?", client
            if not database.execute(known, [kind, name, minute]).fetchone():
                (clients,) = database.execute(ADD, [f"clients of {kind}", "", minute]).fetchone()
                if clients > MOST_CLIENTS:
                    name = f"shared {zlib.crc32(client.encode()) % MOST_SHARED}"
            (n,) = database.execute(ADD, [kind, name, minute]).fetchone()
            return int(n)

        return self._do(work)

    def take(self, kind: str, most: int, now: float, until: float) -> int | None:
        """Take one of `most` places until a monotonic time. Return its id, None if all are taken."""

        def work(database: sqlite3.Connection) -> int | None:
            if taken(database, kind, now) >= most:
                return None
            return database.execute("INSERT INTO places (kind, until) VALUES (?, ?)", [kind, until]).lastrowid

        return self._do(work)

    def give_back(self, place: int) -> None:
        """Free the place; giving it back twice changes nothing."""
        self._do(lambda database: database.execute("DELETE FROM places WHERE id = ?", [place]))

    def taken(self, kind: str, now: float) -> int:
        """Return how many places are taken."""
        return self._do(lambda database: taken(database, kind, now))

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run it in a transaction, or in this process's memory while the file fails."""
        with self._lock:
            try:
                done = within(self._shared(), work)
                self._is_alone = False
                return done
            except sqlite3.Error as error:
                if not self._is_alone:
                    log.warning("counters_unusable", error=str(error))
                self._is_alone = True
                return within(self._alone, work)

    def _shared(self) -> sqlite3.Connection:
        """Return this process's connection, as SQLite connections do not survive a fork."""
        if self._pid != os.getpid():
            folder = os.environ.get(WEB_FOLDER) if self._of_server else self._folder
            self._connection = connect(str(Path(folder) / "counters.sqlite3") if folder else ":memory:")
            self._pid = os.getpid()
        return self._connection


def within(database: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    if database.in_transaction:
        return work(database)
    database.execute("BEGIN IMMEDIATE")
    with database:
        return work(database)


def taken(database: sqlite3.Connection, kind: str, now: float) -> int:
    """Return how many places are taken, after freeing expired ones."""
    database.execute("DELETE FROM places WHERE kind = ? AND until <= ?", [kind, now])
    (number,) = database.execute("SELECT count(*) FROM places WHERE kind = ?", [kind]).fetchone()
    return int(number)


def connect(file: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.executescript(TABLES)
    return connection


SHARED = Counters(of_server=True)


@dataclass(frozen=True, slots=True)
class Quota:
    """A client's use of the limit. Times are in seconds."""

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
HEALTH = ("/api/health", "/api/health/live", "/api/health/ready")  # monitors are not limited
FOR_PROGRAMS = ("/api/", "/export/", "/metrics")  # paths that are not pages


class Window:
    """Counts requests by client and minute, over all web processes that share the counters."""

    def __init__(self, kind: str, counters: Counters) -> None:
        self._kind, self._counters = kind, counters

    def count(self, client: str, limit: int, now: float) -> Quota:
        """Count a request and return the remaining quota."""
        minute = int(now // WINDOW_S)
        counted = self._counters.count(self._kind, client, minute)
        return Quota(limit, limit - counted, (minute + 1) * WINDOW_S - now, WINDOW_S)


# Two, so that a browser still works when a script has used up its requests.
window, pages = Window("programs", SHARED), Window("pages", SHARED)


def count(request: HttpRequest) -> Quota | None:
    """Count a request and return its client's remaining quota. None: no limit.

    Direct clients on this machine have no limit; one behind a proxy counts by its forwarded address.
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
    """At most `most` concurrent places, over all web processes that share the counters, each for at most `seconds`."""

    def __init__(self, kind: str, most: int, seconds: float, counters: Counters = SHARED) -> None:
        self.most, self._kind, self._seconds, self._counters = most, kind, seconds, counters

    def of_client(self, client: str, most: int) -> Places:
        """Return the places of one client, counted apart from these."""
        return Places(f"{self._kind} of {client}", most, self._seconds, self._counters)

    def take(self) -> int | None:
        """Take a place and return the function that gives it back, None if all are taken."""
        now = time.monotonic()
        return self._counters.take(self._kind, self.most, now, now + self._seconds)

    def give_back(self, place: int) -> None:
        """Free the place; giving it back twice changes nothing."""
        self._counters.give_back(place)

    @property
    def taken(self) -> int:
        return self._counters.taken(self._kind, time.monotonic())
