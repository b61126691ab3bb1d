"""Downloads of any size: a few at a time in a process, so that slow readers do not take the site's threads."""

from __future__ import annotations

import csv
import errno
import io
import time
from collections.abc import Callable, Generator, Iterable, Sequence

import structlog
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, StreamingHttpResponse
from rest_framework.exceptions import APIException

from fluxtracker import database_limits
from fluxtracker.database_words import database_words
from fluxtracker.middleware import give_back_after
from fluxtracker.places import Places

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 3  # of the process's threads (fluxtracker/webserver.py)
LONGEST_S = 600.0  # of one download, however slow its reader is
LEFT_S = 60.0  # after its end a place that nobody gave back is free all the same
# A spreadsheet takes a cell that begins so for a formula; the wide ones are what some programs make of the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
LastLine = Callable[[str], bytes]
places = Places(MOST_AT_ONCE, LONGEST_S + LEFT_S)


class Busy(APIException):
    """Told as 503 with Retry-After."""

    status_code = 503
    default_detail = f"{MOST_AT_ONCE} exports are under way, no more run at once; try again in a minute"
    wait = 60


class Download:
    """The chunks of a download, the first of them read at once: what goes wrong by then is an ordinary error.

    It holds a place until it is through, closed, forgotten, or over its time. Where it breaks off, its last line is
    `INCOMPLETE: ...` in the words of `last_line`, and the connection breaks instead of ending.
    """

    _place: object | None = None

    def __init__(self, chunks: Generator[bytes, None, None], last_line: LastLine) -> None:
        self._chunks, self._last_line, self._is_cut = chunks, last_line, False
        self._place = places.take()
        if self._place is None:
            raise Busy
        self._until = time.monotonic() + LONGEST_S
        try:
            self._first: bytes | None = next(chunks, None)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Download:
        return self

    def __next__(self) -> bytes:
        if self._is_cut:
            raise BrokenPipeError(errno.EPIPE, "the export was cut off")  # servers take it for an ordinary end
        try:
            return self._next()
        except (DatabaseError, InterfaceError) as error:
            log.warning("export_cut_off", error=database_words(error))
            return self._cut("the database did not answer")
        except BaseException:
            self.close()
            raise

    def _next(self) -> bytes:
        if time.monotonic() > self._until:
            log.warning("export_cut_off", error="too slow", seconds=LONGEST_S)
            return self._cut(f"an export may take {LONGEST_S:.0f} s")
        if self._first is not None:
            first, self._first = self._first, None
            return first
        database_limits.begin()
        return next(self._chunks)

    def _cut(self, why: str) -> bytes:
        self.close()
        self._is_cut = True
        return self._last_line(f"INCOMPLETE: {why}; ask for fewer days at a time")

    def close(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            try:
                self._chunks.close()
            finally:
                places.give_back(place)

    __del__ = close


def stream(
    request: HttpRequest, chunks: Generator[bytes, None, None], *, name: str, kind: str, last_line: LastLine
) -> StreamingHttpResponse:
    """Return the answer that a download is; HEAD reads nothing and takes no place."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if request.method == "HEAD":
        return StreamingHttpResponse((), content_type=kind, headers=headers)
    download = Download(chunks, last_line)
    give_back_after(request, download.close)
    return StreamingHttpResponse(download, content_type=kind, headers=headers)


def csv_last_line(words: str) -> bytes:
    return csv_lines([[words]])


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
