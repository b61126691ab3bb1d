"""What came back over HTTP, as parsed JSON or as the error it means."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests

from fluxtracker.text import printable
from fluxtracker.upstream.body import Body, TooLarge
from fluxtracker.upstream.errors import BadAnswer, Unavailable
from fluxtracker.upstream.shared import Overloaded
from fluxtracker.upstream.wire import mend_text

BYTES_A_VALUE = 16  # of JSON as the upstreams write it, at the least; `{}` costs 3 and 64 in memory
FEW_VALUES = 10_000


class Rejected(BadAnswer):
    """A well-formed 4xx: the server understood and says no. `message` is its reason."""

    def __init__(self, source: str, where: str, status: int, message: str) -> None:
        super().__init__(source, where, f"HTTP {status}: {message}")
        self.status = status
        self.message = message


def refusal(response: requests.Response, body: Body) -> BadAnswer | Unavailable:
    """The error that an answer other than a success is."""
    status = response.status_code
    if status >= 500 or status in (408, 429):
        return Overloaded(body.source, body.where, f"HTTP {status}", _retry_after(response))
    try:
        answer = _loads(body.read_all())
    except orjson.JSONDecodeError:
        return BadAnswer(body.source, body.where, f"HTTP {status} without JSON")
    return Rejected(body.source, body.where, status, _reason(answer))


def _reason(answer: object) -> str:
    """The short text in which an error answer says what is wrong."""
    found = answer
    for key in ("error", "message", "msg", "Message", "data", "status"):
        if isinstance(answer, dict) and isinstance(answer.get(key), str):
            found = answer[key]
            break
    return printable(found if isinstance(found, str) else "no reason given")[:200]


def _retry_after(response: requests.Response) -> float | None:
    """Seconds to wait, from a number or an HTTP date."""
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
    """The JSON of an answer. BadAnswer where it is none, or holds more values than so many bytes should.

    Text that is none (half a surrogate, bytes that are no UTF-8) costs its row and not the whole: it comes as DAMAGED.
    """
    values = data.count(b",") + data.count(b"[") + data.count(b"{")  # also those inside of texts: few
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


def connection_failure(error: requests.ConnectionError) -> str:
    """Why nothing came, in words, without the URL that the library puts into its text."""
    text = str(error)
    for sign, meaning in (
        ("refused", "connection refused"),
        ("resolve", "the host's name is not known"),
        ("NameResolution", "the host's name is not known"),
        ("SSL", "TLS failed"),
    ):
        if sign in text:
            return meaning
    return "the connection failed"
