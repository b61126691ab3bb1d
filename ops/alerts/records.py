"""Store alerts: raised once, updated while they last, closed when resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from fluxtracker.database import compiled_once
from ops.models import Alert
from ops.status import Status, words

log = structlog.get_logger(__name__)

LONGEST_KEY, LONGEST_MESSAGE = 100, 500  # the columns' lengths


@dataclass(frozen=True, slots=True)
class Settled:
    """Changes from a comparison of the problems with the open alerts."""

    raised: int
    closed: int
    open: int


def settle(problems: Iterable[Status], now: datetime) -> Settled:
    """Update the rows to match all current problems; missing ones are resolved."""
    current = {problem.key[:LONGEST_KEY]: problem for problem in problems if not problem.is_ok}
    raised = [problem for problem in current.values() if raise_alert(problem, now)]
    healed = Alert.objects.filter(closed_at=None).exclude(key__in=current).values_list("key", flat=True)
    closed = [key for key in list(healed) if close_alert(key, now)]
    for problem in raised:
        log.error("alert_raised", key=problem.key, code=problem.code, message=words(problem, now))
    for key in closed:
        log.warning("alert_closed", key=key)
    return Settled(len(raised), len(closed), len(current))


def raise_alert(problem: Status, now: datetime) -> bool:
    """Raise the alert, or note that it still lasts. Return whether it is new; the database allows one per key."""
    key, message = problem.key[:LONGEST_KEY], words(problem, now)[:LONGEST_MESSAGE]
    if Alert.objects.filter(key=key, closed_at=None).update(message=message, seen_at=now):
        return False
    _, created = Alert.objects.get_or_create(
        key=key, closed_at=None, defaults={"message": message, "raised_at": now, "seen_at": now}
    )
    return created


def close_alert(key: str, now: datetime) -> bool:
    """Close the alert. Return whether it was open."""
    return bool(Alert.objects.filter(key=key[:LONGEST_KEY], closed_at=None).update(closed_at=now))


def is_open(key: str) -> bool:
    return Alert.objects.filter(key=key, closed_at=None).exists()


def open_alerts() -> list[Alert]:
    """Return open alerts, newest first."""
    return list(_open())


_open = compiled_once(lambda: Alert.objects.filter(closed_at=None).order_by("-raised_at", "-id"))
