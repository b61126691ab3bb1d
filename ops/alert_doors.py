"""The one door to each verb of the alerts: tasks, command and admin come through here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from ops import alert_channels, alert_rules, alert_sending, alerts, runs
from ops.alert_messages import Message
from ops.asking import CHECK, SEND, ask
from ops.overdue import is_overdue
from ops.quiet import run_quietly

Report = dict[str, Any]

log = structlog.get_logger(__name__)


def check_alerts(*, trigger: str, wait: float = 0) -> Report:
    """Raise what is wrong, close what has healed, and have it told. Sends nothing itself."""
    with runs.run("check_alerts", trigger=trigger, wait=wait) as run, transaction.atomic():
        run.guard()
        now = timezone.now()
        done = alerts.settle(alert_rules.troubles(now), now)
        run.report = {"raised": done.raised, "closed": done.closed, "open": done.open}
    if alert_sending.due([channel.name for channel in alert_channels.configured()], now):
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
        done = alert_sending.send_alerts(channels=alert_channels.configured(), now=timezone.now())
        run.report = {"sent": done.sent, "failed": done.failed}
        if done.failed:
            raise runs.NotDone(_words(done.failed), run.report)
    return run.report


def send_test(*, trigger: str, wait: float = 0) -> Report:
    """Tell a test on every channel at once. `email`, `webhook`: sent, the reason why not, or None where not set up.

    Leaves no run behind: three tests of an address that is being set up are no alert.
    """
    channels = alert_channels.configured()
    report: Report = {"email": None, "webhook": None} | {channel.name: "sent" for channel in channels}
    if not channels:
        raise runs.NotDone("nobody is told: ALERT_WEBHOOK_URL and ALERT_EMAILS are not set", report)
    failed, message = dict[str, str](), Message.test()
    for channel in channels:
        try:
            alert_sending.tell(channel, message)
        except alert_channels.NotTold as error:
            failed[channel.name] = str(error)
    if failed:
        raise runs.NotDone(_words(failed), report | failed)
    return report


def _words(failed: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failed.items())
