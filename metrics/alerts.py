"""What is an alert about the sources of the metrics (ops.alerts.services)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fluxtracker import formatting
from metrics.models import Source
from metrics.selectors import OLD, Latest, SourceView
from ops.alerts.records import Trouble
from ops.alerts.services import installed_at
from ops.registry import alert_rule


@alert_rule
def of_sources(now: datetime) -> Iterator[Trouble]:
    """Each source whose values are over 2 hours old, or that was asked and never read since the installation."""
    for view in Latest.load(now).sources.values():
        if view.tried_at is not None and view.is_old(now) and (view.read_at or now - installed_at(now) > OLD):
            yield Trouble(f"source:{view.name}", _sentence(view, now))


def _sentence(view: SourceView, now: datetime) -> str:
    label = Source.Name(view.name).label
    last = f"last read {formatting.ago(view.read_at, now)}" if view.read_at else "never read"
    return f"{label[0].upper()}{label[1:]}: {last}: {view.error or 'no collection has succeeded since'}."
