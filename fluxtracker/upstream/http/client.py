"""Send requests to upstreams with limits, pacing, retries and circuit breakers; count them per host; report progress.

The client logs no warnings: its caller knows what a failure means and logs it once.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import orjson
import requests
import structlog
from django.conf import settings

from fluxtracker.formatting import printable
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from fluxtracker.upstream.http.limits import (
    LONGEST_WAIT,
    PROCESS,
    Adapter,
    Body,
    Overloaded,
    Shared,
    TimedOut,
    TooLarge,
)
from fluxtracker.upstream.parsing import mend_text

BYTES_A_VALUE = 16  # of upstream JSON, at least; `{}` takes 3, and 64 in memory
FEW_VALUES = 10_000


class Rejected(BadAnswer):
    """A well-formed 4xx: the server refuses. `message` is its reason."""

    def __init__(self, source: str, where: str, status: int, message: str) -> None:
        super().__init__(source, where, f"HTTP {status}: {message}")
        self.status = status
        self.message = message


def refusal(response: requests.Response, body: Body) -> BadAnswer | Unavailable:
    """Return the error for an unsuccessful response."""
    status = response.status_code
    if status >= 500 or status in (408, 429):
        return Overloaded(body.source, body.where, f"HTTP {status}", _retry_after(response))
    try:
        answer = _loads(body.read_all())
    except orjson.JSONDecodeError:
        return BadAnswer(body.source, body.where, f"HTTP {status} without JSON")
    return Rejected(body.source, body.where, status, _reason(answer))


def _reason(answer: object) -> str:
    """Return the short reason in an error response."""
    data = answer if isinstance(answer, dict) else {"error": answer}
    texts = (data.get(key) for key in ("error", "message", "msg", "Message", "data", "status"))
    return printable(next((text for text in texts if isinstance(text, str)), "no reason given"))[:200]


def _retry_after(response: requests.Response) -> float | None:
    """Return seconds to wait, from a number or an HTTP date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def parsed(data: bytes, source: str, where: str, max_bytes: int) -> Any:
    """Return the JSON of an answer. BadAnswer if it is invalid or has too many values for its size.

    Invalid text (half a surrogate, invalid UTF-8) becomes DAMAGED, which costs its row but not the whole answer.
    """
    values = data.count(b",") + data.count(b"[") + data.count(b"{")  # including the few inside strings
    if values > max(max_bytes // BYTES_A_VALUE, FEW_VALUES):
        raise TooLarge(source, where, f"the answer holds {values:,} values")
    try:
        return _loads(data)
    except orjson.JSONDecodeError as error:
        detail = "a web page instead of JSON" if data.lstrip()[:1] == b"<" else f"malformed JSON ({error})"
        raise BadAnswer(source, where, detail if data.strip() else "an empty answer") from None


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        mended = mend_text(data)
        if mended == data:
            raise
        return orjson.loads(mended)


FAILURES = {
    "refused": "connection refused",
    "resolve": "DNS lookup failed",
    "NameResolution": "DNS lookup failed",
    "SSL": "TLS failed",
}


def connection_failure(error: requests.ConnectionError) -> str:
    """Return why the connection failed, without the URL in the library's text."""
    text = str(error)
    return next((meaning for sign, meaning in FAILURES.items() if sign in text), "the connection failed")


Counts = Mapping[tuple[str, str], int]


class Tally:
    """Counts by host and result: `2xx` to `5xx`, `timeout`, `no_connection`, `error`. Any answer in a 200 is a 2xx."""

    def __init__(self) -> None:
        self._lock, self._counts = Lock(), Counter[tuple[str, str]]()

    def add(self, host: str, result: str) -> None:
        with self._lock:
            self._counts[host, result] += 1

    def take(self) -> Counts:
        """Return and reset the counts; the caller stores them."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
            return taken

    def put_back(self, counts: Counts) -> None:
        """Add counts back that a caller could not store."""
        with self._lock:
            self._counts.update(counts)


SENT = Tally()


class Cancelled(Exception):
    """The work was cancelled: neither done nor failed."""


class Watch:
    """Receives progress and may cancel the work. This base class does neither, for scheduled tasks and commands."""

    def progress(self, words: str) -> None:
        """Note how far the work is."""

    def check(self) -> None:
        """Raise Cancelled if the work was cancelled."""


# Set around a job's whole work, so that functions need not pass it on.
WATCH: ContextVar[Watch] = ContextVar("watch", default=Watch())  # noqa: B039  it holds nothing


log = structlog.get_logger(__name__)

USER_AGENT = "fluxtracker/0.1"
SMALL = 64 << 10  # bytes, for a number, a hash, a price; larger answers set their own limit
MEDIUM = 4 << 20  # a history, a block
MAX_BYTES = 32 << 20
MAX_ERROR_BYTES = 64 << 10
MAX_REDIRECTS = 3
RETRIES = 2  # after a connection error, a 5xx or a 429
TIMEOUT_RETRIES = 1
BACKOFF = 0.5  # s, doubled with each attempt
WAIT = 3  # times the timeout: the maximum wait for Retry-After
DEADLINE = 2  # times the timeout, for a complete answer
STREAM_DEADLINE = 4  # the same for a streamed one

Params = Mapping[str, str | int]
T = TypeVar("T")


class Http:
    """Requests JSON from upstreams. Thread-safe.

    `endpoint` names a call's circuit (default: the host), as upstreams on one host may fail separately. `timeout` is in
    seconds, for connecting and for each silence while reading.
    """

    def __init__(
        self,
        *,
        timeout: float,
        rate: float,
        user_agent: str = USER_AGENT,
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        shared: Shared | None = None,
    ) -> None:
        self.requests = 0
        self._timeout, self._rate, self._max_bytes = timeout, rate, max_bytes
        self._sleep, self._clock, self._random = sleep, clock, random
        self._shared = shared or Shared()
        self._counting, self._started = Lock(), clock()
        self._session = _session(user_agent)

    @classmethod
    def from_settings(cls) -> Self:
        """Return a client from the settings, sharing pace and circuits with all others of this process."""
        return cls(timeout=settings.UPSTREAM_TIMEOUT, rate=settings.UPSTREAM_RATE, shared=PROCESS)

    @property
    def effort(self) -> dict[str, float]:
        """Return the number of requests, and the seconds since this client was created."""
        return {"requests": self.requests, "seconds": round(self._clock() - self._started, 3)}

    def get_json(
        self,
        url: str,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        endpoint: str | None = None,
        patient: bool = True,
    ) -> Any:
        """Return the parsed answer. Without `patient`, a timeout is not retried."""

        def once() -> Any:
            limit = max_bytes or self._max_bytes
            with closing(self._opened(url, params, headers, limit, DEADLINE)) as body:
                return parsed(body.read_all(), body.source, body.where, limit)

        source, where = _names(url)
        with self._shared.breakers.call(endpoint or source, source, where, self._clock):
            return self._with_retries(once, patient)

    @contextmanager
    def open_stream(self, url: str, *, max_bytes: int = MAX_BYTES, endpoint: str | None = None) -> Iterator[Body]:
        """Return the answer as a stream. Failures while reading are not retried."""

        def once() -> Body:
            return self._opened(url, None, None, max_bytes, STREAM_DEADLINE)

        source, where = _names(url)
        with (
            self._shared.breakers.call(endpoint or source, source, where, self._clock),
            closing(self._with_retries(once, True)) as body,
        ):
            yield body

    def _with_retries(self, once: Callable[[], T], patient: bool) -> T:
        retries, timeouts = RETRIES, TIMEOUT_RETRIES if patient else 0
        pause, waited = BACKOFF, 0.0
        while True:
            try:
                return once()
            except TimedOut as error:
                if not (error.again and timeouts):
                    raise
                timeouts -= 1
                failure: Unavailable = error
            except Unavailable as error:
                waited += _asked_to_wait(error)
                if not retries or waited > min(LONGEST_WAIT, WAIT * self._timeout):
                    raise
                retries -= 1
                failure = error
            wait = _asked_to_wait(failure) or pause * (0.5 + self._random())
            log.debug("upstream_retry", source=failure.source, where=failure.where, wait=round(wait, 2))
            self._sleep(wait)
            pause *= 2

    def _opened(
        self, url: str, params: Params | None, headers: Mapping[str, str] | None, max_bytes: int, deadline: int
    ) -> Body:
        """Send, follow redirects within the host, and reject everything but a success."""
        source, where = _names(url)
        until = self._clock() + deadline * self._timeout
        response = self._send(url, params, headers)
        for _ in range(MAX_REDIRECTS):
            if not response.is_redirect:
                break
            response.close()
            url = _redirected(url, response.headers["Location"])
            response = self._send(url, None, headers)
        limit = max_bytes if response.ok else MAX_ERROR_BYTES
        body = Body(response, source=source, where=where, max_bytes=limit, deadline=until, clock=self._clock)
        if 200 <= response.status_code < 300:
            return body
        with closing(body):
            raise refusal(response, body)

    def _send(self, url: str, params: Params | None, headers: Mapping[str, str] | None) -> requests.Response:
        source, where = _names(url)
        WATCH.get().check()  # a cancelled job sends no more requests
        pause = self._shared.pace.reserve(source, self._rate, self._clock())
        if pause > 0:
            self._sleep(pause)
        with self._counting:
            self.requests += 1
        try:
            response = self._session.get(
                url, params=params, headers=headers, timeout=self._timeout, stream=True, allow_redirects=False
            )
        except requests.Timeout:
            SENT.add(source, "timeout")
            raise TimedOut(source, where, f"no answer within {self._timeout:g} s") from None
        except requests.ConnectionError as error:
            SENT.add(source, "no_connection")
            raise Unavailable(source, where, connection_failure(error)) from None
        except (requests.RequestException, ValueError) as error:  # ValueError: redirected to an invalid URL
            SENT.add(source, "error")
            raise BadAnswer(source, where, type(error).__name__) from None
        SENT.add(source, f"{response.status_code // 100}xx")
        return response


def _session(user_agent: str) -> requests.Session:
    session = requests.Session()
    session.headers.update({"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "gzip"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_maxsize=8, max_retries=0))
    return session


def _names(url: str) -> tuple[str, str]:
    """Return host and path for errors, without credentials and query."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path or "/"


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    old, new = urlsplit(url), urlsplit(target)
    if new.hostname != old.hostname or (old.scheme == "https" and new.scheme != "https"):
        raise BadAnswer(*_names(url), f"redirects to another host ({(new.hostname or '')[:100]})")
    return target


def _asked_to_wait(error: Unavailable) -> float:
    return (error.retry_after or 0.0) if isinstance(error, Overloaded) else 0.0


class Upstream:
    """An upstream: its URL, its circuit, and errors that name it."""

    def __init__(self, http: Http, base_url: str) -> None:
        self.http = http
        self.base = base_url.rstrip("/")
        self.host, _ = _names(base_url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.host}>"

    def get(self, path: str, params: Params | None = None, **options: Any) -> Any:
        """Return the parsed answer; `options` are those of `Http.get_json`."""
        return self.http.get_json(self.base + path, params, endpoint=self.base, **options)

    def where(self, path: str) -> str:
        """Return the path for errors."""
        return _names(self.base + path)[1]

    def bad(self, path: str, detail: str) -> BadAnswer:
        """Return the error to raise for a wrong answer."""
        return BadAnswer(self.host, self.where(path), detail)
