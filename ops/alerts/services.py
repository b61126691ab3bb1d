"""Raise and close alerts: each rule looks at what the database remembers and yields what is wrong now.

The one door to each verb of the alerts: tasks, command and admin come through here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from fluxtracker import formatting
from fluxtracker.periods import is_ahead, is_fresh
from ops import checks, health, runs, schedule
from ops.alerts import records, sending
from ops.alerts.records import CHECK, SEND, Trouble, ask
from ops.alerts.sending import Message
from ops.models import ServiceState, TaskState
from ops.registry import alert_rule
from ops.runs import ALERT_AFTER, run_quietly
from ops.schedule import is_overdue

BACKUP = "backup"  # the name of its runs and of its row in the schedule
BACKUP_LATE = timedelta(hours=26)
CATCHES_UP = timedelta(minutes=15)  # without a look at the alerts: this machine was off
DISK_RELIEF = 1.1  # times the limits, before it counts as healed: the edge is not told again and again
GB = 1 << 30


def troubles(now: datetime) -> Iterator[Trouble]:
    """All that holds at this moment."""
    for rule in alert_rule:
        yield from rule(now)


def installed_at(now: datetime) -> datetime:
    """When the database was made. A young installation is late with nothing yet."""
    first: datetime | None = MigrationRecorder(connection).migration_qs.aggregate(first=Min("applied"))["first"]
    return first or now


@alert_rule
def of_tasks(now: datetime) -> Iterator[Trouble]:
    """Three failures in a row of any task (docs/contract.md#schedule)."""
    for state in TaskState.objects.filter(consecutive_failures__gte=ALERT_AFTER).order_by("name"):
        yield records.of_task(state.name, state.consecutive_failures, state.last_error)


@alert_rule
def of_services(now: datetime) -> Iterator[Trouble]:
    """A service that failed three checks in a row."""
    for state in ServiceState.objects.filter(consecutive_failures__gte=ALERT_AFTER):
        yield Trouble(f"service:{state.kind}:{state.name}", checks.sentence(state, now))


@alert_rule
def of_schedule(now: datetime) -> Iterator[Trouble]:
    """Work that did not run for twice its interval. After a pause of everything it has one round to catch up."""
    looked = TaskState.objects.filter(name="check_alerts").values_list("last_success_at", flat=True).first()
    if looked is not None and not is_fresh(looked, now, CATCHES_UP):
        return
    if sentence := schedule.sentence(schedule.overdue(now)):
        yield Trouble("schedule", sentence)


@alert_rule
def of_backup(now: datetime) -> Iterator[Trouble]:
    """No good backup for 26 h, where the schedule makes them."""
    if not PeriodicTask.objects.filter(name=BACKUP, enabled=True).exists():
        return
    last = TaskState.objects.filter(name=BACKUP).values_list("last_success_at", flat=True).first()
    if is_fresh(last or installed_at(now), now, BACKUP_LATE):
        return
    yield Trouble("backup", f"{_last_backup(last, now)} One is due each day.")


def _last_backup(last: datetime | None, now: datetime) -> str:
    if last is None:
        return "No backup has been made yet."
    if is_ahead(last, now):
        return "The last good backup lies in the future: the clock was set back."
    return f"The last good backup was made {formatting.ago(last, now)}."


@alert_rule
def of_disk(now: datetime) -> Iterator[Trouble]:
    """The data dir's disk is nearly full."""
    disk = health.disk()
    relief = DISK_RELIEF if records.is_open("disk") else 1
    if disk and disk.is_nearly_full(relief):
        yield Trouble("disk", f"The disk of the data dir is nearly full: {disk.free / GB:.1f} GB are free.")


Report = dict[str, Any]

log = structlog.get_logger(__name__)


def check_alerts(*, trigger: str, wait: float = 0) -> Report:
    """Raise what is wrong, close what has healed, and have it told. Sends nothing itself."""
    with runs.run("check_alerts", trigger=trigger, wait=wait) as run, transaction.atomic():
        run.guard()
        now = timezone.now()
        done = records.settle(troubles(now), now)
        run.report = {"raised": done.raised, "closed": done.closed, "open": done.open}
    if sending.due([channel.name for channel in sending.configured()], now):
        ask(SEND)
    return run.report


def check_if_overdue(now: datetime) -> bool:
    """Check and send here, for the scheduler's process, when no worker has checked for twice the interval.

    Return whether that was so. What is wrong may be the broker or the workers themselves.
    """
    if not is_overdue(CHECK, now):
        return False
    log.warning("alerts_checked_by_beat")
    run_quietly(check_alerts)
    run_quietly(send_alerts)
    return True


def send_alerts(*, trigger: str, wait: float = 0) -> Report:
    """Tell what is due. Counts as failed when a channel did not take its message."""
    with runs.run("send_alerts", trigger=trigger, wait=wait) as run:
        done = sending.send_alerts(channels=sending.configured(), now=timezone.now())
        run.report = {"sent": done.sent, "failed": done.failed}
        if done.failed:
            raise runs.NotDone(_words(done.failed), run.report)
    return run.report


def send_test(*, trigger: str, wait: float = 0) -> Report:
    """Tell a test on every channel at once. `email`, `webhook`: sent, the reason why not, or None where not set up.

    Leaves no run behind: three tests of an address that is being set up are no alert.
    """
    channels = sending.configured()
    report: Report = {"email": None, "webhook": None} | {channel.name: "sent" for channel in channels}
    if not channels:
        raise runs.NotDone("nobody is told: ALERT_WEBHOOK_URL and ALERT_EMAILS are not set", report)
    failed, message = dict[str, str](), Message.test()
    for channel in channels:
        try:
            sending.tell(channel, message)
        except sending.NotTold as error:
            failed[channel.name] = str(error)
    if failed:
        raise runs.NotDone(_words(failed), report | failed)
    return report


def _words(failed: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failed.items())
