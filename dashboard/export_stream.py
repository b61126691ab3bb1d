"""Downloads of any size: a few at a time in a process, so that slow readers do not take the site's threads."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Generator, Iterable, Sequence

from rest_framework.exceptions import APIException

MOST_AT_ONCE = 3  # of the process's threads (fluxtracker/webserver.py)
# A spreadsheet takes a cell that begins so for a formula; the wide ones are what some programs make of the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
slots = threading.BoundedSemaphore(MOST_AT_ONCE)


class Busy(APIException):
    """Told as 503 with Retry-After."""

    status_code = 503
    default_detail = f"{MOST_AT_ONCE} exports are under way, no more run at once; try again in a minute"
    wait = 60


class Download:
    """The chunks of a download. It holds a slot until it is closed, also when nobody has read any of it."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        if not slots.acquire(blocking=False):
            raise Busy
        self._chunks, self._open = chunks, True

    def __iter__(self) -> Download:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self._chunks.close()
            finally:
                slots.release()


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Lines of a CSV file (RFC 4180, UTF-8). None is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def cell(value: object) -> object:
    """The value, so that no spreadsheet reads strangers' text as a formula: an apostrophe makes it text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def exact(units: int | None, places: int) -> str | None:
    """A whole number of the smallest units, written out with `places` decimals."""
    if units is None:
        return None
    whole, part = divmod(abs(units), 10**places)
    return f"{'-' if units < 0 else ''}{whole}.{part:0{places}d}"
