"""How the system is, from what the database remembers. Never asks an upstream: a check must not add to the load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ops.models import TaskState, WorkerSeen

log = structlog.get_logger(__name__)

Report = dict[str, Any]

STARTED = time.monotonic()
WORKER_FRESH = timedelta(seconds=90)  # workers say so every 20 s
PING_TIMEOUT_S = 1.0
SNAPSHOT_TASK, SNAPSHOT_LATE = "check_snapshot", timedelta(minutes=90)  # three checks missed
SYNC_PART = "revenue.standing.sync_report"  # by name: this room stands below that one
OWN_PARTS = ("sync_revenue", SNAPSHOT_TASK)  # tasks that have a part of their own in the report


def report(now: datetime) -> Report:
    """The whole of `/api/health` (contract section 4), with `problems` in sentences."""
    database = database_report()
    answer: Report = {
        "status": "error",
        "timestamp": int(now.timestamp() * 1000),
        "uptime": round(time.monotonic() - STARTED),
        "db": database,
    }
    if database["status"] == "ok":
        answer |= _parts(now)
    else:
        answer |= _nothing_known()
    answer["problems"] = list(_problems(answer))
    if database["status"] == "ok":
        answer["status"] = "degraded" if answer["problems"] else "ok"
    return answer


def _parts(now: datetime) -> Report:
    states = {state.name: state for state in TaskState.objects.all()}
    sync = sync_report(now)
    return {
        "broker": broker_report(),
        "worker": worker_report(now),
        "snapshot": _snapshot_report(states.get(SNAPSHOT_TASK), now),
        "sync": sync,
        "services": {name: _service(state) for name, state in sorted(states.items()) if name not in OWN_PARTS},
        "backup": _backup_report(states.get("backup")),
        "quarantine": sync["quarantine"],
    }


def _nothing_known() -> Report:
    """Without the database only the broker can be asked."""
    return {
        "broker": broker_report(),
        "worker": {"status": "unknown", "lastSeen": None},
        "snapshot": _snapshot_report(None, None),
        "sync": import_string(SYNC_PART)(None),
        "services": {},
        "backup": None,
        "quarantine": None,
    }


def sync_report(now: datetime) -> Report:
    """How far the ledger is behind the chain."""
    part: Callable[[datetime | None], Report] = import_string(SYNC_PART)
    return part(now)


def database_report() -> Report:
    """Whether the database answers and has every migration."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        missing = _missing_migrations()
    except DatabaseError as error:
        log.warning("database_unavailable", error=" ".join(str(error).split())[:300])
        return {"status": "error", "engine": connection.vendor, "error": "the database cannot be reached"}
    if missing:
        return {
            "status": "error",
            "engine": connection.vendor,
            "error": f"{missing} migrations are missing: run `manage.py migrate`",
        }
    return {"status": "ok", "engine": connection.vendor}


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
    """One PING with a short limit. The error is told in words: addresses may hold passwords."""
    try:
        with current_app.connection_for_read(
            transport_options={
                **current_app.conf.broker_transport_options,
                "socket_timeout": PING_TIMEOUT_S,
                "socket_connect_timeout": PING_TIMEOUT_S,
                "max_retries": 0,
            },
        ) as broker:
            broker.default_channel.client.ping()
    except (RedisError, KombuError, OSError) as error:
        log.debug("broker_unavailable", error=type(error).__name__)
        return {"status": "error", "error": "the broker does not answer"}
    return {"status": "ok"}


def worker_report(now: datetime) -> Report:
    """When a worker last gave a sign of life."""
    last = WorkerSeen.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    fresh = last is not None and now - last <= WORKER_FRESH
    return {"status": "ok" if fresh else "missing", "lastSeen": iso(last)}


def _snapshot_report(state: TaskState | None, now: datetime | None) -> Report:
    """Of the task that takes the daily snapshot; null everywhere while there is no such task."""
    if state is None or now is None:
        keys = ("healthy", "todaySnapshotExists", "consecutiveFailures", "lastCheck", "lastSuccess")
        return dict.fromkeys(keys)
    last = state.last_success_at
    return {
        "healthy": not state.alerting and last is not None and now - last <= SNAPSHOT_LATE,
        "todaySnapshotExists": (state.last_report or {}).get("date") == now.date().isoformat(),
        "consecutiveFailures": state.consecutive_failures,
        "lastCheck": iso(state.last_started_at),
        "lastSuccess": iso(last),
    }


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


def _problems(answer: Report) -> Iterator[str]:
    if answer["db"]["status"] != "ok":
        yield f"{answer['db']['error'].capitalize()}."
        return
    if answer["broker"]["status"] != "ok":
        yield "The broker does not answer: no task is started."
    if answer["worker"]["status"] != "ok":
        yield "No worker has been seen for over a minute: nothing is read from the chain."
    if not answer["sync"]["healthy"]:
        yield f"Payments may be missing: {answer['sync']['reason']}."
    for failed in answer["sync"]["failedSources"] or ():
        yield f"A source of the chain failed, and another one was used instead: {failed}."
    if answer["snapshot"]["healthy"] is False:
        yield "The daily snapshot is late."
    services = answer["services"] | ({"backup": answer["backup"]} if answer["backup"] else {})
    for name, service in services.items():
        if service["status"] == "failed":
            words = name.replace("_", " ")
            yield f"{words.capitalize()} failed {service['consecutiveFailures']} times in a row: {service['error']}"


def iso(moment: datetime | None) -> str | None:
    """An instant as the API writes it."""
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
