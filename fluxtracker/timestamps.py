"""Write instants and read days for API, commands and pages, without Django."""

from __future__ import annotations

import re
from datetime import date, datetime

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def iso(moment: datetime | None) -> str | None:
    """Return a UTC instant to the second: `2026-11-20T14:00:00Z`."""
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def unix_s(moment: datetime) -> int:
    """Return whole seconds since 1970."""
    return int(moment.timestamp())


def unix_ms(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def parse_day(text: str) -> date | None:
    """Return the day written as YYYY-MM-DD, None for anything else."""
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def parse_instant(text: str | None) -> datetime | None:
    """Return an instant written by `iso`."""
    return None if text is None else datetime.fromisoformat(text)
