"""Report the system's health from the database. Never asks an upstream, as a check must add no load."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from fluxtracker import __version__
from fluxtracker.database import compiled_once, database_words
from fluxtracker.timestamps import iso, unix_ms
from ops import broker, check_results, schedule_rows
from ops.alerts import records
from ops.api.serializers import AlertHealth, BackupHealth, OverdueWork, ServiceHealth
from ops.models import ServiceState, TaskState
from ops.registry import health_checks
from ops.status import OK, Part, Status, words

log = structlog.get_logger(__name__)

Report = dict[str, Any]

REPORTED_BY_PARTS = frozenset(
    ("task", "service", "source", "sync-lag", "unproved", "snapshot", "schedule")
)  # kinds of alerts with a part of their own in the report
DATABASE_ERRORS = (DatabaseError, InterfaceError)
STARTED = time.monotonic()
OWN_PARTS = ("sync_revenue",)  # tasks with a part of their own in the report


@dataclass(frozen=True, slots=True)
class Health:
    """Answer of `/api/health` (docs/contract.md#api), and its problems as codes."""

    report: Report
    problems: tuple[Status, ...]


def report(now: datetime) -> Report:
    """Return the complete `/api/health`."""
    return look(now).report


def look(now: datetime) -> Health:
    """Check every part. Without a database only the broker can be checked."""
    database = OK if _database() in _known_migrated else database_status()
    if database.is_ok:
        try:
            return _health(database, _parts(now), now)
        except DATABASE_ERRORS as error:  # it has gone away, or one of its tables is locked
            database = _unavailable(error)
    return _health(database, _unknown(now), now)


def _health(database: Status, parts: Mapping[str, Part], now: datetime) -> Health:
    candidates = [problem for part in parts.values() for problem in part.problems] if database.is_ok else [database]
    problems = [problem for problem in candidates if not problem.is_ok]
    report = {
        "status": "error" if not database.is_ok else "degraded" if problems else "ok",
        "timestamp": unix_ms(now),
        "version": __version__,
        "uptime": round(time.monotonic() - STARTED),
        "db": database_report(database),
        **{name: part.report for name, part in parts.items()},
        "problems": [words(problem, now) for problem in problems],
    }
    return Health(report, tuple(problems))


def _parts(now: datetime) -> dict[str, Part]:
    """Return the parts by name, in the display order of their problems."""
    states = TaskState.by_name()
    parts = {name: check(now, states) for name, check in health_checks().items()}
    return {
        "broker": broker_part(now),
        "worker": worker_part(now),
        "schedule": schedule_part(now, states),
        "sync": parts["sync"],
        "snapshot": parts["snapshot"],
        "services": _services(states),
        "backup": Part(BackupHealth.write(TaskState.of("backup", states))),
        "alerts": _alerts(),
        "sources": parts["sources"],
        "census": parts["census"],
        "messages": parts["messages"],
        "checks": checks_part(),
        "quarantine": Part(parts["sync"].report["quarantine"]),
    }


def _unknown(now: datetime) -> dict[str, Part]:
    nothing: Report = {
        "worker": {"status": "unknown", "lastSeen": None},
        "schedule": {"status": "unknown", "overdue": [], "reason": None},
        "services": {},
        **dict.fromkeys(("backup", "alerts", "checks", "quarantine")),
    }
    return {
        "broker": broker_part(now),
        **{name: Part(report) for name, report in nothing.items()},
        **{name: check(None, {}) for name, check in health_checks().items()},
    }


def checks_part() -> Part:
    """Count checked services by status, with the time of the last check; null: never."""
    states = list(_services_checked())
    count = Counter(state.status for state in states)
    report = {
        "total": len(states),
        **{status: count[status] for status in ServiceState.Status.values},
        "lastCheck": iso(max((state.checked_at for state in states), default=None)),
    }
    return Part(report, [check_results.failing(state) for state in states if state.keeps_failing])


_services_checked = compiled_once(lambda: ServiceState.objects.all())


def database_status() -> Status:
    """Return whether the database answers and has every migration."""
    try:
        missing = _missing_migrations()
    except DATABASE_ERRORS as error:
        return _unavailable(error)
    return Status("database_unmigrated", facts={"missing": missing}) if missing else OK


def database_report(status: Status) -> Report:
    return _reported(status) | {"engine": connection.vendor}


def _unavailable(error: Exception) -> Status:
    log.warning("database_unavailable", error=database_words(error))
    return Status("database_unreachable")


def _reported(status: Status, now: datetime | None = None) -> Report:
    """Return a status as in the API: `ok`, or `error` with its sentence."""
    if status.is_ok:
        return {"status": "ok"}
    return {"status": "error", "error": words(status, now or timezone.now())}


_known_migrated: set[str] = set()


def _database() -> str:
    return str(connection.settings_dict["NAME"])


def _missing_migrations() -> int:
    """Count missing migrations. Reading the plan takes 50 ms, so a complete database is then only pinged."""
    name = _database()
    if name in _known_migrated:
        TaskState.objects.exists()
        return 0
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if not missing:
        _known_migrated.add(name)
    return missing


def broker_part(now: datetime) -> Part:
    status = broker.status()
    return Part(_reported(status, now), [status])


def worker_part(now: datetime) -> Part:
    """Report when a worker was last seen alive."""
    status = schedule_rows.worker(now)
    return Part({"status": "ok" if status.is_ok else "missing", "lastSeen": iso(status.since)}, [status])


def schedule_part(now: datetime, states: Mapping[str, TaskState]) -> Part:
    """Report schedule rows overdue by twice their interval."""
    rows = schedule_rows.overdue(now, states)
    problem = schedule_rows.status(rows)
    report = {
        "status": "overdue" if rows else "ok",
        "overdue": [OverdueWork.write(row) for row in rows],
        "reason": words(problem, now) or None,
    }
    return Part(report, [problem])


def _services(states: Mapping[str, TaskState]) -> Part:
    others = {name: state for name, state in states.items() if name not in OWN_PARTS}
    failing = [state.failing for state in others.values() if state.alerting]
    return Part({name: ServiceHealth.write(state) for name, state in others.items()}, failing)


def _alerts() -> Part:
    """Report open alerts, newest first. Problems reported by another part are left out."""
    alerts = records.open_alerts()
    others = [alert.status for alert in alerts if alert.kind not in REPORTED_BY_PARTS]
    return Part([AlertHealth.write(alert) for alert in alerts], others)


FULL_SHARE, FULL_BYTES = 0.10, 2 << 30


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk under the data dir, in bytes."""

    free: int
    total: int

    def is_nearly_full(self, relief: float = 1) -> bool:
        """Return whether free space is below both limits, each times `relief`."""
        return self.free < FULL_BYTES * relief and self.free < self.total * FULL_SHARE * relief


def disk() -> Disk | None:
    """Return the disk, None if the data dir cannot be read."""
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
    except OSError:
        return None
    return Disk(usage.free, usage.total)
