"""Show the range of all panels, with links to others and a field for any."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import QueryDict

from dashboard.panels import periods
from dashboard.panels.base import Panel
from dashboard.panels.periods import OWN, RANGE
from fluxtracker.ranges import WrongRange, read_range

OFFERED = {
    "today": "Today",
    "yesterday": "Yesterday",
    "this_week": "This week",
    "last_week": "Last week",
    "this_month": "This month",
    "last_month": "Last month",
    "this_quarter": "This quarter",
    "last_quarter": "Last quarter",
    "this_year": "This year",
    "last_year": "Last year",
    "last_7d": "7 days",
    "last_30d": "30 days",
    "last_12m": "12 months",
    "last_24m": "24 months",
}


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read the query's range. `wrong` says what is allowed if it is invalid."""
    text, selected, wrong = query.get(RANGE, "").strip(), None, ""
    try:
        selected = read_range(text, now.date()) if text else None
    except WrongRange as error:
        wrong = f"{str(error).capitalize()}."
    kept = [(key, str(value)) for key, value in query.items() if key not in (RANGE, *OWN)]
    return {
        "range": selected,
        "words": selected and (selected.name or periods.name(selected.period, now)),
        "days": selected and periods.between(selected.first, selected.last, now),
        "typed": text,
        "wrong": wrong,
        "offered": OFFERED.items(),
        "kept": kept,
        "own": OWN,
    }


def stamp(query: QueryDict, now: datetime) -> object:
    return now.date()


RANGES = Panel("range", "Range", "panels/range/panel.html", read, stamp, keys=(RANGE,))
