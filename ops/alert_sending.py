"""Telling people about alerts: each message once, whoever sends.

A message is claimed by a conditional UPDATE before it is sent, and given back when no channel took it. A process
that is killed in between leaves its message unsent: of an open alert the next day's repetition tells.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db.models import Q, QuerySet

from ops.alert_channels import Channel, NotTold
from ops.alert_messages import Message
from ops.models import Alert

log = structlog.get_logger(__name__)

ROUND_S = 60.0  # the rest waits for the next round
REPEAT = timedelta(days=1)
RECOVERY_TOLD = timedelta(days=1)  # of an alert that closed longer ago nobody wants to hear any more


@dataclass(frozen=True, slots=True)
class SendReport:
    """`failed`: why a channel did not take its message, by its name."""

    sent: int
    failed: dict[str, str] = field(default_factory=dict)


def due(now: datetime) -> QuerySet[Alert]:
    """What somebody has to be told: new ones, those of a day ago that still hold, and the end of what was told."""
    open_ones = Q(closed_at=None) & (Q(sent_at=None) | Q(sent_at__lte=now - REPEAT))
    over = Q(closed_at__gt=now - RECOVERY_TOLD, recovery_sent_at=None) & ~Q(sent_at=None)
    return Alert.objects.filter(open_ones | over).order_by("id")


def send_alerts(*, channels: Sequence[Channel], now: datetime) -> SendReport:
    """Tell what is due on every channel. One that failed is not used again in this round."""
    sent, failed, left = 0, dict[str, str](), list(channels)
    until = time.monotonic() + ROUND_S
    for alert in due(now):
        if not left or time.monotonic() > until:
            break
        if not claim(alert, now):
            continue
        refusals = tell(left, Message.of(alert))
        failed |= refusals
        if len(refusals) == len(left):
            _give_back(alert, now)
        else:
            sent += 1
        left = [channel for channel in left if channel.name not in refusals]
    return SendReport(sent, failed)


def claim(alert: Alert, now: datetime) -> bool:
    """Whether this message is ours to send: of all who try with the same row, one wins."""
    row = Alert.objects.filter(pk=alert.pk)
    if alert.closed_at is None:
        return bool(row.filter(closed_at=None, sent_at=alert.sent_at).update(sent_at=now))
    return bool(row.filter(recovery_sent_at=None).update(recovery_sent_at=now))


def _give_back(alert: Alert, now: datetime) -> None:
    row = Alert.objects.filter(pk=alert.pk)
    if alert.closed_at is None:
        row.filter(sent_at=now).update(sent_at=alert.sent_at)
    else:
        row.filter(recovery_sent_at=now).update(recovery_sent_at=None)


def tell(channels: Sequence[Channel], message: Message) -> dict[str, str]:
    """Give it to each of them. Why it did not get through, by the channel's name."""
    failed: dict[str, str] = {}
    for channel in channels:
        try:
            channel.tell(message)
        except NotTold as error:
            log.warning("alert_not_told", channel=channel.name, key=message.key, reason=str(error))
            failed[channel.name] = str(error)
        else:
            log.info("alert_told", channel=channel.name, key=message.key, about=message.event)
    return failed
