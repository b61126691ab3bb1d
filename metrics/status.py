"""Report the status of sources and service checks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fluxtracker.periods import is_fresh
from fluxtracker.timestamps import iso
from metrics.models import Source
from metrics.selectors import Latest, SourceView
from ops import leases
from ops.health import is_scheduled
from ops.models import ServiceState, TaskState
from ops.registry import health_check
from ops.schedule import is_overdue
from ops.status import NO_REASON, OK, Part, Status, words

Report = dict[str, Any]


NAMES: Mapping[str, str] = {  # for readers of the page
    Source.Name.NODES: "Node counts",
    Source.Name.CLOUD: "Capacity and use",
    Source.Name.APPS: "Running containers",
    Source.Name.SPECS: "App specifications",
    Source.Name.PRICE: "The FLUX price",
}


def source_status(view: SourceView) -> Status:
    """Return how a source is. `source_never`: nothing has asked it yet."""
    if view.status == "ok":
        return OK
    label = Source.Name(view.name).label
    facts = {
        "name": NAMES[view.name],
        "label": label[0].upper() + label[1:],
        "error": view.error or NO_REASON,
        "tried_at": view.tried_at,
    }
    return Status(_code(view), since=view.read_at, facts=facts, key=f"source:{view.name}")


def _code(view: SourceView) -> str:
    if view.read_at is None:
        return "source_unread" if view.tried_at else "source_never"
    if not view.error:
        return "source_late"
    return "source_doubted" if view.doubted_since else "source_failed"


@health_check("sources")
def sources_part(now: datetime | None) -> Part:
    """Report each source: its status, when its values were read, their age in seconds and the last error. Two queries.

    A source that was never asked is no problem yet.
    """
    views = Latest.load(now).sources if now else {}
    problems = [source_status(view) for view in views.values() if view.status != "never"]
    return Part({name: _report(view, now) for name, view in views.items() if now}, problems)


def _report(view: SourceView, now: datetime) -> Report:
    age = None if view.read_at is None else max(int((now - view.read_at).total_seconds()), 0)
    return {"status": view.status, "asOf": iso(view.read_at), "ageSeconds": age, "error": view.error}


TASK, BEAT_TASK = "check_services", "metrics.tasks.check_services"
LATE = timedelta(hours=3)  # three checks missed, also where nothing asks for them any more
NOTE = (
    "Games and crypto nodes are judged by the running instances that the network reports, against their own last "
    "week. Other people's servers are never probed."
)


def status(now: datetime) -> dict[str, Any]:
    """Return the answer of `/api/admin/test-status`."""
    task, states = TaskState.of(TASK), list(ServiceState.objects.all())
    problem = checks_status(task, states, now)
    return {
        "isSchedulerRunning": is_scheduled(BEAT_TASK, now),
        "isTestInProgress": leases.holder_of(TASK) is not None,
        "lastRun": iso(task.last_started_at),
        "lastCompleted": iso(task.last_success_at),
        "consecutiveFailures": task.consecutive_failures,
        "isHealthy": problem.is_ok,
        "reason": words(problem, now) or None,
        "note": NOTE,
        "checks": [_check(state) for state in states],
    }


def checks_status(task: TaskState, states: list[ServiceState], now: datetime) -> Status:
    """Return OK where services were checked lately and none has failed three times in a row."""
    if task.alerting:
        return task.failing
    if not states:
        return Status("checks_never")
    checked_at = max(state.checked_at for state in states)
    if is_overdue(BEAT_TASK, now) or not is_fresh(checked_at, now, LATE):
        return Status("checks_late", since=checked_at)
    failing = tuple(state.name for state in states if state.keeps_failing)
    return Status("checks_failing", facts={"names": failing}) if failing else OK


def _check(state: ServiceState) -> dict[str, Any]:
    return {
        "name": state.name,
        "kind": state.kind,
        "status": state.status,
        "latencyMs": state.latency_ms,
        "detail": state.detail or None,
        "checkedAt": iso(state.checked_at),
        "lastOk": iso(state.last_ok_at),
        "consecutiveFailures": state.consecutive_failures,
    }
