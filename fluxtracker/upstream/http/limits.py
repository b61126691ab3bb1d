"""Limit pace, circuits, time and size for all HTTP clients of a process."""

from __future__ import annotations

import socket
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Event, Lock, Timer
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import BaseHTTPResponse, HTTPResponse

from fluxtracker.upstream.http.errors import BadAnswer, Unavailable, UpstreamError

CHUNK = 1 << 18  # bytes


class TimedOut(Unavailable):
    """No answer in time. `again`: whether a retry makes sense (not after dripping for the whole deadline)."""

    def __init__(self, source: str, where: str, detail: str, again: bool = True) -> None:
        super().__init__(source, where, detail)
        self.again = again


class TooLarge(BadAnswer):
    """The answer is larger than allowed."""


@dataclass(slots=True)
class Body:
    """A decompressed answer, readable in whole or in pieces."""

    response: requests.Response
    source: str
    where: str
    max_bytes: int
    """Bytes that may still come."""
    deadline: float
    clock: Callable[[], float]

    def read(self, size: int = CHUNK) -> bytes:
        """Return up to `size` bytes as soon as any are available, b"" at the end."""
        if self.clock() > self.deadline:
            raise TimedOut(self.source, self.where, "the answer came too slowly", again=False)
        data = self._read_once(size)
        self.max_bytes -= len(data)
        if self.max_bytes < 0:
            raise TooLarge(self.source, self.where, "the answer is too large")
        return data

    def close(self) -> None:
        self.response.close()

    def read_all(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def _read_once(self, size: int) -> bytes:
        # read1, not read: a server that drips bytes must not block us in one call.
        try:
            raw: BaseHTTPResponse = self.response.raw
            return raw.read1(size, decode_content=True)
        except urllib3_errors.ReadTimeoutError:
            raise TimedOut(self.source, self.where, "timed out while reading the answer") from None
        except urllib3_errors.DecodeError:
            raise BadAnswer(self.source, self.where, "the answer's compression is damaged") from None
        except urllib3_errors.IncompleteRead:
            raise BadAnswer(self.source, self.where, "the answer is truncated") from None
        except urllib3_errors.ProtocolError as error:
            if any(isinstance(cause, OSError) for cause in (error.__cause__, *error.args)):
                raise Unavailable(self.source, self.where, "the connection broke off") from None
            raise BadAnswer(self.source, self.where, "the answer is truncated") from None
        except urllib3_errors.HTTPError as error:
            raise Unavailable(self.source, self.where, f"{type(error).__name__} while reading") from None


def _in_time(connection: HTTPConnection, read_head: Callable[[], HTTPResponse]) -> HTTPResponse:
    """Return the head of an answer, or TimeoutError if that took longer than the timeout."""
    sock, late = connection.sock, Event()

    def give_up() -> None:
        late.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(float(connection.timeout or 60), give_up)
    timer.daemon = True
    timer.start()
    try:
        response = read_head()
    except (OSError, HTTPException):
        if not late.is_set():
            raise
    else:
        if not late.is_set():
            return response
    finally:
        timer.cancel()
    raise TimeoutError("the head of the answer came too slowly")


class PlainConnection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        return _in_time(self, super().getresponse)


class SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        return _in_time(self, super().getresponse)


class PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class Adapter(HTTPAdapter):
    """Pools these connections. The client does retries."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


FAILURES_TO_OPEN = 2  # consecutive failed calls
OPEN_FOR = 30.0  # s
LONGEST_WAIT = 10.0  # s a call waits for Retry-After, over all attempts
LONGEST_HOLD = 3600.0  # s without requests after a longer Retry-After


class Overloaded(Unavailable):
    """A 5xx, 408 or 429. `retry_after` is in seconds, None if not given."""

    def __init__(self, source: str, where: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(source, where, detail)
        self.retry_after = retry_after


class Pace:
    """Allows at most `rate` requests in any second to one host, over all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sent: dict[str, deque[float]] = {}

    def reserve(self, host: str, rate: float, now: float) -> float:
        """Take the next free slot for the host and return the seconds to wait. Rate 0: no limit."""
        if rate <= 0:
            return 0.0
        many = max(1, int(rate))
        window = many / rate
        with self._lock:
            sent = self._sent.setdefault(host, deque())
            while sent and sent[0] <= now - window:
                sent.popleft()
            at = now if len(sent) < many else max(now, sent[-many] + window)
            sent.append(at)
        return at - now


@dataclass(slots=True)
class Circuit:
    """Consecutive failed calls, and until when nothing is sent."""

    failures: int = 0
    open_until: float | None = None

    def enter(self, source: str, where: str, now: float) -> None:
        """Let a call pass, but after an outage only the first. Unavailable for the others."""
        if self.open_until is None:
            return
        if now < self.open_until:
            wait = self.open_until - now
            raise Unavailable(source, where, f"not asked: it failed before, next try in {wait:.0f} s")
        self.open_until = now + OPEN_FOR  # this call tries, others wait for its outcome

    def fail(self, error: Unavailable, now: float) -> None:
        requested = error.retry_after if isinstance(error, Overloaded) else None
        self.failures += 1
        if requested is not None and requested > LONGEST_WAIT:
            self.open_until = now + min(requested, LONGEST_HOLD)
        elif self.failures >= FAILURES_TO_OPEN:
            self.open_until = now + OPEN_FOR


class Breakers:
    """One circuit per endpoint: after two consecutive failures nothing is sent for 30 s, then one call tries."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._circuits: dict[str, Circuit] = defaultdict(Circuit)

    @contextmanager
    def call(self, endpoint: str, source: str, where: str, clock: Callable[[], float]) -> Iterator[None]:
        """Refuse while the circuit is open, else record the outcome of the call inside."""
        with self._lock:
            self._circuits[endpoint].enter(source, where, clock())
        try:
            yield
        except Unavailable as error:
            with self._lock:
                self._circuits[endpoint].fail(error, clock())
            raise
        except UpstreamError:
            self._close(endpoint)  # a wrong answer is an answer
            raise
        except BaseException:  # cancelled, or ended from outside: nothing is known, so the next call may try
            with self._lock:
                circuit = self._circuits[endpoint]
                circuit.open_until = None if circuit.open_until is None else clock()
            raise
        self._close(endpoint)

    def _close(self, endpoint: str) -> None:
        with self._lock:
            self._circuits.pop(endpoint, None)


@dataclass(frozen=True, slots=True)
class Shared:
    """Pace and circuits of a process."""

    pace: Pace = field(default_factory=Pace)
    breakers: Breakers = field(default_factory=Breakers)


PROCESS = Shared()
"""Of this process: a command started after an outage begins with closed circuits."""
