"""What all nodes together have, and what apps take of it (docs/upstream.md#statistics).

Capacity and use are the two halves of a node, and each number counts by itself. A number that a node does not tell,
because it is out of reach, its benchmark runs right now or what it tells is none, has not gone: what was last known
of that half, at most 24 hours old, stands in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from typing import Any

from fluxtracker.upstream.stats import Capacities
from fluxtracker.upstream.stats_rows import UNKNOWN, Capacity, Resources
from metrics.catalogue import Number
from metrics.memory import KEEPS
from metrics.readout import Readout

Remembered = dict[str, list[float]]
"""By collateral: unix seconds of its capacity, then cores, GB of memory and of storage, the same three in use, and
unix seconds of these. Rows of earlier releases lack the last."""

CAPACITY, USED = slice(1, 4), slice(4, 7)

NUMBERS = ("cpu_cores", "ram_gb", "storage_gb")
REASONS = ("unreachable", "benchmarking", "unusable")
STATES = (*REASONS, "remembered", "counted")


@dataclass(frozen=True, slots=True)
class CloudReadout(Readout):
    """`remembered`: what the next collection may need of the nodes."""

    remembered: Remembered


class Half:
    """One half of all nodes, capacity or use, as it is added up."""

    def __init__(self, word: str) -> None:
        self.columns: dict[str, list[float]] = {f"{word}_{key}": [] for key in NUMBERS}
        self.states: list[str] = []
        """Of each node: counted, remembered, or why one of its numbers is not known."""

    def add(self, told: Resources, kept: Resources, *, unreachable: bool) -> bool:
        """Count a node, by what is remembered where it does not tell. Return whether anything of it is known."""
        known = told.completed(kept)
        for column, number in zip(self.columns.values(), known.numbers, strict=True):
            if number is not None:
                column.append(number)
        if known.is_whole:
            self.states.append("counted" if known is told else "remembered")
        else:
            self.states.append("unreachable" if unreachable else "unusable" if told.unusable else "benchmarking")
        return not known.is_empty

    def sums(self) -> dict[str, Number]:
        """Return the sum of each number; one that no node tells is not known."""
        return {key: round(fsum(column), 2) for key, column in self.columns.items() if column}

    def coverage(self, no_nodes: int) -> dict[str, Any]:
        """Return how many nodes count, and how many each sum rests on."""
        behind = {name: len(column) for name, column in zip(NUMBERS, self.columns.values(), strict=True)}
        return _coverage(self.states, no_nodes) | behind


def measure_cloud(found: Capacities, remembered: Mapping[str, Any], now: datetime) -> CloudReadout:
    """Return the sums over the nodes that are known, and how many those are."""
    oldest, size = (now - KEEPS).timestamp(), 0
    kept = {key: row for key, row in remembered.items() if max(row[0], _used_at(row)) >= oldest}
    capacity, used = Half("total"), Half("used")
    for node in found.nodes:
        row = kept.get(node.collateral or "")
        is_known = capacity.add(node.capacity, _recalled(row, oldest, CAPACITY), unreachable=node.unreachable)
        used.add(node.used, _recalled(row, oldest, USED), unreachable=node.unreachable)
        size += is_known and not node.capacity.is_garbage
    coverage = {
        "rows": found.rows,
        "repeated": found.repeated,
        **_coverage(map(_worse, capacity.states, used.states), found.unusable),
        "capacity": capacity.coverage(found.unusable),
        "used": used.coverage(found.unusable),
    }
    return CloudReadout(capacity.sums() | used.sums(), coverage, size, kept | _news(found.nodes, kept, now))


def _recalled(row: Sequence[float] | None, oldest: float, half: slice) -> Resources:
    """Return what is remembered of one half of a node, where it is not too old."""
    if row is None or (row[0] if half == CAPACITY else _used_at(row)) < oldest:
        return UNKNOWN
    cores, ram_gb, storage_gb = row[half]
    return Resources(cores, ram_gb, storage_gb)


def _used_at(row: Sequence[float]) -> float:
    return row[7 if len(row) > 7 else 0]


def _news(nodes: Iterable[Capacity], kept: Mapping[str, Sequence[float]], now: datetime) -> Remembered:
    """Return what is to be remembered of the nodes that told a whole half."""
    at, news = int(now.timestamp()), {}
    for node in nodes:
        if not node.collateral or not (node.capacity.is_whole or node.used.is_whole):
            continue
        old = kept.get(node.collateral) or [0] * 8
        capacity = [at, *node.capacity.numbers] if node.capacity.is_whole else old[:4]
        used = [*node.used.numbers, at] if node.used.is_whole else [*old[USED], _used_at(old)]
        news[node.collateral] = [*capacity, *used]
    return news


def _worse(capacity: str, used: str) -> str:
    """Return the state of a node by those of its halves: that of the one of which less is known."""
    return capacity if capacity == used else next(state for state in STATES if state in (capacity, used))


def _coverage(states: Iterable[str], no_nodes: int) -> dict[str, Any]:
    """Return how many nodes count; rows that are no node are unusable."""
    many = Counter(states) + Counter(unusable=no_nodes)
    return {
        "counted": many["counted"],
        "remembered": many["remembered"],
        "notCounted": {reason: many[reason] for reason in REASONS},
    }
