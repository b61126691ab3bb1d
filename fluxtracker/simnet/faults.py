"""What can be made to go wrong, and where."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    HTTP_500 = "http500"
    HTTP_503_HTML = "http503html"  # a proxy's page
    HTTP_429 = "http429"
    HTML_200 = "html200"
    STATUS_ERROR_200 = "status_error200"
    TRUNCATED = "truncated"  # ends in the middle of the body
    MALFORMED = "malformed"
    EMPTY_SUCCESS = "empty_success"
    EMPTY_WITH_TOTAL = "empty_with_total"  # no transactions, and the true number of them
    TIMEOUT = "timeout"
    SLOW = "slow"  # the right answer, late
    DRIP = "drip"  # a byte at a time
    REPEAT_PAGE = "repeat_page"  # the answer before, again
    HEIGHT_BACKWARDS = "height_backwards"
    DROP_CONNECTION = "drop_connection"
    FLOOD = "flood"  # an answer without end
    REDIRECT = "redirect"  # to another host
    BAD_ROWS = "bad_rows"  # a share of the rows is missing numbers, or has null, text, -1 or true for them
    FEW_ROWS = "few_rows"  # a third of the rows
    ZERO_ROWS = "zero_rows"  # every number is 0, as if every benchmark ran
    EMPTY_NAMES = "empty_names"  # containers without a name
    ABSURD_PRICE = "absurd_price"  # a thousand times the price: now, or of the middle day of a history
    OLD_CANDLE = "old_candle"  # the last candle is of 200 days ago, and so is CoinGecko's price
    NO_TRADES = "no_trades"  # candles without trades and volume, and points without a price
    BAD_RESOURCES = "bad_resources"  # bad_rows, of what apps take alone
    BAD_BENCHMARKS = "bad_benchmarks"  # bad_rows, of the benchmark alone
    REPEATED_ROWS = "repeated_rows"  # a share of the rows comes again, by turns as it is and as an unreachable node's
    LAGGING = "lagging"  # a share of the rows, or of each count, is missing
    STOPPED = "stopped"  # a share of the containers does not run, and tells so


OF_PRICES = (Kind.ABSURD_PRICE, Kind.OLD_CANDLE, Kind.NO_TRADES)
OF_ROWS = (
    Kind.BAD_ROWS,
    Kind.FEW_ROWS,
    Kind.ZERO_ROWS,
    Kind.EMPTY_NAMES,
    Kind.BAD_RESOURCES,
    Kind.BAD_BENCHMARKS,
    Kind.REPEATED_ROWS,
    Kind.LAGGING,
    Kind.STOPPED,
    *OF_PRICES,
)
"""What goes wrong with prices and the rows of statistics, counts and lists; a ledger sees it in no payment's amount."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong for the paths that match `path` (a regular expression, searched).

    `times` requests long (None: until cleared), each with `probability`. `seconds` is how long a timeout
    hangs and a slow answer takes; `blocks` how far a height goes backwards; `retry_after` the header of a 429;
    `share` how many rows (or containers) are bad, missing or there again.
    """

    kind: Kind
    path: str = ""
    times: int | None = None
    probability: float = 1.0
    seconds: float = 3600.0
    blocks: int = 10
    retry_after: str | None = None
    share: float = 0.3
    hits: int = field(default=0, init=False)

    def wants(self, path: str, draw: float) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        return draw < self.probability and re.search(self.path, path) is not None


class Faults:
    """The faults that are on, asked in the order in which they were added."""

    def __init__(self, seed: int = 1) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self.released = threading.Event()
        """Set while hanging answers should end at once."""

    def add(
        self,
        kind: Kind | str,
        path: str = "",
        *,
        times: int | None = None,
        probability: float = 1.0,
        seconds: float = 3600.0,
        blocks: int = 10,
        retry_after: str | None = None,
        share: float = 0.3,
    ) -> Fault:
        fault = Fault(Kind(kind), path, times, probability, seconds, blocks, retry_after, share)
        with self._lock:
            self.released.clear()
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """End all faults, the hanging answers too."""
        with self._lock:
            self._faults.clear()
            self.released.set()

    def pick(self, path: str) -> Fault | None:
        """The fault that hits a request for `path`, counted."""
        with self._lock:
            for fault in self._faults:
                draw = self._random.random() if fault.probability < 1 else 0.0
                if fault.wants(path, draw):
                    fault.hits += 1
                    return fault
        return None

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._faults))
