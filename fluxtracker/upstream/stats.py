"""Read the statistics of all nodes (docs/upstream.md#statistics).

Each answer counts the rows left out by reason. A node with several rows counts once, by the best one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

from fluxtracker.upstream import stats_parsing
from fluxtracker.upstream.fluxos import envelope
from fluxtracker.upstream.http.client import MEDIUM, Upstream
from fluxtracker.upstream.node_facts import PROJECTION, NodeFacts, node_facts
from fluxtracker.upstream.parsing import MAX_NODES, WRONG_SHAPE, count, is_damaged
from fluxtracker.upstream.stats_parsing import LAST_MS, Benchmark, Capacity, Container, Fullness, NotUsed

BYTES = 48 << 20  # per answer; all fields of all nodes are 22 MB

NODE = "collateralHash,collateralIndex,ip,dataCollectedAt,roundTime,error,geolocation.ip,"
"""Keys that name the node of a row and rank the rows of one node."""
CAPACITY = NODE + "benchmark.bench.cores,benchmark.bench.ram,benchmark.bench.ssd,apps.resources"
CONTAINERS = NODE + ",".join(f"apps.runningapps.{name}" for name in ("Names", "Image", "State", "Status"))
FACTS = NODE + PROJECTION
BENCHMARKS = NODE + "tier," + ",".join(f"benchmark.bench.{name}" for name in stats_parsing.BENCHED)


class Record(Protocol):
    @property
    def fullness(self) -> Fullness: ...


T = TypeVar("T", bound=Record)


def is_template(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,99}", name) is not None


def is_words(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 50 and not is_damaged(value)


@dataclass(frozen=True, slots=True)
class Nodes(Generic[T]):
    """Records read from the rows: at most one per node."""

    nodes: tuple[T, ...]
    rows: int
    left_out: Mapping[str, int]
    """Nodes without a record, by why."""
    repeated: int = 0
    """Further rows of nodes that count already."""

    @property
    def unusable(self) -> int:
        """Return how many rows are not nodes."""
        return sum(self.left_out.values())


@dataclass(frozen=True, slots=True)
class Containers:
    """Containers running on the nodes. `nodes`: reached nodes that list containers, even an empty list."""

    containers: tuple[Container, ...]
    rows: int
    nodes: int
    left_out: int
    """Containers that tell neither a name nor an image."""
    stopped: dict[str, int]
    """Containers that do not run, by state."""
    repeated: int


@dataclass(frozen=True, slots=True)
class NodePoint:
    """Number of nodes at one instant."""

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


class Stats(Upstream):
    """The statistics service."""

    def tiers(self) -> set[str]:
        """Return the tiers with nodes: the smallest answer about all nodes."""
        rows = self._nodes("tier", MEDIUM)
        tiers = {row["tier"] for row in rows if isinstance(row, dict) and isinstance(row.get("tier"), str)} - {""}
        if not tiers:
            raise self.bad("/fluxinfo", "no list of nodes")
        return tiers

    def templates(self) -> dict[str, str]:
        """Return the category of each marketplace template by lower-case name."""
        path = "/marketplace/listapps"
        rows = envelope(self.get(path, max_bytes=BYTES), self.host, self.where(path))
        if not isinstance(rows, list):
            raise self.bad(path, "no list of templates")
        pairs = [(row.get("name"), row.get("category")) for row in rows if isinstance(row, dict)]
        templates = {name.lower(): words for name, words in pairs if is_template(name) and is_words(words)}
        if not templates:
            raise self.bad(path, f"none of {len(rows)} templates is usable")
        return templates

    def capacity(self) -> Nodes[Capacity]:
        """Return cores, memory and storage of every node, and their use by apps."""
        nodes = _read(self._nodes(CAPACITY), stats_parsing.capacity)
        if all(node.capacity.is_empty for node in nodes.nodes):
            raise self.bad("/fluxinfo", f"no usable number in {nodes.rows} rows")
        return nodes

    def containers(self) -> Containers:
        """Return the running containers of every node, by name, by image or both."""
        read = _read(self._nodes(CONTAINERS), stats_parsing.running)
        containers = tuple(container for node in read.nodes for container in node.containers)
        left_out = sum(node.left_out for node in read.nodes)
        stopped = Counter(state for node in read.nodes for state in node.stopped)
        if not read.nodes or (left_out and not containers):
            raise self.bad("/fluxinfo", f"no usable container in {read.rows} rows")
        return Containers(containers, read.rows, len(read.nodes), left_out, dict(stopped), read.repeated)

    def benchmarks(self) -> Nodes[Benchmark]:
        """Return every node's benchmark, without nodes running one, whose numbers are all 0."""
        nodes = _read(self._nodes(BENCHMARKS), stats_parsing.benchmark)
        if not nodes.nodes:
            raise self.bad("/fluxinfo", f"no usable benchmark in {nodes.rows} rows")
        return nodes

    def node_facts(self) -> Nodes[NodeFacts]:
        """Return place, provider and versions of each node."""
        nodes = _read(self._nodes(FACTS), node_facts)
        if not any(node.reached for node in nodes.nodes):
            raise self.bad("/fluxinfo", f"no node that was reached in {nodes.rows} rows")
        return nodes

    def node_history(self) -> NodeHistory:
        """Return node counts, about every 15 minutes for 30 days."""
        path = "/fluxhistorystats"
        answer = envelope(self.get(path, max_bytes=MEDIUM), self.host, self.where(path))
        if not isinstance(answer, dict) or not answer:
            raise self.bad(path, "no node counts by time")
        points = [point for when, counts in answer.items() if (point := _point(when, counts))]
        if not points:
            raise self.bad(path, f"none of {len(answer)} points is usable")
        return NodeHistory(tuple(sorted(points, key=lambda point: point.at)), len(answer) - len(points))

    def _nodes(self, projection: str, max_bytes: int = BYTES) -> list[Any]:
        """Return the rows of all nodes. An empty list, sent right after a collection round, is no answer."""
        path = "/fluxinfo"
        answer = self.get(path, {"projection": projection}, max_bytes=max_bytes)
        rows = answer if isinstance(answer, list) else envelope(answer, self.host, self.where(path))
        if not isinstance(rows, list) or not rows:
            raise self.bad(path, "no list of nodes" if rows else "an empty list")
        return rows


