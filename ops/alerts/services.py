"""Raise, close and send alerts, for tasks, command and admin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import requests
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ops.alerts import records, sending
from ops.alerts.sending import Message
from ops.alerts.webhook import NotDelivered
from ops.jobs import runs
from ops.jobs.task_helpers import CHECK, SEND, give, in_worker, run_quietly
from ops.models import Alert
from ops.registry import alert_rule
from ops.schedule_rows import is_overdue
from ops.status import Status

HEARTBEAT_TIMEOUT_S = 10


def problems(now: datetime) -> Iterator[Status]:
    """Yield all current problems."""
    for rule in alert_rule:
        yield from rule(now)


Report = dict[str, Any]

log = structlog.get_logger(__name__)


def check_alerts(*, trigger: str, wait: float = 0) -> Report:
    """Raise and close alerts, and request their messages, without sending any."""
    with runs.run("check_alerts", trigger=trigger, wait=wait) as run, transaction.atomic():
        run.guard()
        now = timezone.now()
        done = records.settle(problems(now), now)
        run.report = asdict(done)
    if sending.due([channel.name for channel in sending.configured()], now) and in_worker():
        give(SEND)
    return run.report


def check_if_overdue(now: datetime) -> bool:
    """Check and send in this process (Beat's) if no worker has checked for twice the interval.

    Return whether it did. The problem may be the broker or the workers themselves.
    """
    if not is_overdue(CHECK, now):
        return False
    log.warning("alerts_checked_by_beat")
    run_quietly(check_alerts)
    run_quietly(send_alerts)
    return True


def send_alerts(*, trigger: str, wait: float = 0) -> Report:
    """Send due messages. Fails if a channel did not take its message."""
    with runs.run("send_alerts", trigger=trigger, wait=wait) as run:
        done = sending.send_alerts(channels=sending.configured(), now=timezone.now())
        run.report = asdict(done)
        if done.failed:
            raise runs.NotDone(_words(done.failed), run.report)
    return run.report


def ping_heartbeat(*, trigger: str, wait: float = 0) -> Report:
    """Ping HEARTBEAT_URL, if set, while no alert is open: its silence is the alarm."""
    with runs.run("ping_heartbeat", trigger=trigger, wait=wait) as run:
        is_due = bool(settings.HEARTBEAT_URL) and not Alert.objects.filter(closed_at=None).exists()
        run.report = {"pinged": is_due}
        if is_due:
            _ping(settings.HEARTBEAT_URL, run.report)
    return run.report


def _ping(url: str, report: Report) -> None:
    try:
        status = requests.get(url, timeout=HEARTBEAT_TIMEOUT_S, headers={"User-Agent": "fluxtracker"}).status_code
    except requests.RequestException as error:  # its text contains the URL
        raise runs.NotDone(f"the heartbeat was not taken ({type(error).__name__})", report) from None
    if status >= 400:
        raise runs.NotDone(f"the heartbeat was not taken (HTTP {status})", report)


def send_test(*, trigger: str, wait: float = 0) -> Report:
    """Send a test on every channel. `email`, `webhook`: sent, the error, or None if not configured.

    Records no run, so that failing tests during setup raise no alert.
    """
    channels = sending.configured()
    report: Report = {"email": None, "webhook": None} | {channel.name: "sent" for channel in channels}
    if not channels:
        raise runs.NotDone("no alert channel is configured: set ALERT_URLS, ALERT_WEBHOOK_URL or ALERT_EMAILS", report)
    failed, message = dict[str, str](), Message.test()
    for channel in channels:
        try:
            sending.deliver(channel, message)
        except NotDelivered as error:
            failed[channel.name] = str(error)
    if failed:
        raise runs.NotDone(_words(failed), report | failed)
    return report


def _words(failed: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failed.items())
