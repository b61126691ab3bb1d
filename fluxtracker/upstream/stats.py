"""Read the statistics of all nodes (docs/upstream.md#statistics).

Each answer counts the rows it left out, by reason. A node with several rows counts once, by the best of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from fluxtracker.upstream import stats_rows
from fluxtracker.upstream.fluxos import envelope
from fluxtracker.upstream.http.client import MEDIUM, Http
from fluxtracker.upstream.http.errors import BadAnswer
from fluxtracker.upstream.parsing import MAX_NODES, WRONG_SHAPE, count
from fluxtracker.upstream.stats_rows import LAST_MS, Benchmark, Capacity, Container, Fullness, NotUsed

BYTES = 48 << 20  # of an answer; all fields of all nodes are 22 MB

NODE = "collateralHash,collateralIndex,ip,dataCollectedAt,roundTime,error,geolocation.ip,"
"""What tells which node a row is of, and which of its rows is the best."""
CAPACITY = NODE + "benchmark.bench.cores,benchmark.bench.ram,benchmark.bench.ssd,apps.resources"
CONTAINERS = NODE + ",".join(f"apps.runningapps.{name}" for name in ("Names", "Image", "State", "Status"))
BENCHMARKS = NODE + "tier," + ",".join(f"benchmark.bench.{name}" for name in stats_rows.BENCHED)


class Record(Protocol):
    @property
    def fullness(self) -> Fullness: ...


T = TypeVar("T", bound=Record)


@dataclass(frozen=True, slots=True)
class Capacities:
    """What the nodes have and what their apps take."""

    nodes: tuple[Capacity, ...]
    rows: int
    unusable: int
    """Rows that are no node."""
    repeated: int = 0
    """Further rows of nodes that count already."""


@dataclass(frozen=True, slots=True)
class Containers:
    """What runs on the nodes. `nodes`: rows that tell a list of containers, also an empty one."""

    containers: tuple[Container, ...]
    rows: int
    nodes: int
    left_out: int
    """Containers that tell neither a name nor an image."""
    stopped: dict[str, int]
    """Containers that do not run, by state."""
    repeated: int


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """The last benchmark of every node that has one, and how many rows were left out by why."""

    nodes: tuple[Benchmark, ...]
    rows: int
    left_out: dict[str, int]
    repeated: int


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
        read = _read(rows, stats_rows.capacity)
        if all(node.capacity.is_empty for node in read.records):
            raise self._bad("/fluxinfo", f"no usable number in {len(rows)} rows")
        return Capacities(tuple(read.records), len(rows), read.left_out.total(), read.repeated)

    def containers(self) -> Containers:
        """Return the running containers of every node, by name, by image or both."""
        rows = self._nodes(CONTAINERS)
        read = _read(rows, stats_rows.running)
        found = tuple(container for node in read.records for container in node.containers)
        left_out = sum(node.left_out for node in read.records)
        stopped = Counter(state for node in read.records for state in node.stopped)
        if not read.records or (left_out and not found):
            raise self._bad("/fluxinfo", f"no usable container in {len(rows)} rows")
        return Containers(found, len(rows), len(read.records), left_out, dict(stopped), read.repeated)

    def benchmarks(self) -> Benchmarks:
        """Return every node's benchmark; while one runs, all its numbers are 0 and the node is left out."""
        rows = self._nodes(BENCHMARKS)
        read = _read(rows, stats_rows.benchmark)
        if not read.records:
            raise self._bad("/fluxinfo", f"no usable benchmark in {len(rows)} rows")
        return Benchmarks(tuple(read.records), len(rows), dict(read.left_out), read.repeated)

    def node_history(self) -> NodeHistory:
        """Return how many nodes there were, about every 15 minutes for 30 days."""
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
        """Return the rows of all nodes. An empty list comes right after a round of collection: no answer."""
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


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """What a reader made of the rows: at most one record a node."""

    records: list[T]
    left_out: Counter[str]
    """Nodes without a record, by why."""
    repeated: int


def _read(rows: list[Any], reader: Callable[[Any], T]) -> Read[T]:
    """Read every row and keep the best of each node: of one that was reached, that tells something, the newest."""
    best: dict[str | int, tuple[Any, T | str]] = {}
    for number, row in enumerate(rows):
        outcome, key = _outcome(row, reader), stats_rows.node_key(row) or number
        if key not in best or _rank(row, outcome) > _rank(*best[key]):
            best[key] = row, outcome
    outcomes = [outcome for _, outcome in best.values()]
    left_out = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    return Read([one for one in outcomes if not isinstance(one, str)], left_out, len(rows) - len(best))


def _rank(row: Any, outcome: Record | str) -> tuple[bool, bool, bool, int, int]:
    """Return what says which of two rows of a node counts: the higher one."""
    reached = isinstance(row, dict) and not stats_rows.is_placeholder(row)
    if isinstance(outcome, str):
        return reached, False, False, 0, 0
    tells, fullness = outcome.fullness
    return reached, True, tells, stats_rows.collected_at(row), fullness


def _outcome(row: Any, reader: Callable[[Any], T]) -> T | str:
    """Return the row's record, or why there is none."""
    try:
        return reader(row)
    except NotUsed as error:
        return error.why
    except WRONG_SHAPE:
        return "unusable"


def _point(when: str, counts: Any) -> NodePoint | None:
    """Return one point from unix milliseconds and counts; None where it is not usable or counts nobody."""
    try:
        at = datetime.fromtimestamp(count(when, "a time", LAST_MS) / 1000, UTC)
        point = NodePoint(at, *(count(counts[tier], tier, MAX_NODES) for tier in ("cumulus", "nimbus", "stratus")))
    except WRONG_SHAPE:
        return None
    return point if point.total else None
