"""Read the first page of the admin: what is wrong, a card for each part of the system, the last jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.urls import reverse

from fluxtracker import formatting
from ops import health, schedule
from ops.models import Alert, Job, ServiceState, TaskState, WorkerSeen
from ops.registry import missing_days
from ops.schedule import Beat
from ops.status import Status, words

Report = dict[str, Any]
Mood = Literal["", "good", "bad"]

NEVER = "never"
UNKNOWN = "not known"
WORKER_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a card. `mood` colours it; the words say the same."""

    label: str
    value: str
    mood: Mood = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """`permission`: what Django must allow a reader for whom this is shown; empty: all staff."""

    key: str
    title: str
    permission: str
    url: str
    facts: list[Fact]


def cards(report: Report, now: datetime) -> Iterator[Card]:
    """Make them from the health report, which must have reached the database, and a few small tables."""
    yield Card("sync", "Payments", "revenue.view_payment", listing("revenue", "payment"), _sync(report["sync"], now))
    yield Card(
        "snapshots", "Snapshots", "snapshots.view_snapshot", reverse("admin:snapshots_snapshot_calendar"),
        _snapshots(report["snapshot"], now),
    )  # fmt: skip
    yield Card("sources", "Sources", "metrics.view_source", listing("metrics", "source"), _sources(report, now))
    yield Card("services", "Services", "ops.view_servicestate", listing("ops", "servicestate"), _services(now))
    yield Card("workers", "Workers", "ops.view_workerseen", listing("ops", "workerseen"), _workers(report, now))
    yield Card("storage", "Storage", "", "", _storage(report, now))


def listing(app: str, model: str) -> str:
    return reverse(f"admin:{app}_{model}_changelist")


def _sync(sync: Report, now: datetime) -> list[Fact]:
    waiting = sync["quarantine"]
    return [
        _state(sync),
        Fact("read to block", _number(sync["lastSyncBlock"])),
        Fact("chain at block", _number(sync["currentBlock"])),
        Fact("last complete", _ago(sync["lastCompleted"], now)),
        Fact("quarantine", _number(waiting), "bad" if waiting else "", listing("revenue", "quarantined")),
    ]


def _state(sync: Report) -> Fact:
    if not sync["healthy"]:
        return Fact("state", sync["reason"], "bad")
    if sync["consecutiveFailures"]:
        return Fact("state", "the last try failed", "bad")
    return Fact("state", "in order", "good")


def _snapshots(snapshot: Report, now: datetime) -> list[Fact]:
    missing = sum(len(days(now)) for days in missing_days)
    taken, healthy = snapshot["todaySnapshotExists"], snapshot["healthy"]
    return [
        Fact("today's", "taken" if taken else "not taken yet", "good" if taken else "bad" if healthy is False else ""),
        Fact("last check", _ago(snapshot["lastCheck"], now)),
        Fact("last success", _ago(snapshot["lastSuccess"], now)),
        Fact("missing of 30 days", formatting.whole(missing), "bad" if missing else "good"),
    ]


def _sources(report: Report, now: datetime) -> list[Fact]:
    return [
        Fact(name, f"{source['status']}, {_ago(source['asOf'], now)}" if source["asOf"] else source["status"],
             "good" if source["status"] == "ok" else "bad" if source["status"] in ("stale", "failed") else "")
        for name, source in report["sources"].items()
    ]  # fmt: skip


def _services(now: datetime) -> list[Fact]:
    """Count those in order, and name those that fail."""
    states = list(ServiceState.objects.all())
    well = [state for state in states if state.status == ServiceState.Status.OK]
    ailing = [state for state in states if state.status in (ServiceState.Status.FAILED, ServiceState.Status.MISSING)]
    checked = max((state.checked_at for state in states), default=None)
    return [
        Fact("in order", f"{len(well)} of {len(states)}" if states else "none checked yet"),
        Fact("last check", NEVER if checked is None else formatting.ago(checked, now)),
        *(Fact(state.name, state.get_status_display(), "bad") for state in ailing),
    ]


def _workers(report: Report, now: datetime) -> list[Fact]:
    broker, worker = report["broker"], report["worker"]["status"] == "ok"
    seen = WorkerSeen.objects.filter(seen_at__gt=now - WORKER_FORGOTTEN).order_by("-seen_at")[:10]
    return [
        Fact("broker", broker.get("error", "answers"), "bad" if "error" in broker else "good"),
        Fact("workers", "at work" if worker else "none seen for over a minute", "good" if worker else "bad"),
        *(Fact(row["name"], "overdue", "bad") for row in report["schedule"]["overdue"]),
        *(Fact(row.hostname, f"seen {formatting.ago(row.seen_at, now)}") for row in seen),
    ]


def _storage(report: Report, now: datetime) -> list[Fact]:
    disk, backup = health.disk(), report["backup"]
    free = UNKNOWN if disk is None else f"{_size(disk.free)} of {_size(disk.total)}"
    little = disk is not None and disk.is_nearly_full()
    return [
        Fact("database", _size(health.database_bytes())),
        Fact("free disk", free, "bad" if little else ""),
        Fact("last backup", _ago(backup["lastSuccess"], now) if backup else NEVER,
             "bad" if _is_backup_bad(report) else ""),
    ]  # fmt: skip


def _is_backup_bad(report: Report) -> bool:
    """Return whether it keeps failing, or none was made for too long."""
    keeps_failing = report["backup"] is not None and report["backup"]["status"] == "failed"
    return keeps_failing or any(alert["key"] == "backup" for alert in report["alerts"])


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else formatting.whole(value)


def _ago(iso: str | None, now: datetime) -> str:
    """Return the age of an instant as the health report writes it."""
    return NEVER if iso is None else formatting.ago(datetime.fromisoformat(iso), now)


def _size(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else formatting.size(count / 1e9)


LAST_JOBS = 8
MOST_ALERTS = 20


@dataclass(frozen=True, slots=True)
class Overview:
    """`statuses` are the problems of `/api/health`; the other parts are rows."""

    now: datetime
    statuses: tuple[Status, ...]
    cards: list[Card]
    alerts: list[Alert]
    beats: list[Beat]
    jobs: list[Job]

    @property
    def problems(self) -> list[str]:
        return [words(status, self.now) for status in self.statuses]

    @property
    def other_problems(self) -> list[str]:
        """Return those that are not among the open alerts."""
        keys = {alert.key for alert in self.alerts}
        return [words(status, self.now) for status in self.statuses if not status.key or status.key not in keys]

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.state in Job.ACTIVE]


def load(now: datetime) -> Overview:
    """Read all of it, with a fixed number of queries."""
    found = health.look(now)
    states = {state.name: state for state in TaskState.objects.all()}
    return Overview(
        now=now,
        statuses=found.problems,
        cards=list(cards(found.report, now)),
        alerts=list(Alert.objects.filter(closed_at=None)[:MOST_ALERTS]),
        beats=schedule.beats(states, now),
        jobs=list(Job.objects.order_by("-id")[:LAST_JOBS]),
    )