def _read(rows: list[Any], reader: Callable[[Any], T]) -> Nodes[T]:
    """Read all rows and keep the best per node: reached, informative, then newest."""
    best: dict[str | int, tuple[Any, T | str]] = {}
    for number, row in enumerate(rows):
        outcome, key = _outcome(row, reader), stats_parsing.node_key(row) or number
        if key not in best or _rank(row, outcome) > _rank(*best[key]):
            best[key] = row, outcome
    outcomes = [outcome for _, outcome in best.values()]
    left_out = Counter(outcome for outcome in outcomes if isinstance(outcome, str))
    records = tuple(outcome for outcome in outcomes if not isinstance(outcome, str))
    return Nodes(records, len(rows), dict(left_out), len(rows) - len(best))


def _rank(row: Any, outcome: Record | str) -> tuple[bool, bool, bool, int, int]:
    """Return the rank of a node's row; the highest one counts."""
    reached = isinstance(row, dict) and not stats_parsing.is_placeholder(row)
    if isinstance(outcome, str):
        return reached, False, False, 0, 0
    tells, fullness = outcome.fullness
    return reached, True, tells, stats_parsing.collected_at(row), fullness


def _outcome(row: Any, reader: Callable[[Any], T]) -> T | str:
    """Return the row's record, or why there is none."""
    try:
        return reader(row)
    except NotUsed as error:
        return error.why
    except WRONG_SHAPE:
        return "unusable"


def _point(when: str, counts: Any) -> NodePoint | None:
    """Return one point from unix milliseconds and counts, None if not usable or without nodes."""
    try:
        at = datetime.fromtimestamp(count(when, "a time", LAST_MS) / 1000, UTC)
        point = NodePoint(at, *(count(counts[tier], tier, MAX_NODES) for tier in ("cumulus", "nimbus", "stratus")))
    except WRONG_SHAPE:
        return None
    return point if point.total else None
