"""How the sources of the metrics stand, for `/api/health`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from fluxtracker import figures
from metrics.latest import Latest, SourceView
from metrics.models import Source
from ops.health import iso

Report = dict[str, Any]


def sources_report(now: datetime) -> dict[str, Report]:
    """By source: its status, when its values were read, their age in seconds and the last error. Two queries."""
    return {name: _report(view, now) for name, view in Latest.load(now).sources.items()}


def problems(sources: Mapping[str, Report], now: datetime) -> Iterator[str]:
    """What such a report says is wrong, in sentences. A source that was never asked is no trouble yet."""
    for key, source in sources.items():
        name = Source.Name(key).label
        name = name[0].upper() + name[1:]
        if source["status"] == "stale" and source["asOf"]:
            read_at = now - timedelta(seconds=source["ageSeconds"])
            reason = source["error"] or "no collection has succeeded since"
            yield f"{name}: last read {figures.ago(read_at, now)}: {reason}."
        elif source["status"] == "failed":
            yield f"{name}: never read: {source['error'] or 'no reason was noted'}."


def _report(view: SourceView, now: datetime) -> Report:
    age = None if view.read_at is None else max(int((now - view.read_at).total_seconds()), 0)
    return {"status": view.status, "asOf": iso(view.read_at), "ageSeconds": age, "error": view.error}
