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
from metrics.plausibility import change, collapse, compared
from metrics.readout import Readout, Refused
from ops.runs import one_line

log = structlog.get_logger(__name__)

Outcome = Literal["ok", "stale", "failed"]
A = TypeVar("A")
R = TypeVar("R", bound=Readout)

DOUBTED_FOR = timedelta(hours=1)  # then a collapse is believed: a real one must not be hidden for ever
FIELDS = ("tried_at", "read_at", "failures", "error", "values", "coverage", "size", "implausible_since", "doubted")


@dataclass(slots=True)
class Sources:
    """The rows of all sources while a collection settles them, one after the other."""

    rows: Mapping[str, Source]
    now: datetime
    read: dict[str, Number] = field(default_factory=dict)
    """The values that were read now, percentages included."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    """Those that answered and are not believed yet."""

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
        except (UpstreamError, Refused) as error:
            row.failures += 1
            self._keep(row, one_line(error))
            return None
        if reason := self._doubt(row, found):
            self.doubted.add(name)
            self._keep(row, reason)
            return None
        self._take(row, found)
        return found

    def _keep(self, row: Source, reason: str) -> None:
        """Note why nothing was taken. What was last good stays as it is."""
        row.tried_at, row.error = self.now, reason
        self.outcomes[row.name] = "stale" if row.read_at else "failed"
        self.errors[row.name] = reason
        log.warning("source_failed", metrics_source=row.name, error=reason, failures=row.failures)

    def save(self) -> None:
        """One statement, in order of name: whoever takes several of these rows takes them so (snapshots.take)."""
        rows = sorted(self.rows.values(), key=lambda row: row.name)
        Source.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=FIELDS)

    def _take(self, row: Source, found: Readout) -> None:
        known = {key: value for key, value in with_ratios(found.values).items() if value is not None}
        row.values, row.coverage, row.size = known, found.coverage, found.size
        row.read_at = row.tried_at = self.now
        row.failures, row.error, row.implausible_since, row.doubted = 0, "", None, None
        self.outcomes[row.name] = "ok"
        self.read |= known

    def _doubt(self, row: Source, found: Readout) -> str | None:
        """Return why an answer is not believed: it differs from the last good one, and nothing confirms it yet.

        The next answer confirms it by telling about the same; that less than half is left, not within an hour.
        """
        before, now = compared(row.values or {}, row.size), compared(found.values, found.size)
        collapsed = collapse(before, now)
        reason = collapsed or change(before, now)
        if reason is None:
            return None
        earlier = row.doubted if row.implausible_since else None
        confirmed = earlier is not None and change(earlier, now) is None
        row.implausible_since, row.doubted = row.implausible_since or self.now, now
        if confirmed and (not collapsed or self.now - row.implausible_since >= DOUBTED_FOR):
            return None
        how = "it stays so for an hour" if collapsed else "the next reading confirms it"
        return f"implausible: {reason}; believed if {how}"
