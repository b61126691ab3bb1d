"""The network's statistics: what every node is and runs, and how many there were (upstream.md 4).

Each answer says how many rows were left out and why. An answer without one usable row is no answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fluxtracker.upstream import stats_rows
from fluxtracker.upstream.errors import BadAnswer
from fluxtracker.upstream.fluxos import envelope
from fluxtracker.upstream.http import MEDIUM, Http
from fluxtracker.upstream.stats_rows import Benchmark, Capacity, Container, NotUsed
from fluxtracker.upstream.wire import MAX_NODES, WRONG_SHAPE, count

T = TypeVar("T")

BYTES = 48 << 20  # of an answer; all fields of all nodes are 22 MB
LAST_MS = 4_102_444_800_000  # the year 2100

CAPACITY = (
    "tier,error,geolocation.ip,collateralHash,collateralIndex,benchmark.bench.cores,benchmark.bench.ram,"
    "benchmark.bench.ssd,benchmark.bench.status,apps.resources"
)
CONTAINERS = "apps.runningapps.Names,apps.runningapps.Image"
BENCHMARKS = "tier,error,geolocation.ip," + ",".join(f"benchmark.bench.{name}" for name in stats_rows.BENCHED)


@dataclass(frozen=True, slots=True)
class Capacities:
    """What the nodes have and what their apps take."""

    nodes: tuple[Capacity, ...]
    rows: int
    unusable: int
    """Rows with missing, negative or absurd numbers, and with what is no number."""


@dataclass(frozen=True, slots=True)
class Containers:
    """What runs on the nodes. `nodes`: rows that tell a list of containers, also an empty one."""

    containers: tuple[Container, ...]
    rows: int
    nodes: int
    left_out: int
    """Containers that tell neither a name nor an image."""


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The last benchmark of every node that has one, and how many rows were left out by why."""

    nodes: tuple[Benchmark, ...]
    rows: int
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class NodePoint:
    """How many nodes there were at one instant."""

    at: datetime
    cumulus: int
    nimbus: int
    stratus: int

    @property
    def total(self) -> int:
        return self.cumulus + self.nimbus + self.stratus


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """Node counts of about 30 days, oldest first."""

    points: tuple[NodePoint, ...]
    left_out: int


class Stats:
    """The statistics service."""

    def __init__(self, http: Http, base_url: str) -> None:
        self.host = urlsplit(base_url).netloc.rpartition("@")[2]
        self._http = http
        self._base = base_url.rstrip("/")

    def capacity(self) -> Capacities:
        """Cores, memory and storage of every node, and what its apps take of them."""
        rows = self._nodes(CAPACITY)
        read, unusable = _read(rows, stats_rows.capacity)
        if not any(node.capacity for node in read):
            raise self._bad("/fluxinfo", f"no usable number in {len(rows)} rows")
        return Capacities(tuple(read), len(rows), unusable.total())

    def containers(self) -> Containers:
        """The running containers of every node, by name, by image or both."""
        rows = self._nodes(CONTAINERS)
        lists, _ = _read(rows, stats_rows.running)
        found = [container for names in lists for container in names]
        usable = tuple(container for container in found if container is not None)
        if not lists or (found and not usable):
            raise self._bad("/fluxinfo", f"no usable container in {len(rows)} rows")
        return Containers(usable, len(rows), len(lists), len(found) - len(usable))

    def benchmarks(self) -> Benchmarks:
        """Every node's benchmark; while one runs, all its numbers are 0 and the node is left out."""
        rows = self._nodes(BENCHMARKS)
        read, left_out = _read(rows, stats_rows.benchmark)
        if not read:
            raise self._bad("/fluxinfo", f"no usable benchmark in {len(rows)} rows")
        return Benchmarks(tuple(read), len(rows), dict(left_out))

    def node_history(self) -> NodeHistory:
        """How many nodes there were, about every 15 minutes for 30 days."""
        path = "/fluxhistorystats"
        answer = envelope(
            self._http.get_json(self._base + path, max_bytes=MEDIUM, endpoint=self._base), self.host, path
        )
        if not isinstance(answer, dict) or not answer:
            raise self._bad(path, "no node counts by time")
        points = [point for when, counts in answer.items() if (point := _point(when, counts))]
        if not points:
            raise self._bad(path, f"none of {len(answer)} points is usable")
        return NodeHistory(tuple(sorted(points, key=lambda point: point.at)), len(answer) - len(points))

    def _nodes(self, projection: str) -> list[Any]:
        """The rows of all nodes. An empty list comes right after a round of collection: no answer."""
        url = f"{self._base}/fluxinfo"
        answer = self._http.get_json(url, {"projection": projection}, max_bytes=BYTES, endpoint=self._base)
        rows = answer if isinstance(answer, list) else envelope(answer, self.host, self._where("/fluxinfo"))
        if not isinstance(rows, list) or not rows:
            raise self._bad("/fluxinfo", "no list of nodes" if rows else "an empty list")
        return rows

    def _where(self, path: str) -> str:
        return urlsplit(self._base + path).path

    def _bad(self, path: str, detail: str) -> BadAnswer:
        return BadAnswer(self.host, self._where(path), detail)


def _read(rows: list[Any], reader: Callable[[Any], T]) -> tuple[list[T], Counter[str]]:
    """What the reader makes of the rows, and how many it left out by why."""
    read: list[T] = []
    left_out: Counter[str] = Counter()
    for row in rows:
        try:
            read.append(reader(row))
        except NotUsed as error:
            left_out[error.why] += 1
        except WRONG_SHAPE:
            left_out["unusable"] += 1
    return read, left_out


def _point(when: str, counts: Any) -> NodePoint | None:
    """One point from unix milliseconds and counts; None where it is not usable or counts nobody."""
    try:
        at = datetime.fromtimestamp(count(when, "a time", LAST_MS) / 1000, UTC)
        point = NodePoint(at, *(count(counts[tier], tier, MAX_NODES) for tier in ("cumulus", "nimbus", "stratus")))
    except WRONG_SHAPE:
        return None
    return point if point.total else None
