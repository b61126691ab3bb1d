"""What is wrong with a source, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard.definitions import SENTENCES
from fluxtracker import figures
from metrics.latest import Latest, SourceView

NEVER = "not read yet"


def trouble(view: SourceView) -> str:
    """Empty when the source is in order."""
    name = SENTENCES[view.name]
    match view.status:
        case "ok":
            return ""
        case "never":
            return f"{name}: {NEVER}."
        case "failed":
            return f"{name}: {NEVER}; the try at {_at(view)} failed: {_error(view)}"
    read_at = f"value from {figures.moment(view.read_at)}" if view.read_at else NEVER
    if view.error:
        return f"{name}: the source failed at {_at(view)}, {read_at}: {_error(view)}"
    return f"{name}: not read for over half an hour, {read_at}."


def troubles(names: Iterable[str], latest: Latest) -> tuple[str, ...]:
    """Of several sources, those that have any."""
    return tuple(filter(None, (trouble(latest.sources[name]) for name in names)))


def _at(view: SourceView) -> str:
    return figures.moment(view.tried_at) if view.tried_at else "an unknown time"


def _error(view: SourceView) -> str:
    return f"{(view.error or 'no reason told').rstrip('.')}."
