"""Write the system's state for Prometheus, from database and broker, so that it covers all processes.

Unknown values have no sample. Instants are Unix seconds: an age is `time() - ...`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from fluxtracker import __version__
from fluxtracker.web.middleware import REGISTRY
from ops import broker, health
from ops.jobs import runs
from ops.models import ServiceState, Tally, TaskState
from ops.registry import gauges

Value = float | int | bool | datetime | str | None
LEVELS = ("ok", "degraded", "error")


def text(now: datetime) -> bytes:
    """Return all metrics in the text format: the system's state, then the latencies of its web processes."""
    registry = CollectorRegistry()
    registry.register(_State(now))
    return generate_latest(registry) + generate_latest(_latencies())


def _latencies() -> CollectorRegistry:
    """Return the counts of all web processes, and the resources of this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    ProcessCollector(registry=registry)
    return registry


class _State(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        report = health.report(self._now)
        levels = {level: level == report["status"] for level in LEVELS}
        yield _gauge("build", "The running version.", {__version__: 1}, "version")
        yield _gauge("status", "1 for the status of /api/health.", levels, "status")
        yield from of_broker(report["broker"]["status"] == "ok")
        disk = health.disk()
        yield _gauge("data_dir_free_bytes", "Free on the disk of the data dir.", disk.free if disk else None)
        if report["db"]["status"] == "ok":
            yield from of_report(report)
            yield from of_tasks()
            yield from (_gauge(*each) for of_app in gauges for each in of_app(self._now))


def of_broker(is_up: bool) -> Iterator[Metric]:
    depth = broker.depth()
    yield _gauge("broker_up", "Whether the broker answers and takes writes.", is_up and depth is not None)
    yield _gauge("queue_messages", "Tasks that wait in the broker.", depth.waiting if depth else None)
    yield _gauge("queue_in_work", "Tasks that a worker has taken.", depth.in_work if depth else None)


def of_report(report: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield the gauges of the health report."""
    sync, snapshot, checks = report["sync"], report["snapshot"], report["checks"]
    read_at = {name: source["asOf"] for name, source in report["sources"].items()}
    counts = {status: checks[status] for status in ServiceState.Status.values}
    overdue = {row["name"]: 1 for row in report["schedule"]["overdue"]}
    yield _gauge("sync_lag_seconds", "Since a sync last completed.", sync["lagSeconds"])
    yield _gauge("sync_lag_blocks", "From the ledger to the chain's tip.", sync["lagBlocks"])
    yield _gauge("sync_height", "The block up to which the ledger is complete.", sync["lastSyncBlock"])
    yield _gauge("quarantined_transactions", "Transactions that wait to be read.", sync["quarantine"])
    yield _gauge("snapshot_today", "Whether the day's snapshot exists.", snapshot["todaySnapshotExists"])
    yield _gauge("source_read_timestamp_seconds", "When a source of the metrics was last read.", read_at, "source")
    yield _gauge("services", "Checked services, by status.", counts, "status")
    yield _gauge("worker_seen_timestamp_seconds", "A worker's last sign of life.", report["worker"]["lastSeen"])
    yield _gauge("schedule_overdue", "1 for each row of the schedule that missed two of its times.", overdue, "name")
    yield _gauge("alerts_open", "Alerts that are open.", len(report["alerts"]))
    yield _gauge("alert", "1 for each alert that is open.", {row["key"]: 1 for row in report["alerts"]}, "key")


def of_tasks() -> Iterator[Metric]:
    """Yield runs, durations, and requests to upstreams. Two queries."""
    states, rows = list(TaskState.objects.order_by("name")), list(Tally.objects.order_by("name", "label", "outcome"))
    failures = {state.name: state.consecutive_failures for state in states}
    yield _gauge("task_failures_in_a_row", "Failed runs since the last good one.", failures, "task")
    for outcome in ("success", "failure"):
        ends = {state.name: getattr(state, f"last_{outcome}_at") for state in states}
        yield _gauge(f"task_last_{outcome}_timestamp_seconds", f"The end of the last {outcome}.", ends, "task")
    yield _counter("task_runs", "Runs that ended.", rows, runs.RUNS, ("task", "outcome"))
    words = "Requests to upstreams, written down at the end of each run."
    yield _counter("upstream_requests", words, rows, runs.REQUESTS, ("host", "result"))
    yield _durations(rows)


def _durations(rows: Iterable[Tally]) -> Metric:
    """Return the number of runs, and their total duration."""
    family = SummaryMetricFamily("fluxtracker_task_duration_seconds", "Runs that ended.", labels=("task",))
    counts: dict[str, int] = {}
    for row in rows:
        if row.name == runs.RUNS:
            counts[row.label] = counts.get(row.label, 0) + int(row.value)
    for row in rows:
        if row.name == runs.RUN_SECONDS:
            family.add_metric((row.label,), counts.get(row.label, 0), row.value)
    return family


def _counter(name: str, words: str, rows: Iterable[Tally], which: str, labels: tuple[str, str]) -> Metric:
    family = CounterMetricFamily(f"fluxtracker_{name}", words, labels=labels)
    for row in rows:
        if row.name == which:
            family.add_metric((row.label, row.outcome), row.value)
    return family


def _gauge(name: str, words: str, value: Value | Mapping[str, Value], label: str = "") -> Metric:
    """Return a gauge, with one value per label value if it has a label."""
    family = GaugeMetricFamily(f"fluxtracker_{name}", words, labels=(label,) if label else ())
    for key, sample in (value if isinstance(value, Mapping) else {"": value}).items():
        number = datetime.fromisoformat(sample) if isinstance(sample, str) else sample
        if number is not None:
            seconds = number.timestamp() if isinstance(number, datetime) else float(number)
            family.add_metric((key,) if label else (), seconds)
    return family
