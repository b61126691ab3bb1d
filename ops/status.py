"""Describe the status of a part of the system: as a code with facts, and as a sentence of the one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from string import Formatter
from typing import Any, NamedTuple

from fluxtracker import formatting

MOST_NAMED = 3
NO_REASON = "no reason was noted"


@dataclass(frozen=True, slots=True)
class Status:
    """A coded status. `code` is for programs; `facts` fill its sentence; `since` is when it began."""

    code: str = "ok"
    since: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    """Subject of an alert about it."""

    @property
    def is_ok(self) -> bool:
        return self.code == "ok"


OK = Status()


class Part(NamedTuple):
    """A part of `/api/health`: its JSON, and its problems, without those that are ok."""

    report: Any
    problems: Sequence[Status] = ()


SENTENCES: Mapping[str, str] = {
    "database_unreachable": "The database cannot be reached.",
    "database_unmigrated": "{missing:migration} missing: run `manage.py migrate`.",
    "broker_silent": "The broker does not answer: no task is started.",
    "broker_full": "The broker takes no writes: its memory is full: no task is started.",
    "broker_read_only": "The broker takes no writes: it is a read-only replica: no task is started.",
    "broker_disk": "The broker takes no writes: its disk cannot be written: no task is started.",
    "broker_replicas": "The broker takes no writes: its replicas are away: no task is started.",
    "broker_forbidden": "The broker takes no writes: its user may not write: no task is started.",
    "broker_refuses": "The broker takes no writes: it refuses them: no task is started.",
    "worker_missing": "No worker has been seen for over a minute: nothing is read from the chain.",
    "schedule_overdue": "The schedule is overdue: {rows}.",
    "task_failing": "{name} failed {failures} times in a row: {error}",
    "sync_revenue_failing": "Payments may be missing: the sync failed {failures} times in a row ({error}).",
    "sync_never": "Payments may be missing: no sync has completed yet.",
    "sync_in_future": "Payments may be missing: the last sync lies in the future: the clock was set back.",
    "sync_late": "Payments may be missing: no sync has completed for {length}.",
    "sync_tip_unmoved": "Payments may be missing: the source has been at block {height} for {length}.",
    "sync_unproved": "Payments may be missing: from block {height} on a source contradicts the ledger, "
    "and no second one confirms or denies it.",
    "sync_retrying": "Last chain read failed; retrying automatically.",
    **dict.fromkeys(
        ("chain_failed", "chain_unavailable", "chain_bad_answer", "chain_behind", "chain_astray"),
        "A source of the chain failed, and another one was used instead: {error}.",
    ),
    "ledger_differs": "The last audit found {rows:payment} that differ from the chain: revenue may be off by them.",
    "price_doubted": "The price of {days:day} is doubted, of {day} for one ({doubt}): it needs a second source. "
    "Payments of these days have no final dollars yet.",
    "sender_unlabelled": "{sender} paid {percent} % of {month} without a label that holds: say who it is "
    "under Labels in the admin.",
    "quarantine_old": "{rows:transaction} could not be read for over a day: not counted yet.",
    "source_late": "{label}: last read {since:ago}: no collection has succeeded since.",
    "source_unread": "{label}: never read: {error}.",
    "source_failed": "{label}: last read {since:ago}: {error}.",
    "source_doubted": "{label}: last read {since:ago}: {error}.",
    "total_differs": "{label}: the source reports {reported:node}, not the sum of its tiers.",
    "upstream_failing": "{name} failed {failures} checks in a row, the last one {checked_at:ago}: {detail}.",
    "app_failing": "{name} failed {failures} checks in a row, the last one {checked_at:ago}: {detail}.",
    "checks_never": "No service has been checked yet.",
    "checks_late": "No service has been checked since {since}.",
    "checks_failing": "{names} failed three times in a row or more.",
    "snapshot_missing": "There is no snapshot of {day}: {reason}.",
    "list_failed": "The source could not be read at {since}.",
    "list_late": "Not read since {since}.",
    "upstreams_unreachable": "No upstream can be reached from this machine; check its network. Retrying automatically.",
    "first_sync": "The first sync has read up to block {height}.",
    "complete_until": "Payments up to block {height} are complete; newer ones will follow.",
    "snapshot_check_late": "The check that takes the daily snapshot is late or keeps failing.",
    "backup_never": "No backup has been made yet. One is due each day.",
    "backup_in_future": "The last good backup lies in the future: the clock was set back. One is due each day.",
    "backup_late": "The last good backup was made {since:ago}. One is due each day.",
    "disk_nearly_full": "The disk of the data dir is nearly full: {free_gb:.1f} GB are free.",
    "alert": "{message}",
}
PUBLIC: Mapping[str, str] = {  # for readers of the page: without hosts, paths and errors
    "task_failing": "{name} failed {failures} times in a row: the reason is in the admin.",
    "sync_revenue_failing": "Payments may be missing: reading them failed {failures} times in a row.",
    "chain_failed": "A source of the chain failed, and another one was used instead.",
    "chain_unavailable": "A source of the chain did not answer, and another one was used instead.",
    "chain_bad_answer": "A source of the chain gave an unusable answer, and another one was used instead.",
    "chain_behind": "A source of the chain was behind, and another one was used instead.",
    "chain_astray": "A source of the chain followed another branch, and another one was used instead.",
    "source_never": "{name}: not read yet.",
    "source_late": "{name}: not read since {since}; showing the last values.",
    "source_unread": "{name}: not read yet; the last try failed at {tried_at}.",
    "source_failed": "{name}: could not be read since {since}; showing the last values.",
    "source_doubted": "{name}: new numbers are not confirmed yet; showing those of {since}.",
    "total_differs": "{name}: the source reports {reported:node}, not the sum of its tiers; showing that sum.",
    "upstream_failing": "{title} failed {failures} checks in a row, the last one {checked_at:ago}.",
}


INCIDENTS: Mapping[str, str] = {  # kinds of alerts, for readers of the page, as messages may name hosts and errors
    "task": "{about} kept failing",
    "service": "{about} did not answer as it should",
    "source": "{about} could not be read",
    "sync-lag": "Payments were late",
    "unproved": "A source of the chain contradicted the ledger",
    "ledger-differs": "An audit found payments that differ from the chain",
    "price-doubted": "A price was doubted",
    "quarantine": "Transactions could not be read",
    "snapshot": "A snapshot was missing",
    "schedule": "The schedule was overdue",
    "backup": "A backup was missing",
    "disk": "The disk was nearly full",
}
OTHER_INCIDENT = "Something else was wrong"


class _Facts(Formatter):
    """Formats facts by type. `{at:ago}` is the age of an instant, `{rows:payment}` a count with its noun."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def format_field(self, value: Any, format_spec: str) -> Any:
        if isinstance(value, datetime):
            return formatting.ago(value, self._now) if format_spec else formatting.moment(value)
        if isinstance(value, timedelta):
            return formatting.span(value)
        if isinstance(value, int):
            return formatting.plural(value, format_spec) if format_spec else formatting.whole(value)
        if isinstance(value, tuple):
            more = [f"{len(value) - MOST_NAMED} more"] if len(value) > MOST_NAMED else []
            return ", ".join([*map(str, value[:MOST_NAMED]), *more])
        return super().format_field(value, format_spec)


def words(status: Status, now: datetime, *, public: bool = False) -> str:
    """Return the sentence of a status, empty if ok. `public`: without hosts, paths and errors."""
    if status.is_ok:
        return ""
    template = PUBLIC.get(status.code) if public else None
    return _Facts(now).vformat(template or SENTENCES[status.code], (), {"since": status.since, **status.facts})


def task_failing(name: str, failures: int, error: str) -> Status:
    """Return the status of a task that keeps failing, with a code of its own for important ones."""
    code = f"{name}_failing"
    facts = {"name": name.replace("_", " ").capitalize(), "failures": failures, "error": error or NO_REASON}
    return Status(code if code in SENTENCES else "task_failing", facts=facts, key=f"task:{name}")
