"""How the sources of the metrics stand, for `/api/health`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from fluxtracker import figures
from metrics.latest import Latest, SourceView
from metrics.models import Source
from ops.health import iso


def sources_report(now: datetime) -> dict[str, dict[str, Any]]:
    """By source: its status, when its values were read, their age in seconds and the last error. Two queries."""
    return {name: _report(view, now) for name, view in Latest.load(now).sources.items()}


def problems(now: datetime) -> list[str]:
    """What is wrong with the sources, in sentences. One that was never asked is no trouble yet. Two queries."""
    return list(_problems(Latest.load(now).sources.values(), now))


def _report(view: SourceView, now: datetime) -> dict[str, Any]:
    age = None if view.read_at is None else max(int((now - view.read_at).total_seconds()), 0)
    return {"status": view.status, "asOf": iso(view.read_at), "ageSeconds": age, "error": view.error}


def _problems(views: Iterable[SourceView], now: datetime) -> Iterator[str]:
    for view in views:
        name = Source.Name(view.name).label
        name = name[0].upper() + name[1:]
        if view.status == "stale" and view.read_at:
            reason = view.error or "no collection has succeeded since"
            yield f"{name}: last read {figures.ago(view.read_at, now)}: {reason}."
        elif view.status == "failed":
            yield f"{name}: never read: {view.error or 'no reason was noted'}."
