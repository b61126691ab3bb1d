"""What all nodes together have, and what apps take of it (upstream.md 4.1 to 4.3).

A node that is out of reach or whose benchmark runs right now has not gone: what was last known of it, at most
24 hours old, stands in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from typing import Any

from fluxtracker.upstream.stats import Capacities
from fluxtracker.upstream.stats_rows import Capacity, Resources
from metrics.memory import KEEPS
from metrics.readout import Readout

Remembered = dict[str, list[float]]
"""By collateral: unix seconds, then cores, GB of memory and of storage, then the same three in use."""


@dataclass(frozen=True, slots=True)
class CloudReadout(Readout):
    """`remembered`: what the next collection may need of the nodes."""

    remembered: Remembered


@dataclass(frozen=True, slots=True)
class Known:
    """What stands for one node in the totals."""

    capacity: Resources
    used: Resources


def measure_cloud(found: Capacities, remembered: Mapping[str, Any], now: datetime) -> CloudReadout:
    """The sums over the nodes that are known, and how many those are."""
    oldest = (now - KEEPS).timestamp()
    fresh = [node for node in found.nodes if node.capacity and node.used]
    kept = {key: row for key, row in remembered.items() if row[0] >= oldest}
    known = [Known(node.capacity, node.used) for node in fresh if node.capacity and node.used]
    missing: Counter[str] = Counter()
    for node in found.nodes:
        if node.capacity is None:
            stand_in = _stand_in(node, kept)
            if stand_in:
                known.append(stand_in)
            else:
                missing["unreachable" if node.unreachable else "benchmarking"] += 1
    coverage = {
        "rows": found.rows,
        "counted": len(fresh),
        "remembered": len(known) - len(fresh),
        "notCounted": {
            "unreachable": missing["unreachable"],
            "benchmarking": missing["benchmarking"],
            "unusable": found.unusable,
        },
    }
    news = {node.collateral: _row(node, now) for node in fresh if node.collateral}
    return CloudReadout(_sums(known), coverage, len(known), kept | news)


def _stand_in(node: Capacity, kept: Mapping[str, list[float]]) -> Known | None:
    """What is known of a node that tells no capacity now; what its apps take is its own word where it says so."""
    row = kept.get(node.collateral or "")
    if row is None:
        return None
    return Known(Resources(*row[1:4]), node.used or Resources(*row[4:7]))


def _row(node: Capacity, now: datetime) -> list[float]:
    parts = [part for part in (node.capacity, node.used) if part]
    return [int(now.timestamp()), *(number for part in parts for number in (part.cores, part.ram_gb, part.storage_gb))]


def _sums(known: list[Known]) -> dict[str, float]:
    sums = _of("total", [node.capacity for node in known]) | _of("used", [node.used for node in known])
    return {key: round(value, 2) for key, value in sums.items()}


def _of(word: str, parts: Iterable[Resources]) -> dict[str, float]:
    parts = list(parts)
    return {
        f"{word}_cpu_cores": fsum(part.cores for part in parts),
        f"{word}_ram_gb": fsum(part.ram_gb for part in parts),
        f"{word}_storage_gb": fsum(part.storage_gb for part in parts),
    }
