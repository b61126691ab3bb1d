"""What is an alert about the sources of the metrics (ops.alert_rules)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fluxtracker import figures
from metrics.latest import OLD, Latest, SourceView
from metrics.models import Source
from ops.alert_rules import installed_at
from ops.alerts import Trouble


def troubles(now: datetime) -> Iterator[Trouble]:
    """Each source whose values are over 2 hours old, or that was asked and never read since the installation."""
    for view in Latest.load(now).sources.values():
        if view.tried_at is not None and view.is_old(now) and (view.read_at or now - installed_at(now) > OLD):
            yield Trouble(f"source:{view.name}", _sentence(view, now))


def _sentence(view: SourceView, now: datetime) -> str:
    label = Source.Name(view.name).label
    last = f"last read {figures.ago(view.read_at, now)}" if view.read_at else "never read"
    return f"{label[0].upper()}{label[1:]}: {last}: {view.error or 'no collection has succeeded since'}."
