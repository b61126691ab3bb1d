"""The one HTTP client: limits, pace, retries and circuits for every upstream.

It logs no warnings: who asked knows what the failure means and says it once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from typing import Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import structlog
from django.conf import settings

from fluxtracker.upstream.body import Body, TimedOut
from fluxtracker.upstream.connections import Adapter
from fluxtracker.upstream.errors import BadAnswer, Unavailable
from fluxtracker.upstream.outcome import connection_failure, parsed, refusal
from fluxtracker.upstream.shared import LONGEST_WAIT, PROCESS, Overloaded, Shared
from fluxtracker.upstream.tally import SENT
from fluxtracker.watch import WATCH

log = structlog.get_logger(__name__)

USER_AGENT = "fluxtracker/0.1"
SMALL = 64 << 10  # bytes, for a number, a hash, a price; larger answers say how large they may be
MEDIUM = 4 << 20  # a history, a block
MAX_BYTES = 32 << 20
MAX_ERROR_BYTES = 64 << 10
MAX_REDIRECTS = 3
RETRIES = 2  # after a connection error, a 5xx or a 429
TIMEOUT_RETRIES = 1
BACKOFF = 0.5  # s, doubled with each try
WAIT = 3  # times the timeout, the most that a call waits because of Retry-After
DEADLINE = 2  # times the timeout, for a whole answer
STREAM_DEADLINE = 4  # the same for a streamed one

Params = Mapping[str, str | int]
T = TypeVar("T")


class Http:
    """Asks upstreams for JSON. Safe to share between threads.

    `endpoint` names the circuit a call belongs to (default: the host); several upstreams may live on one
    host and fail apart. `timeout` is in seconds, for connecting and for each silence while reading.
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
        self._counting = Lock()
        self._session = _session(user_agent)

    @classmethod
    def from_settings(cls) -> Self:
        """A client as the settings want it, sharing pace and circuits with all others of this process."""
        return cls(timeout=settings.UPSTREAM_TIMEOUT, rate=settings.UPSTREAM_RATE, shared=PROCESS)

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
        """The parsed answer. Not `patient`: a timeout is not tried again."""

        def once() -> Any:
            limit = max_bytes or self._max_bytes
            with closing(self._opened(url, params, headers, limit, DEADLINE)) as body:
                return parsed(body.read_all(), body.source, body.where, limit)

        source, where = _names(url)
        with self._shared.breakers.call(endpoint or source, source, where, self._clock):
            return self._with_retries(once, patient)

    @contextmanager
    def open_stream(
        self,
        url: str,
        params: Params | None = None,
        *,
        max_bytes: int | None = None,
        endpoint: str | None = None,
    ) -> Iterator[Body]:
        """The answer to read piece by piece. What breaks while it is read is not tried again."""

        def once() -> Body:
            return self._opened(url, params, None, max_bytes or self._max_bytes, STREAM_DEADLINE)

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
        """Send, follow redirects within the host, and refuse everything but a success."""
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
        WATCH.get().check()  # a job that was called off asks no more
        pause = self._shared.pace.reserve(source, self._rate, self._clock())
        if pause > 0:
            self._sleep(pause)
        with self._counting:
            self.requests += 1
        try:
            response = self._session.get(
                url,
                params=params,
                headers=headers,
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            )
        except requests.Timeout:
            SENT.add(source, "timeout")
            raise TimedOut(source, where, f"no answer within {self._timeout:g} s") from None
        except requests.ConnectionError as error:
            SENT.add(source, "no_connection")
            raise Unavailable(source, where, connection_failure(error)) from None
        except (requests.RequestException, ValueError) as error:  # ValueError: redirected to what is no address
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
    """Host and path, as errors name them: without credentials and query."""
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
