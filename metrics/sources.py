"""Decide which answers replace a source's last good values, and what carries over to the next collection."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, Self, TypeVar

import orjson
import structlog

from fluxtracker.upstream.http.errors import UpstreamError
from metrics.metric_keys import FIXED, IN_USE, TOTALS, Number, with_ratios
from metrics.models import Memory, Source
from ops.jobs.runs import one_line


@dataclass(frozen=True, slots=True)
class Readout:
    """Values by metric, how much of the answer they rest on, and its size to hold against the next one."""

    values: Mapping[str, Number]
    coverage: dict[str, Any]
    size: int


class Refused(Exception):
    """An answer that came and is not believed."""


MOST_PERCENT = 15  # by which a number may change from one reading to the next
FEW = 50
MOST_NODES = 7  # the same for a network of few nodes: what 15 percent of 50 are
SIZE, CONTAINERS = "rows", "total_apps"
KEPT = "nodes_kept"  # nodes of the last good list that are still there
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
COMPARED = (*TOTALS, *IN_USE, *TIERS, KEPT)
LABELS = {metric.key: metric.label for metric in FIXED} | {SIZE: "Rows", KEPT: "Nodes that are still there"}

Compared = Mapping[str, Number]


def compared(values: Mapping[str, Number | None], size: int | None) -> dict[str, Number]:
    """Return what is held against the same of another answer: the numbers that are known, and how many rows."""
    found = {key: values.get(key) for key in COMPARED} | {SIZE: size}
    return {key: number for key, number in found.items() if number is not None}


def collapse(before: Compared, after: Compared) -> str | None:
    """Return what looks broken about an answer: fewer than half of what was there, none of a tier, or no number.

    No absolute limits: a small network is one, too. A tier of a few nodes may be without any at once.
    """
    if lost := [key for key in (*TOTALS, *IN_USE) if key in before and key not in after]:
        return f"{LABELS[lost[0]]}: no node reports it, or none in its unit"
    for key, last, number in _pairs(before, after):
        if key not in TIERS and number * 2 < last:
            return f"{LABELS[key]}: {number}, fewer than half of the last {last}"
        if key in TIERS and last > MOST_NODES and not number:
            return f"{LABELS[key]}: none is left of {last}"
    return None


def change(before: Compared, after: Compared) -> str | None:
    """Return which number has changed by more than 15 percent, and by more than what 7 nodes come to.

    A few containers or apps may become a few others at once: a single app brings several.
    """
    size = before.get(SIZE)
    for key, last, number in _pairs(before, after):
        if key in (SIZE, CONTAINERS) and max(last, number) < FEW:
            continue
        of_a_node = max(1, last / size) if size else 1
        if abs(number - last) > max(last * MOST_PERCENT / 100, MOST_NODES * of_a_node):
            return f"{LABELS[key]}: {number} instead of {last}"
    return None


def confirmed(readings: Sequence[Compared]) -> list[bool]:
    """Return for each of several readings in a row whether the one before or after it tells about the same."""
    same = [change(first, second) is None for first, second in pairwise(readings)]
    return [before or after for before, after in zip([False, *same], [*same, False], strict=True)][: len(readings)]


def _pairs(before: Compared, after: Compared) -> Iterator[tuple[str, Number, Number]]:
    """Yield what may have collapsed or changed too much; use may rise and fall."""
    return ((key, before[key], number) for key, number in after.items() if key in before and key not in IN_USE)


log = structlog.get_logger(__name__)

Outcome = Literal["ok", "stale", "failed"]
A = TypeVar("A")
R = TypeVar("R", bound=Readout)

DOUBTED_FOR = timedelta(hours=1)  # then a collapse is believed: a real one must not stay hidden
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
    def load(cls, now: datetime, names: Sequence[str] = tuple(Source.Name.values)) -> Self:
        rows = Source.objects.in_bulk(names)
        return cls({name: rows.get(name) or Source(name=name) for name in names}, now)

    def settle(self, name: str, answer: Future[A], read: Callable[[A], R]) -> R | None:
        """Take what `read` makes of the answer; None, and the last good values stay, where it is not believed."""
        row = self.rows[name]
        try:
            found = read(answer.result())
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
        """Store all rows in one statement, in order of name: snapshots.take locks them in the same order."""
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
        if collapsed and earlier is not None and not collapse(before, earlier):
            row.implausible_since = None  # its hour begins with itself, not with another doubt
        row.implausible_since, row.doubted = row.implausible_since or self.now, now
        if confirmed and (not collapsed or self.now - row.implausible_since >= DOUBTED_FOR):
            return None
        how = "it stays so for an hour" if collapsed else "the next reading confirms it"
        return f"implausible: {reason}; believed if {how}"


NODES, SPECS = "nodes", "specs"
KEEPS = timedelta(hours=24)


def recall(name: str, now: datetime, keeps: timedelta | None = KEEPS) -> tuple[Any, datetime] | None:
    """Return what was remembered and when; None when there is nothing, or nothing as new as that."""
    row = Memory.objects.filter(name=name).first()
    if row is None or (keeps and row.updated_at < now - keeps):
        return None
    try:
        return orjson.loads(zlib.decompress(row.data)), row.updated_at
    except (zlib.error, orjson.JSONDecodeError):
        log.warning("memory_damaged", memory=name)
        return None


def remember(name: str, data: object, now: datetime) -> None:
    packed = zlib.compress(orjson.dumps(data), 1)
    Memory.objects.update_or_create(name=name, defaults={"data": packed, "updated_at": now})
