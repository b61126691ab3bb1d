"""What all HTTP clients of one process share: the pace towards each host and the circuit of each endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from fluxtracker.upstream.errors import Unavailable, UpstreamError

FAILURES_TO_OPEN = 2  # failed calls in a row
OPEN_FOR = 30.0  # s
LONGEST_WAIT = 10.0  # s a call waits because of Retry-After, all its tries together
LONGEST_HOLD = 3600.0  # s nothing is sent because of a longer Retry-After


class Overloaded(Unavailable):
    """A 5xx, 408 or 429. `retry_after` is what the server asks for in seconds, None when it does not say."""

    def __init__(self, source: str, where: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(source, where, detail)
        self.retry_after = retry_after


class Pace:
    """At most `rate` requests in any second to one host, over all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sent: dict[str, deque[float]] = {}

    def reserve(self, host: str, rate: float, now: float) -> float:
        """Take the next free place towards the host; the seconds to wait for it. Rate 0: no limit."""
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
    """Failed calls in a row, and until when nothing is sent."""

    failures: int = 0
    open_until: float | None = None


class Breakers:
    """One circuit an endpoint: after two failed calls in a row nothing is sent for 30 s, then one call tries."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._circuits: dict[str, Circuit] = {}

    @contextmanager
    def call(self, endpoint: str, source: str, where: str, clock: Callable[[], float]) -> Iterator[None]:
        """Refuse while the circuit is open, else remember how the call inside ends."""
        self._enter(endpoint, source, where, clock())
        try:
            yield
        except Unavailable as error:
            self._failed(endpoint, clock(), error)
            raise
        except UpstreamError:
            self._answered(endpoint)  # a wrong answer is an answer
            raise
        except BaseException:  # called off, or ended from outside: nothing is known
            self._given_up(endpoint, clock())
            raise
        self._answered(endpoint)

    def _enter(self, endpoint: str, source: str, where: str, now: float) -> None:
        with self._lock:
            circuit = self._circuits.setdefault(endpoint, Circuit())
            if circuit.open_until is None:
                return
            if now < circuit.open_until:
                wait = circuit.open_until - now
                raise Unavailable(source, where, f"not asked: it failed before, next try in {wait:.0f} s")
            circuit.open_until = now + OPEN_FOR  # this call tries, others wait for its outcome

    def _given_up(self, endpoint: str, now: float) -> None:
        """Let the next call try in place of this one."""
        with self._lock:
            circuit = self._circuits.get(endpoint)
            if circuit is not None and circuit.open_until is not None:
                circuit.open_until = now

    def _failed(self, endpoint: str, now: float, error: Unavailable) -> None:
        asked = error.retry_after if isinstance(error, Overloaded) else None
        with self._lock:
            circuit = self._circuits.setdefault(endpoint, Circuit())
            circuit.failures += 1
            if asked is not None and asked > LONGEST_WAIT:
                circuit.open_until = now + min(asked, LONGEST_HOLD)
            elif circuit.failures >= FAILURES_TO_OPEN:
                circuit.open_until = now + OPEN_FOR

    def _answered(self, endpoint: str) -> None:
        with self._lock:
            self._circuits.pop(endpoint, None)


@dataclass(frozen=True, slots=True)
class Shared:
    """Pace and circuits, together."""

    pace: Pace = field(default_factory=Pace)
    breakers: Breakers = field(default_factory=Breakers)


PROCESS = Shared()
"""Of this process: a command started after an outage begins with closed circuits."""
