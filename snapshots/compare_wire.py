"""A comparison as the API writes it, and what of it follows the clock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fluxtracker.fresh import is_fresh
from metrics.latest import OLD
from ops.health import iso
from revenue import wire
from revenue.reports import STALE
from snapshots.compare import Before, Comparison
from snapshots.compare_pair import Pair

Answer = dict[str, Any]

CLOUD = ("cpu", "ram", "storage")
GROUPS_SHOWN = ("nodes", "cloud", "apps", "gaming", "crypto", "wordpress")


def answer(found: Comparison, now: datetime) -> Answer:
    """Contract section 4, Comparison, as it is kept; `with_ages` says how old it is by now.

    `partialData`: there is no snapshot. `missing`: the groups that it, or the lack of it, leaves without a past.
    """
    groups = {name: {key: _leaf(key, pair) for key, pair in group.items()} for name, group in found.groups.items()}
    cloud = {name: groups.pop(name) for name in CLOUD}
    partial = found.before.snapshot is None
    return {
        "period": found.span.value,
        "days": found.span.days,
        "currentDate": found.today.isoformat(),
        "comparisonDate": found.before.day.isoformat(),
        "comparisonSource": found.before.snapshot.source if found.before.snapshot else None,
        "partialData": partial,
        "message": _message(found.before) if partial else None,
        "nearestDate": found.before.nearest and found.before.nearest.isoformat(),
        "missing": _missing(found),
        "madeAt": iso(now),
        "asOf": iso(found.read_at),
        **groups,
        "cloud": cloud,
        "revenue": _revenue(found, now),
    }


def _leaf(key: str, pair: Pair) -> Answer:
    leaf: Answer = {
        "current": pair.current,
        "previous": pair.previous,
        "change": pair.change,
        "percentage": pair.percentage,
        "trend": pair.trend,
    }
    return leaf | {"points": pair.points} if key == "utilization" else leaf


def _missing(found: Comparison) -> list[str]:
    """The groups without any previous value: the snapshot is missing, or its source had failed that day."""
    known = {name for name, group in found.groups.items() if any(pair.previous is not None for pair in group.values())}
    if known & set(CLOUD):
        known.add("cloud")
    return [name for name in GROUPS_SHOWN if name not in known]


def _message(before: Before) -> str:
    if before.nearest is None:
        return f"There is no snapshot of {before.day}, and none of any other day yet."
    return f"There is no snapshot of {before.day}; the nearest day that has one is {before.nearest}."


def _revenue(found: Comparison, now: datetime) -> Answer:
    periods = wire.comparison(found.revenue, found.ledger, now)
    del periods["comparison"]  # says what `flux` says
    return periods | {"toDate": wire.to_date(found.to_date)}


def with_ages(answer: Answer, now: datetime) -> Answer:
    """What is old when it is read, not when it was made: an answer is not fresh because it was kept."""
    stale, late = ages(answer, now)
    return answer | {"stale": stale, "revenue": answer["revenue"] | {"stale": late}}


def ages(answer: Answer, now: datetime) -> tuple[bool, bool]:
    """Whether the readings, and whether the ledger, are too old by now."""
    read_at, completed_at = map(_instant, (answer["asOf"], answer["revenue"]["asOf"]))
    return not is_fresh(read_at, now, OLD), not is_fresh(completed_at, now, STALE)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
