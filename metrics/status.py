"""Report the status of sources and service checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from fluxtracker import formatting
from fluxtracker.periods import is_fresh
from metrics.models import Source
from metrics.selectors import Latest, SourceView
from ops import leases
from ops.health import is_scheduled, iso
from ops.models import ServiceState, TaskState
from ops.registry import health_check
from ops.runs import ALERT_AFTER
from ops.schedule import is_overdue

Report = dict[str, Any]


def problems(sources: Mapping[str, Report], now: datetime) -> Iterator[str]:
    """What such a report says is wrong, in sentences. A source that was never asked is no trouble yet."""
    for key, source in sources.items():
        name = Source.Name(key).label
        name = name[0].upper() + name[1:]
        if source["status"] == "stale" and source["asOf"]:
            read_at = now - timedelta(seconds=source["ageSeconds"])
            reason = source["error"] or "no collection has succeeded since"
            yield f"{name}: last read {formatting.ago(read_at, now)}: {reason}."
        elif source["status"] == "failed":
            yield f"{name}: never read: {source['error'] or 'no reason was noted'}."


@health_check("sources", problems=problems)
def sources_report(now: datetime | None) -> dict[str, Report]:
    """By source: its status, when its values were read, their age in seconds and the last error. Two queries."""
    return {name: _report(view, now) for name, view in Latest.load(now).sources.items()} if now else {}


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
    """Contract section 4. Healthy: checked lately, and no service has failed three times in a row."""
    task = TaskState.objects.filter(name=TASK).first() or TaskState(name=TASK)
    states = list(ServiceState.objects.all())
    reason = _why_unhealthy(task, states, now)
    return {
        "isSchedulerRunning": is_scheduled(BEAT_TASK, now),
        "isTestInProgress": leases.holder_of(TASK) is not None,
        "lastRun": iso(task.last_started_at),
        "lastCompleted": iso(task.last_success_at),
        "consecutiveFailures": task.consecutive_failures,
        "isHealthy": reason is None,
        "reason": reason,
        "note": NOTE,
        "checks": [_check(state) for state in states],
    }


def _why_unhealthy(task: TaskState, states: list[ServiceState], now: datetime) -> str | None:
    if task.alerting:
        return f"the checks failed {task.consecutive_failures} times in a row ({task.last_error})"
    if not states:
        return "no service has been checked yet"
    checked_at = max(state.checked_at for state in states)
    if is_overdue(BEAT_TASK, now) or not is_fresh(checked_at, now, LATE):
        return f"no service has been checked since {formatting.moment(checked_at)}"
    failing = [state.name for state in states if state.consecutive_failures >= ALERT_AFTER]
    return f"{', '.join(failing)} failed three times in a row or more" if failing else None


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
