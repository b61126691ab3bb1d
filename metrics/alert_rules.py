"""Raise alerts about the sources of the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fluxtracker.periods import is_fresh
from metrics.selectors import CENSUS_LATE, OLD, Latest, census_sources
from metrics.status import source_status
from ops.alert_rules import installed_at
from ops.registry import alert_rule
from ops.status import Status


@alert_rule
def of_sources(now: datetime) -> Iterator[Status]:
    """Yield each source with values over 2 hours old, or asked but never read since the installation."""
    for view in Latest.load(now).sources.values():
        if view.tried_at is not None and view.is_old(now) and (view.read_at or now - installed_at(now) > OLD):
            yield source_status(view)


@alert_rule
def of_the_census(now: datetime) -> Iterator[Status]:
    """Yield each census source that missed three in a row: unrecorded data is lost."""
    for view in census_sources(now).values():
        is_old = view.tried_at is not None and not is_fresh(view.read_at, now, CENSUS_LATE)
        if is_old and (view.read_at or now - installed_at(now) > CENSUS_LATE):
            yield source_status(view)
