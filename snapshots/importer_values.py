"""Values of the old tracker's rows as we know them. None: not a value, or not known."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from fluxtracker import money

FIRST_DAY = date(2018, 1, 31)  # of the chain
MILLISECONDS = 100_000_000_000  # from here on a time is no number of seconds any more
MOST_SAT = 560_000_000 * money.SAT  # more than there will ever be
MOST_COUNT = 2**31 - 1
MOST = 10**16  # more than any of theirs
TB = 1_000  # GB
MOST_TB = 10**9  # more is absurd


def number(value: Any) -> float | None:
    """A number that is not negative and not absurd; neither is NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return None
    return value


def count(value: Any) -> int | None:
    """A whole number that is not negative and that a column can hold."""
    found = number(value)
    return int(found) if found is not None and found == int(found) <= MOST_COUNT else None


def gigabytes(value: Any) -> float | None:
    """docs/upstream.md#statistics: the columns that end in `_gb` hold TB."""
    found = number(value)
    return None if found is None or found > MOST_TB else float(Decimal(str(found)) * TB)


def satoshi(value: Any) -> int | None:
    """FLUX as a floating number, to the satoshi; nothing is no payment."""
    found = number(value)
    if found is None or found > MOST_SAT / money.SAT:
        return None
    return int((Decimal(str(found)) * money.SAT).quantize(Decimal(1), ROUND_HALF_EVEN)) or None


def micro_dollars(value: Any) -> int | None:
    """US dollars; 0 is what the old tracker wrote where it had no price."""
    found = number(value)
    if not found or found > 1e12:
        return None
    return int((Decimal(str(found)) * money.MICRO).quantize(Decimal(1), ROUND_HALF_EVEN))


def price(value: Any) -> Decimal | None:
    try:
        return money.price(value)
    except ValueError:
        return None


def day(value: Any, today: date) -> date | None:
    """A UTC day from the chain's first to today."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    return found if FIRST_DAY <= found <= today else None


def instant(value: Any, today: date) -> datetime | None:
    """A time in seconds, or in milliseconds as some old rows have it, to the second."""
    found = number(value)
    if not found:
        return None
    seconds = found / 1000 if found >= MILLISECONDS else found
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment if FIRST_DAY <= moment.date() <= today + timedelta(days=1) else None


def words(value: Any, longest: int) -> str | None:
    """Text that says something."""
    if not isinstance(value, str) or not value.strip() or len(value.strip()) > longest or "\x00" in value:
        return None
    return value.strip()
