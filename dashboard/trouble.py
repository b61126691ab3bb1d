"""What is wrong with a source, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard import reasons
from dashboard.definitions import SENTENCES
from fluxtracker import figures
from metrics.latest import Latest, SourceView

NEVER = "not read yet"


def trouble(view: SourceView) -> str:
    """Empty when the source is in order."""
    name = SENTENCES[view.name]
    if view.status == "ok":
        return ""
    if view.read_at is None:
        tried = f"; the source {reasons.once(view.error)} at {_at(view)}" if view.error else ""
        return f"{name}: {NEVER}{tried}."
    since = figures.moment(view.read_at)
    if view.error:
        return f"{name}: the source {reasons.since(view.error)} since {since}; what is shown is from then."
    return f"{name}: not read since {since}; what is shown is from then."


def troubles(names: Iterable[str], latest: Latest) -> tuple[str, ...]:
    """Of several sources, those that have any."""
    return tuple(filter(None, (trouble(latest.sources[name]) for name in names)))


def _at(view: SourceView) -> str:
    return figures.moment(view.tried_at) if view.tried_at else "an unknown time"
