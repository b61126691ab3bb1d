"""How the system is, from what the database remembers. Never asks an upstream: a check must not add to the load.

What is wrong, in sentences, from what `/api/health` reports.

How much room the data takes, and how much is left.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django_celery_beat.models import PeriodicTask
from kombu.exceptions import KombuError
from redis.exceptions import RedisError, ResponseError

from fluxtracker.database import database_words
from fluxtracker.periods import is_fresh
from ops import checks, schedule
from ops.alerts import records
from ops.models import ServiceState, TaskState, WorkerSeen
from ops.registry import HEALTH
from ops.runs import ALERT_AFTER

Report = dict[str, Any]

TOLD_BY_PARTS = (  # what an alert is about, before its first colon: a part of the report says it as it is now
    "task", "service", "source", "sync-lag", "unproved", "snapshot", "schedule",
)  # fmt: skip
READ_AGAIN = "Last chain read failed; retrying automatically."


def sentences(answer: Report) -> Iterator[str]:
    """One for each thing that is wrong. Without a database only that can be told."""
    if answer["db"]["status"] != "ok":
        yield f"{answer['db']['error'].capitalize()}."
        return
    if answer["broker"]["status"] != "ok":
        words = answer["broker"]["error"]
        yield f"{words[0].upper()}{words[1:]}: no task is started."
    if answer["worker"]["status"] != "ok":
        yield "No worker has been seen for over a minute: nothing is read from the chain."
    if answer["schedule"]["reason"]:
        yield answer["schedule"]["reason"]
    yield from _of_sync(answer["sync"])
    yield from _of_snapshot(answer["snapshot"])
    services = answer["services"] | ({"backup": answer["backup"]} if answer["backup"] else {})
    for name, service in services.items():
        if service["status"] == "failed":
            words = name.replace("_", " ")
            yield f"{words.capitalize()} failed {service['consecutiveFailures']} times in a row: {service['error']}"
    yield from (alert["message"] for alert in answer["alerts"] if alert["key"].partition(":")[0] not in TOLD_BY_PARTS)


def payments_missing(reason: str) -> str:
    """Return what an unhealthy sync means, at every door."""
    return f"Payments may be missing: {reason}."


def _of_sync(sync: Report) -> Iterator[str]:
    if not sync["healthy"]:
        yield payments_missing(sync["reason"])
    if 0 < sync["consecutiveFailures"] < ALERT_AFTER:
        yield READ_AGAIN
    for failed in sync["failedSources"] or ():
        yield f"A source of the chain failed, and another one was used instead: {failed}."


def _of_snapshot(snapshot: Report) -> Iterator[str]:
    """Before the first check nothing is late."""
    if snapshot["healthy"] is False:
        yield snapshot["reason"]


log = structlog.get_logger(__name__)


DATABASE_ERRORS = (DatabaseError, InterfaceError)
STARTED = time.monotonic()
WORKER_FRESH = timedelta(seconds=90)  # workers say so every 20 s
PING_TIMEOUT_S = 0.5  # for connecting, and for each answer
WRITTEN_KEY, WRITTEN_S = "fluxtracker.health", 60  # what a check of the broker leaves behind, and for how long
REFUSALS = {  # how a broker that answers says that it takes no writes
    "OOM": "its memory is full",
    "READONLY": "it is a read-only replica",
    "MISCONF": "its disk cannot be written",
    "NOREPLICAS": "its replicas are away",
    "NOPERM": "its user may not write",
}
OWN_PARTS = ("sync_revenue",)  # tasks that have a part of their own in the report


def report(now: datetime) -> Report:
    """The whole of `/api/health` (docs/contract.md#api), with `problems` in sentences."""
    database = database_report()
    if database["status"] == "ok":
        try:
            return _whole(database, now)
        except DATABASE_ERRORS as error:  # it went away meanwhile, or one of its tables is locked
            database = _unavailable(error)
    answer = _frame(database, now) | _nothing_known()
    return answer | {"status": "error", "problems": list(sentences(answer))}


def _whole(database: Report, now: datetime) -> Report:
    answer = _frame(database, now) | _parts(now)
    answer["problems"] = [
        *sentences(answer),
        *(problem for name, part in HEALTH.items() if part.problems for problem in part.problems(answer[name], now)),
        *checks.problems(now),
    ]
    return answer | {"status": "degraded" if answer["problems"] else "ok"}


def _frame(database: Report, now: datetime) -> Report:
    return {
        "status": "error",
        "timestamp": int(now.timestamp() * 1000),
        "uptime": round(time.monotonic() - STARTED),
        "db": database,
    }


def _parts(now: datetime) -> Report:
    states = {state.name: state for state in TaskState.objects.all()}
    sync = HEALTH["sync"].report(now)
    return {
        "broker": broker_report(),
        "worker": worker_report(now),
        "schedule": schedule_report(now),
        "snapshot": HEALTH["snapshot"].report(now),
        "sync": sync,
        "sources": HEALTH["sources"].report(now),
        "checks": checks_report(),
        "services": {name: _service(state) for name, state in sorted(states.items()) if name not in OWN_PARTS},
        "backup": _backup_report(states.get("backup")),
        "quarantine": sync["quarantine"],
        "alerts": _alerts_report(),
    }


def _nothing_known() -> Report:
    """Without the database only the broker can be asked."""
    return {
        "broker": broker_report(),
        "worker": {"status": "unknown", "lastSeen": None},
        "schedule": {"status": "unknown", "overdue": [], "reason": None},
        "snapshot": HEALTH["snapshot"].report(None),
        "sync": HEALTH["sync"].report(None),
        "sources": HEALTH["sources"].report(None),
        "checks": None,
        "services": {},
        "backup": None,
        "quarantine": None,
        "alerts": None,
    }


def checks_report() -> Report:
    """How many of the checked services stand how, and when they were last checked; null: never."""
    states = list(ServiceState.objects.all())
    count = Counter(state.status for state in states)
    return {
        "total": len(states),
        **{status: count[status] for status in ServiceState.Status.values},
        "lastCheck": iso(max((state.checked_at for state in states), default=None)),
    }


def database_report() -> Report:
    """Whether the database answers and has every migration."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = _missing_migrations()
    except DATABASE_ERRORS as error:
        return _unavailable(error)
    if missing:
        return {
            "status": "error",
            "engine": connection.vendor,
            "error": f"{missing} migrations are missing: run `manage.py migrate`",
        }
    return {"status": "ok", "engine": connection.vendor}


def _unavailable(error: Exception) -> Report:
    log.warning("database_unavailable", error=database_words(error))
    return {"status": "error", "engine": connection.vendor, "error": "the database cannot be reached"}


_known_migrated: set[str] = set()


def _missing_migrations() -> int:
    """Reading the plan takes 50 ms, so a database once found complete is only asked whether it still is one."""
    name = str(connection.settings_dict["NAME"])
    if name in _known_migrated:
        TaskState.objects.exists()
        return 0
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if not missing:
        _known_migrated.add(name)
    return missing


def broker_report() -> Report:
    """Return whether the broker answers and takes a write, with short limits.

    The error is told in words: addresses may hold passwords.
    """
    try:
        with current_app.connection_for_read(
            transport_options={
                **current_app.conf.broker_transport_options,
                "socket_timeout": PING_TIMEOUT_S,
                "socket_connect_timeout": PING_TIMEOUT_S,
                "max_retries": 0,
            },
        ) as broker:
            client = broker.default_channel.client
            client.ping()
            client.set(WRITTEN_KEY, "1", ex=WRITTEN_S)
    except (RedisError, KombuError, OSError) as error:
        log.debug("broker_unavailable", error=type(error).__name__)
        return {"status": "error", "error": broker_words(error)}
    return {"status": "ok"}


def broker_words(error: Exception) -> str:
    """Return what is wrong with the broker. redis-py takes the code off the errors that it has a class for."""
    cause = error.__cause__ if isinstance(error, KombuError) else error  # kombu puts its own around it
    if not isinstance(cause, ResponseError):
        return "the broker does not answer"
    known = {"OutOfMemoryError": "OOM", "ReadOnlyError": "READONLY", "NoPermissionError": "NOPERM"}
    said = {known.get(type(cause).__name__), *str(cause).split()}
    why = next((words for code, words in REFUSALS.items() if code in said), "it refuses them")
    return f"the broker takes no writes: {why}"


def worker_report(now: datetime) -> Report:
    """When a worker last gave a sign of life."""
    last = WorkerSeen.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    return {"status": "ok" if is_fresh(last, now, WORKER_FRESH) else "missing", "lastSeen": iso(last)}


def schedule_report(now: datetime) -> Report:
    """Return which rows of the schedule are overdue by twice their interval."""
    found = schedule.overdue(now)
    return {
        "status": "overdue" if found else "ok",
        "overdue": [{"name": row.name, "task": row.task, "lastRun": iso(row.since)} for row in found],
        "reason": schedule.sentence(found) or None,
    }


def is_scheduled(task: str, now: datetime) -> bool:
    """Return whether this Celery task runs by its schedule: a worker lives, a row is enabled, none is overdue."""
    has_worker: bool = worker_report(now)["status"] == "ok"
    is_enabled = has_worker and PeriodicTask.objects.filter(task=task, enabled=True).exists()
    return is_enabled and not schedule.is_overdue(task, now)


def _service(state: TaskState) -> Report:
    status = "failed" if state.alerting else "failing" if state.consecutive_failures else "ok"
    return {
        "status": status if state.last_success_at or state.last_failure_at else "never",
        "lastSuccess": iso(state.last_success_at),
        "lastFailure": iso(state.last_failure_at),
        "consecutiveFailures": state.consecutive_failures,
        "error": state.last_error or None,
    }


def _backup_report(state: TaskState | None) -> Report | None:
    return None if state is None else _service(state) | {"file": (state.last_report or {}).get("file")}


def _alerts_report() -> list[Report]:
    """What is open, the newest first."""
    return [
        {
            "key": alert.key,
            "message": alert.message,
            "since": iso(alert.raised_at),
            "lastSeen": iso(alert.seen_at),
            "lastTold": iso(alert.sent_at),
        }
        for alert in records.open_alerts()
    ]


def iso(moment: datetime | None) -> str | None:
    """An instant as the API writes it."""
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


FULL_SHARE, FULL_BYTES = 0.10, 2 << 30
SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk under the data dir, in bytes."""

    free: int
    total: int

    def is_nearly_full(self, relief: float = 1) -> bool:
        """Return whether what is free is below both limits, each times `relief`."""
        return self.free < FULL_BYTES * relief and self.free < self.total * FULL_SHARE * relief


def disk() -> Disk | None:
    """None where the data dir cannot be looked at."""
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
    except OSError:
        return None
    return Disk(usage.free, usage.total)


def database_bytes() -> int:
    """What the database's engine says it takes. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SIZE[connection.vendor])
        row = cursor.fetchone()
    return int(row[0])
