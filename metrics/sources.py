"""The last good values of each source: what replaces them and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar

import structlog

from fluxtracker.upstream.errors import UpstreamError
from metrics.catalogue import Number, with_ratios
from metrics.models import Source
from metrics.readout import Readout, Refused
from ops.runs import one_line

log = structlog.get_logger(__name__)

Outcome = Literal["ok", "stale", "failed"]
A = TypeVar("A")
R = TypeVar("R", bound=Readout)

DOUBTED_FOR = timedelta(hours=1)  # then a fall is believed: a real one must not be hidden for ever
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
CONTAINERS = "total_apps"


@dataclass(slots=True)
class Sources:
    """The rows of all sources while a collection settles them, one after the other."""

    rows: Mapping[str, Source]
    now: datetime
    read: dict[str, Number] = field(default_factory=dict)
    """The values that were read now, percentages included."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, now: datetime) -> Self:
        rows = {row.name: row for row in Source.objects.all()}
        return cls({name: rows.get(name) or Source(name=name) for name in Source.Name.values}, now)

    def settle(self, name: str, answer: A | UpstreamError, read: Callable[[A], R]) -> R | None:
        """Take what `read` makes of the answer; None, and the last good values stay, where it is not believed."""
        row = self.rows[name]
        try:
            if isinstance(answer, UpstreamError):
                raise answer
            found = read(answer)
            self._doubt(row, found)
        except (UpstreamError, Refused) as error:
            self.fail(name, one_line(error))
            return None
        self._take(row, found)
        return found

    def fail(self, name: str, reason: str) -> None:
        """Note the failure. What was last good stays as it is."""
        row = self.rows[name]
        row.tried_at, row.error, row.failures = self.now, reason, row.failures + 1
        self.outcomes[row.name] = "stale" if row.read_at else "failed"
        self.errors[row.name] = reason
        log.warning("source_failed", metrics_source=row.name, error=reason, failures=row.failures)

    def save(self) -> None:
        """One statement, in order of name: whoever takes several of these rows takes them so (snapshots.take)."""
        rows = sorted(self.rows.values(), key=lambda row: row.name)
        fields = ["tried_at", "read_at", "failures", "error", "values", "coverage", "size", "implausible_since"]
        Source.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=fields)

    def _take(self, row: Source, found: Readout) -> None:
        known = {key: value for key, value in with_ratios(found.values).items() if value is not None}
        row.values, row.coverage, row.size = known, found.coverage, found.size
        row.read_at = row.tried_at = self.now
        row.failures, row.error, row.implausible_since = 0, "", None
        self.outcomes[row.name] = "ok"
        self.read |= known

    def _doubt(self, row: Source, found: Readout) -> None:
        """Refused for an hour when the answer tells so much less than the last good one that it looks broken."""
        reason = implausible(row, found)
        if reason is None:
            return
        row.implausible_since = row.implausible_since or self.now
        if self.now - row.implausible_since < DOUBTED_FOR:
            raise Refused(f"implausible: {reason}; believed if it stays so for an hour")


def implausible(last: Source, found: Readout) -> str | None:
    """What looks broken about an answer, next to the last good one; None when nothing does.

    No absolute limits: a small network is one, too.
    """
    if last.size and found.size * 2 < last.size:
        return f"{found.size} rows count, fewer than half of the last {last.size}"
    before, after = last.values or {}, found.values
    if CONTAINERS in after and after[CONTAINERS] * 2 < before.get(CONTAINERS, 0):
        return f"{after[CONTAINERS]} containers, fewer than half of the last {before[CONTAINERS]}"
    for tier in TIERS:
        if tier in after and not after[tier] and before.get(tier):
            return f"no {tier.removeprefix('node_')} node is left of {before[tier]}"
    return None
