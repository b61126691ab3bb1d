"""Decide which answers replace a source's last good values, and what the next collection keeps."""

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
    """Values by metric, how much of the answer they rest on, and its size to compare with the next one."""

    values: Mapping[str, Number]
    coverage: dict[str, Any]
    size: int


class Refused(Exception):
    """An answer that is not accepted."""


MOST_PERCENT = 15  # allowed change of a number from one reading to the next
FEW = 50
MOST_NODES = 7  # the same for a small network: 15 percent of 50 nodes
SIZE, CONTAINERS = "rows", "total_apps"
KEPT = "nodes_kept"  # nodes of the last good list that remain
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
COMPARED = (*TOTALS, *IN_USE, *TIERS, KEPT)
LABELS = {metric.key: metric.label for metric in FIXED} | {SIZE: "Rows", KEPT: "Nodes that are still there"}

Compared = Mapping[str, Number]


def compared(values: Mapping[str, Number | None], size: int | None) -> dict[str, Number]:
    """Return the known numbers, with the number of rows, to compare with another answer's."""
    numbers = {key: values.get(key) for key in COMPARED} | {SIZE: size}
    return {key: number for key, number in numbers.items() if number is not None}


def collapse(before: Compared, after: Compared) -> str | None:
    """Return how an answer looks broken: less than half of before, none of a tier, or no number.

    No absolute limits, as a small network is valid too. A tier of a few nodes may lose them all at once.
    """
    if lost := [key for key in (*TOTALS, *IN_USE) if key in before and key not in after]:
        return f"{LABELS[lost[0]]}: no node reports it, or none in its unit"
    for key, last, number in _pairs(before, after):
        if key not in TIERS and number * 2 < last:
            return f"{LABELS[key]}: {number}, fewer than half of the last {last}"
        if key in TIERS and last > MOST_NODES and not number:
            return f"{LABELS[key]}: none left of {last}"
    return None


def change(before: Compared, after: Compared) -> str | None:
    """Return which number has changed by more than 15 percent and by more than 7 nodes' worth.

    Small numbers of containers or apps may change at once, as a single app has several.
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
    """Return for each reading whether the one before or after it is similar."""
    same = [change(first, second) is None for first, second in pairwise(readings)]
    return [before or after for before, after in zip([False, *same], [*same, False], strict=True)][: len(readings)]


def _pairs(before: Compared, after: Compared) -> Iterator[tuple[str, Number, Number]]:
    """Yield numbers that may have collapsed or changed too much; use may vary."""
    return ((key, before[key], number) for key, number in after.items() if key in before and key not in IN_USE)


log = structlog.get_logger(__name__)

Outcome = Literal["ok", "stale", "failed"]
A = TypeVar("A")
R = TypeVar("R", bound=Readout)

DOUBTED_FOR = timedelta(hours=1)  # then a collapse is accepted: a real one must not stay hidden
FIELDS = ("tried_at", "read_at", "failures", "error", "values", "coverage", "size", "implausible_since", "doubted")


@dataclass(slots=True)
class Sources:
    """The rows of all sources while a collection settles them, one after the other."""

    rows: Mapping[str, Source]
    now: datetime
    read: dict[str, Number] = field(default_factory=dict)
    """The values read now, including percentages."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    """Sources that answered but are still doubted."""

    @classmethod
    def load(cls, now: datetime, names: Sequence[str] = tuple(Source.Name.values)) -> Self:
        rows = Source.objects.in_bulk(names)
        return cls({name: rows.get(name) or Source(name=name) for name in names}, now)

    def settle(self, name: str, answer: Future[A], read: Callable[[A], R]) -> R | None:
        """Store and return what `read` makes of the answer, or return None and keep the last values if in doubt."""
        row = self.rows[name]
        try:
            readout = read(answer.result())
        except (UpstreamError, Refused) as error:
            row.failures += 1
            self._keep(row, one_line(error))
            return None
        if reason := self._doubt(row, readout):
            self.doubted.add(name)
            self._keep(row, reason)
            return None
        self._take(row, readout)
        return readout

    def _keep(self, row: Source, reason: str) -> None:
        """Note why nothing was stored. The last good values stay."""
        row.tried_at, row.error = self.now, reason
        self.outcomes[row.name] = "stale" if row.read_at else "failed"
        self.errors[row.name] = reason
        log.warning("source_failed", metrics_source=row.name, error=reason, failures=row.failures)

    def save(self) -> None:
        """Store all rows in one statement, in order of name, as snapshots.take locks them."""
        rows = sorted(self.rows.values(), key=lambda row: row.name)
        Source.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=FIELDS)

    def _take(self, row: Source, readout: Readout) -> None:
        known = {key: value for key, value in with_ratios(readout.values).items() if value is not None}
        row.values, row.coverage, row.size = known, readout.coverage, readout.size
        row.read_at = row.tried_at = self.now
        row.failures, row.error, row.implausible_since, row.doubted = 0, "", None, None
        self.outcomes[row.name] = "ok"
        self.read |= known

    def _doubt(self, row: Source, readout: Readout) -> str | None:
        """Return why an answer is doubted: it differs from the last good one and is not confirmed yet.

        A similar next answer confirms it, but a loss of more than half not within an hour.
        """
        before, now = compared(row.values or {}, row.size), compared(readout.values, readout.size)
        collapsed = collapse(before, now)
        reason = collapsed or change(before, now)
        if reason is None:
            return None
        earlier = row.doubted if row.implausible_since else None
        confirmed = earlier is not None and change(earlier, now) is None
        if collapsed and earlier is not None and not collapse(before, earlier):
            row.implausible_since = None  # its hour starts now, not with another doubt
        row.implausible_since, row.doubted = row.implausible_since or self.now, now
        if confirmed and (not collapsed or self.now - row.implausible_since >= DOUBTED_FOR):
            return None
        how = "it stays so for an hour" if collapsed else "the next reading confirms it"
        return f"implausible: {reason}; accepted if {how}"


NODES, SPECS = "nodes", "specs"
KEEPS = timedelta(hours=24)


def recall(name: str, now: datetime, keeps: timedelta | None = KEEPS) -> tuple[Any, datetime] | None:
    """Return the remembered state and its time, None if missing or too old."""
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
