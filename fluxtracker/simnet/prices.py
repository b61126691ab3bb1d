"""A price for every day and instant: a slow wave between about 0.07 and 0.20 US dollars, with noise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import cos, pi

from fluxtracker.simnet.history import digest

EPOCH = date(2020, 9, 1)
LISTED_ON_BINANCE = date(2021, 12, 10)
HIGH = 1870  # days from the epoch to a high; the low in autumn 2026 is a year later
LIVE_STEP = 600  # seconds between two changes of the live price


def price_on(seed: int, day: date) -> float:
    """The price at 00:00 UTC of a day."""
    number = (day - EPOCH).days
    wave = 0.133 + 0.058 * cos(2 * pi * (number - HIGH) / 730) + 0.005 * cos(2 * pi * number / 47)
    return round(wave * (1 + 0.03 * _noise(seed, number)), 12)


def live(seed: int, seconds: float) -> float:
    """The price at an instant: on the way to the next midnight, changing every ten minutes."""
    now = datetime.fromtimestamp(seconds, UTC)
    share = (now.hour * 3600 + now.minute * 60) / 86_400
    today, tomorrow = price_on(seed, now.date()), price_on(seed, now.date() + timedelta(days=1))
    drift = 0.004 * _noise(seed, f"live{int(seconds) // LIVE_STEP}")
    return round((today + (tomorrow - today) * share) * (1 + drift), 12)


def close_on(seed: int, day: date) -> float:
    """The last price of a day, which is the next day's first."""
    return price_on(seed, day + timedelta(days=1))


def _noise(seed: int, name: object) -> float:
    """From -1 to 1."""
    return int(digest(seed, "price", name)[:8], 16) / 0x7FFFFFFF - 1
