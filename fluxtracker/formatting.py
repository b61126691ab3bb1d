"""Format figures, and clean untrusted text for databases and terminals. Callers handle unknown."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

MINUS = "\N{MINUS SIGN}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
ARROWS = {"up": "\N{BLACK UP-POINTING TRIANGLE}", "down": "\N{BLACK DOWN-POINTING TRIANGLE}", "neutral": "="}
SIZES = ("GB", "TB", "PB", "EB")
CENT_MICRO = 10_000  # micro-dollars


def whole(number: int) -> str:
    """Return a count with thousands commas."""
    return _signed(f"{number:,}")


def flux(sat: int, places: int = 2) -> str:
    """Return FLUX from satoshi, with `places` decimals."""
    amount = Decimal(sat).scaleb(-8).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return _signed(f"{amount:,f}")


def usd(micro: int) -> str:
    """Return dollars from micro-dollars. An amount above 0 is not shown as 0."""
    if 0 < micro < CENT_MICRO // 2:
        return "< $0.01"
    amount = Decimal(abs(micro)).scaleb(-6).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return f"{MINUS if micro < 0 else ''}${amount:,f}"


def price(value: Decimal) -> str:
    """Return a price in dollars with 4 significant digits, without exponent."""
    digits = value.normalize().adjusted()
    places = max(2, 3 - digits)
    return f"${value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"


def span(length: timedelta) -> str:
    """Return a duration: `41 s`, `3 min`, `2 h`, `4 days`."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        return f"{seconds // 3600} h"
    return plural(seconds // 86_400, "day")


def ago(then: datetime, now: datetime) -> str:
    """Return the age of an instant or, from one day on, its date (UTC)."""
    if now - then >= timedelta(days=1):
        return f"on {day(then)}"
    return f"{span(now - then)} ago"


def day(when: date) -> str:
    """Return the UTC day of an instant, or a day: `14 Nov 2026`."""
    utc = when.astimezone(UTC) if isinstance(when, datetime) else when
    return f"{utc.day} {utc:%b %Y}"


def moment(instant: datetime) -> str:
    """Return a minute: `14 Nov, 09:10 UTC`."""
    utc = instant.astimezone(UTC)
    return f"{utc.day} {utc:%b, %H:%M} UTC"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: `1 payment`, `1,204 payments`."""
    return f"{whole(number)} {noun if number == 1 else nouns or noun + 's'}"


def short(text: str, head: int = 8, tail: int = 6) -> str:
    """Return start and end of a long identifier."""
    return text if len(text) <= head + tail + 1 else f"{text[:head]}{ELLIPSIS}{text[-tail:]}"


def count(number: float) -> str:
    """Return a count that may be fractional, such as cores, with commas and a decimal only if needed."""
    return whole(int(number)) if float(number).is_integer() else _signed(f"{number:,.1f}")


def size(gb: float) -> str:
    """Return a size in the largest unit with a value of at least 1: `182.0 TB`, `3.19 PB`."""
    value, unit = abs(gb), 0
    while value >= 1000 and unit < len(SIZES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{MINUS if gb < 0 else ''}{value:,.{1 if value >= 9.995 else 2}f} {SIZES[unit]}"


def percent(value: float, places: int = 1) -> str:
    return _signed(f"{value:,.{places}f} %")


def coins(value: float, places: int = 2) -> str:
    """Return FLUX from a number, as in the API."""
    return _signed(f"{value:,.{places}f}")


def dollars(value: float) -> str:
    """Return dollars from a number, as in the API."""
    return usd(round(Decimal(str(value)) * 1_000_000))


def plus(text: str) -> str:
    """Return a difference with its sign, plus for 0."""
    return text if text.startswith(MINUS) else f"+{text}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def printable(text: str) -> str:
    """Return the text with a space instead of each unprintable character."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " for letter in text)


def escaped(text: str) -> str:
    """Return the text with unprintable characters escaped, as in `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def storable(value: Any) -> Any:
    """Return the value for a JSON column: printable text, finite numbers or None, everything else as text."""
    if isinstance(value, dict):
        return {printable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else printable(str(value))
