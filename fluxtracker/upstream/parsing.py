"""Check single values of answers for all parsers. Wrong ones raise ValueError."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

T = TypeVar("T")

WRONG_SHAPE = (AttributeError, LookupError, TypeError, ValueError)
"""Errors that a reader raises when an answer is not of the shape it knows."""

MAX_HEIGHT = 2**31 - 1
MAX_TOTAL = 2**31 - 1  # transactions of an address: a column's limit
MAX_NODES = 100_000_000  # per tier: the sum of three fits a column
MAX_SAT = 9 * 10**16  # 900 million FLUX, more than can ever exist
MAX_TIME = 2**32

is_hash = re.compile(r"[0-9a-f]{64}").fullmatch
is_address = re.compile(r"[!-~]{1,64}").fullmatch  # OP_RETURN texts contain a space


USUAL_PORT = 16127  # of a node whose address has none
IN_TEXT = re.compile(r"(?<![0-9])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])|(?:[0-9a-f]{0,4}:){2,}", re.IGNORECASE)


def full_address(address: str) -> str:
    """Return a node's address with its port."""
    return address if ":" in address else f"{address}:{USUAL_PORT}"


def has_ip(text: str) -> bool:
    """Return whether the text may contain an IP address."""
    return IN_TEXT.search(text) is not None


DAMAGED = "\ufffd"
"""Stands for what is no text. A row whose name has it is left out: it would be another's name."""

ESCAPES = re.compile(  # one by one, so that an escaped backslash begins no escape; pairs before halves
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)
HALF = 6  # bytes of an escape that is half of a pair
FIRST_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")


def mend_text(data: bytes) -> bytes:
    """Return the JSON with DAMAGED instead of half surrogates and invalid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode(errors="replace").encode()
    return ESCAPES.sub(_whole_escape, data) if b"\\u" in data else data


def _whole_escape(match: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(match[0]) == HALF else match[0]


def is_damaged(text: object) -> bool:
    return isinstance(text, str) and DAMAGED in text


def brief(value: object) -> str:
    """Return a value for an error text; lists and objects only by type, as they may be nested deeply."""
    return str(value)[:200] if isinstance(value, str | int | float) else type(value).__name__


def whole(value: object, what: str, low: int = 0, high: int = MAX_HEIGHT) -> int:
    """Return a JSON integer between two bounds; `true` and `1.0` are invalid."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{what} is not a whole number from {low} to {high}")
    return value


def amount(value: object, what: str, high: float) -> float:
    """Return a JSON number from 0 to a bound beyond which it is absurd; text and `true` are invalid."""
    if (type(value) is float or type(value) is int) and 0 <= value <= high:
        return value
    raise ValueError(f"{what} is not a number from 0 to {high:g}")


def count(value: object, what: str, high: int = MAX_HEIGHT) -> int:
    """Return a whole number from 0, also from digits as text or 7.0."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}(\.0+)?", value.strip(), re.ASCII):
        value = float(value) if "." in value else int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return whole(value, what, 0, high)


def satoshi(value: object) -> int:
    """Return an amount from digits or an integer; absent means 0 (docs/upstream.md#blockbook)."""
    if value is None:
        return 0
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_SAT:
        raise ValueError("an amount is not a whole number of satoshi")
    return value


def instant(value: object, what: str) -> datetime:
    """Return an instant from unix seconds."""
    return datetime.fromtimestamp(whole(value, what, 1, MAX_TIME), UTC)


def or_none(read: Callable[..., T], *args: object) -> T | None:
    """Return the result of a reader of this module, None if the value is wrong."""
    try:
        return read(*args)
    except ValueError:
        return None


def block_hash(value: object) -> str:
    """Return a block's hash, "" if absent."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not is_hash(value):
        raise ValueError("a block hash is not 64 hex digits")
    return value
