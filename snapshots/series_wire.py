"""Series as the API writes them: one list of days, and for each metric a list of as many values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ops.health import iso
from snapshots.buckets import Span
from snapshots.choices import Choice, Kind
from snapshots.series import LEDGER, TAKEN, UNKNOWN, Chart, Line, Series

PLAIN = (LEDGER, TAKEN, UNKNOWN)


def chart(found: Chart) -> dict[str, Any]:
    wanted = found.wanted
    return {
        "start": wanted.first.isoformat(),
        "end": wanted.last.isoformat(),
        "bucket": wanted.bucket.value,
        "cumulative": wanted.cumulative,
        "count": len(found.spans),
        "dates": _starts(found.spans),
        "ends": [span.last.isoformat() for span in found.spans],
        "previous": found.before
        and {
            "start": found.before[0].first.isoformat(),
            "end": found.before[-1].last.isoformat(),
            "dates": _starts(found.before),
        },
        "completed_at": iso(found.completed_at),
        "series": [_series(series, found) for series in found.series],
    }


def choice(metric: Choice) -> dict[str, Any]:
    return {
        "key": metric.key,
        "label": metric.label,
        "unit": metric.unit,
        "category": metric.category.value,
        "additive": metric.kind == Kind.SUM,
    }


def marks(line: Line, spans: Sequence[Span]) -> Iterator[tuple[str, Span, Span]]:
    """Where values come from that are neither taken on their day nor the ledger's: runs of spans."""
    for source, run in groupby(range(len(spans)), key=line.sources.__getitem__):
        numbers = list(run)
        if source not in PLAIN:
            yield source, spans[numbers[0]], spans[numbers[-1]]


def _series(series: Series, found: Chart) -> dict[str, Any]:
    live = series.live
    return (
        choice(series.choice)
        | _line(series.line, found.spans)
        | {
            "live": live and {"read_at": iso(live.read_at), "stale": live.stale},
            "ghost": _line(series.ghost, found.before) if series.ghost and found.before else None,
        }
    )


def _line(line: Line, spans: Sequence[Span]) -> dict[str, Any]:
    return {
        "points": line.points,
        "partial": [spans[number].first.isoformat() for number in line.partial],
        "marks": [
            {"source": source, "start": first.first.isoformat(), "end": last.last.isoformat()}
            for source, first, last in marks(line, spans)
        ],
    }


def _starts(spans: Sequence[Span]) -> list[str]:
    return [span.first.isoformat() for span in spans]
