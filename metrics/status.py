"""Report the status of sources and service checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from fluxtracker.periods import is_fresh
from fluxtracker.timestamps import iso
from metrics.metric_keys import COUNTED, FIXED
from metrics.models import Source
from metrics.selectors import Latest, SourceView, census_sources
from ops import leases
from ops.models import ServiceState, TaskState
from ops.registry import Gauge, States, gauges, health_check
from ops.schedule_rows import is_overdue, is_scheduled
from ops.status import NO_REASON, OK, Part, Status, words

Report = dict[str, Any]


NAMES: Mapping[str, str] = {  # shown on the page
    Source.Name.NODES: "Node counts",
    Source.Name.CLOUD: "Capacity and use",
    Source.Name.APPS: "Running containers",
    Source.Name.SPECS: "App specifications",
    Source.Name.PRICE: "The FLUX price",
}
CENSUS_NAMES: Mapping[str, str] = {
    Source.Census.NODE_LIST: "The node list",
    Source.Census.NODE_FACTS: "Places and versions of nodes",
    Source.Census.LOCATIONS: "Running instances",
    Source.Census.TERMS: "Deployment prices",
}
LABELS = dict([*Source.Name.choices, *Source.Census.choices])


def source_status(view: SourceView) -> Status:
    """Return the status of a source. `source_never`: not asked yet."""
    differs = bool(view.coverage and view.coverage.get("totalDiffers"))
    if view.status == "ok" and not differs:
        return OK
    label = str(LABELS[view.name])
    facts = {
        "name": {**NAMES, **CENSUS_NAMES}[view.name],
        "label": label[0].upper() + label[1:],
        "error": view.error or NO_REASON,
        "tried_at": view.tried_at,
        "reported": view.coverage and view.coverage.get("toldTotal"),
    }
    return Status(_code(view), since=view.read_at, facts=facts, key=f"source:{view.name}")


def _code(view: SourceView) -> str:
    if view.status == "ok":
        return "total_differs"
    if view.read_at is None:
        return "source_unread" if view.tried_at else "source_never"
    if not view.error:
        return "source_late"
    return "source_doubted" if view.doubted_since else "source_failed"


@health_check("sources")
def sources_part(now: datetime | None, _: States) -> Part:
    """Report each source: its status, when its values were read, their age in seconds and the last error. Two queries.

    A source that was never asked is not a problem yet.
    """
    return _part(Latest.load(now).sources if now else {}, now)


@health_check("census")
def census_part(now: datetime | None, _: States) -> Part:
    """Report the census sources in the same way. One query."""
    return _part(census_sources(now) if now else {}, now)


def _part(views: Mapping[str, SourceView], now: datetime | None) -> Part:
    problems = [source_status(view) for view in views.values() if view.status != "never"]
    return Part({name: _report(view, now) for name, view in views.items() if now}, problems)


def _report(view: SourceView, now: datetime) -> Report:
    age = None if view.read_at is None else max(int((now - view.read_at).total_seconds()), 0)
    return {"status": view.status, "asOf": iso(view.read_at), "ageSeconds": age, "error": view.error}


TASK, BEAT_TASK = "check_services", "metrics.tasks.check_services"
LATE = timedelta(hours=3)  # three missed checks, even if nothing schedules them any more
NOTE = (
    "Games and crypto nodes are judged by the running instances that the network reports, against their own last "
    "week. Other people's servers are never probed."
)


def status(now: datetime) -> dict[str, Any]:
    """Return the data of `/api/admin/test-status`."""
    task, states = TaskState.of(TASK), list(ServiceState.objects.all())
    problem = checks_status(task, states, now)
    return {
        "isSchedulerRunning": is_scheduled(BEAT_TASK, now),
        "isTestInProgress": leases.holder_of(TASK) is not None,
        "task": task,
        "isHealthy": problem.is_ok,
        "reason": words(problem, now) or None,
        "note": NOTE,
        "checks": states,
    }


def checks_status(task: TaskState, states: list[ServiceState], now: datetime) -> Status:
    """Return OK if services were checked lately and none has failed three times in a row."""
    if task.alerting:
        return task.failing
    if not states:
        return Status("checks_never")
    checked_at = max(state.checked_at for state in states)
    if is_overdue(BEAT_TASK, now) or not is_fresh(checked_at, now, LATE):
        return Status("checks_late", since=checked_at)
    failing = tuple(state.name for state in states if state.keeps_failing)
    return Status("checks_failing", facts={"names": failing}) if failing else OK


TRACKED = tuple(f"{category}_" for category in COUNTED)


@gauges
def network_gauges(now: datetime) -> Iterator[Gauge]:
    """Yield the last good value of each metric at any age. Two queries."""
    values = Latest.load(now).values
    for metric in FIXED:
        yield Gauge(
            f"network_{metric.key}", f"{metric.label}{metric.unit and f', {metric.unit}'}.", values.get(metric.key)
        )
    others = values.keys() - {metric.key for metric in FIXED}
    counts = {key: values[key] for key in sorted(others) if key.startswith(TRACKED)}
    yield Gauge("network_instances", "Containers of a tracked game or crypto node.", counts, "app")
