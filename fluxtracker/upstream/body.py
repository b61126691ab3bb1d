"""The body of an answer, read within its limits of time and size."""

from __future__ import annotations

from collections.abc import Callable

import requests
from urllib3 import exceptions as urllib3_errors
from urllib3.response import BaseHTTPResponse

from fluxtracker.upstream.errors import BadAnswer, Unavailable

CHUNK = 1 << 18  # bytes


class TimedOut(Unavailable):
    """No answer in time. `again`: whether one more try makes sense (not after a whole deadline of dripping)."""

    def __init__(self, source: str, where: str, detail: str, again: bool = True) -> None:
        super().__init__(source, where, detail)
        self.again = again


class TooLarge(BadAnswer):
    """The answer is larger than what was asked for may be."""


class Body:
    """A decompressed answer to read from, in whole or piece by piece."""

    def __init__(
        self,
        response: requests.Response,
        *,
        source: str,
        where: str,
        max_bytes: int,
        deadline: float,
        clock: Callable[[], float],
    ) -> None:
        self.source = source
        self.where = where
        self._response = response
        self._raw: BaseHTTPResponse = response.raw
        self._left = max_bytes
        self._deadline = deadline
        self._clock = clock

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes as soon as some are there; b"" at the end."""
        if self._clock() > self._deadline:
            raise TimedOut(self.source, self.where, "the answer came too slowly", again=False)
        data = self._read_once(size)
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge(self.source, self.where, "the answer is too large")
        return data

    def close(self) -> None:
        self._response.close()

    def read_all(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def _read_once(self, size: int) -> bytes:
        # read1 and not read: a server that drips bytes must not hold us inside one call.
        try:
            return self._raw.read1(size, decode_content=True)
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
