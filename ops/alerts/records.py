"""Keep alerts as rows: raised once, kept up to date while they hold, closed when they heal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog
from celery import current_app, current_task

from ops import broker
from ops.models import Alert
from ops.status import Status, words

log = structlog.get_logger(__name__)

LONGEST_KEY, LONGEST_MESSAGE = 100, 500  # the columns' lengths


@dataclass(frozen=True, slots=True)
class Settled:
    """What a comparison of the problems with the open alerts changed."""

    raised: int
    closed: int
    open: int


def settle(problems: Iterable[Status], now: datetime) -> Settled:
    """Bring the rows up to date with all the problems there are: what is not among them has healed."""
    found = {problem.key[:LONGEST_KEY]: problem for problem in problems if not problem.is_ok}
    raised = [problem for problem in found.values() if raise_alert(problem, now)]
    healed = Alert.objects.filter(closed_at=None).exclude(key__in=found).values_list("key", flat=True)
    closed = [key for key in list(healed) if close_alert(key, now)]
    for problem in raised:
        log.error("alert_raised", key=problem.key, code=problem.code, message=words(problem, now))
    for key in closed:
        log.warning("alert_closed", key=key)
    return Settled(len(raised), len(closed), len(found))


def raise_alert(problem: Status, now: datetime) -> bool:
    """Raise it, or note that it still holds. Return whether it is new; the database lets one be open for each key."""
    key, message = problem.key[:LONGEST_KEY], words(problem, now)[:LONGEST_MESSAGE]
    if Alert.objects.filter(key=key, closed_at=None).update(message=message, seen_at=now):
        return False
    _, created = Alert.objects.get_or_create(
        key=key, closed_at=None, defaults={"message": message, "raised_at": now, "seen_at": now}
    )
    return created


def close_alert(key: str, now: datetime) -> bool:
    """Close it where it is open. Return whether it was."""
    return bool(Alert.objects.filter(key=key[:LONGEST_KEY], closed_at=None).update(closed_at=now))


def is_open(key: str) -> bool:
    return Alert.objects.filter(key=key, closed_at=None).exists()


def open_alerts() -> list[Alert]:
    """Return the newest first."""
    return list(Alert.objects.filter(closed_at=None).order_by("-raised_at", "-id"))


CHECK, SEND = "ops.tasks.check_alerts", "ops.tasks.send_alerts"
THEIR_OWN = (CHECK, SEND)  # their failures wait for the next scheduled check
EXPIRES_S = 240  # the schedule asks again by then


def in_worker() -> bool:
    """Return whether a worker's task runs here, and not a command, a request or a test that calls the function."""
    request = current_task.request if current_task else None
    return bool(request and not request.called_directly and not request.is_eager)


def ask_for_check() -> None:
    """Check the alerts now, after a failure, and not only when they are due."""
    if in_worker() and current_task.name not in THEIR_OWN:
        ask(CHECK)


def ask(task: str) -> bool:
    """Give the task to the broker. Outside a worker, or without a broker, it is left to the schedule."""
    return in_worker() and give(task)


def give(task: str) -> bool:
    """Give the task to the broker. Return whether it took it."""
    try:
        current_app.send_task(task, expires=EXPIRES_S, retry=False)
    except broker.ERRORS as error:
        log.info("task_not_asked_for", task=task, error=type(error).__name__)
        return False
    return True
