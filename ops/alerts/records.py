"""Alerts as rows: raised once, kept up to date while they hold, closed when they heal.

How work that goes on in a worker asks for another task, without needing it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog
from celery import current_app, current_task
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ops.models import Alert

log = structlog.get_logger(__name__)

LONGEST_KEY, LONGEST_MESSAGE = 100, 500  # the columns' lengths


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that somebody should look at. `key` says what it is about, `message` is a sentence for people."""

    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What a comparison of the troubles with the open alerts changed."""

    raised: int
    closed: int
    open: int


def settle(troubles: Iterable[Trouble], now: datetime) -> Settled:
    """Bring the rows up to date with all the troubles there are: what is not among them has healed."""
    found = {trouble.key[:LONGEST_KEY]: trouble for trouble in troubles}
    raised = [trouble for trouble in found.values() if raise_alert(trouble, now)]
    healed = Alert.objects.filter(closed_at=None).exclude(key__in=found).values_list("key", flat=True)
    closed = [key for key in list(healed) if close_alert(key, now)]
    for trouble in raised:
        log.error("alert_raised", key=trouble.key, message=trouble.message)
    for key in closed:
        log.warning("alert_closed", key=key)
    return Settled(len(raised), len(closed), len(found))


def raise_alert(trouble: Trouble, now: datetime) -> bool:
    """Raise it, or note that it still holds. Whether it is new; the database lets one be open for each key."""
    key, message = trouble.key[:LONGEST_KEY], trouble.message[:LONGEST_MESSAGE]
    if Alert.objects.filter(key=key, closed_at=None).update(message=message, seen_at=now):
        return False
    _, created = Alert.objects.get_or_create(
        key=key, closed_at=None, defaults={"message": message, "raised_at": now, "seen_at": now}
    )
    return created


def close_alert(key: str, now: datetime) -> bool:
    """Close it where it is open. Whether it was."""
    return bool(Alert.objects.filter(key=key[:LONGEST_KEY], closed_at=None).update(closed_at=now))


def is_open(key: str) -> bool:
    return Alert.objects.filter(key=key, closed_at=None).exists()


def open_alerts() -> list[Alert]:
    """The newest first."""
    return list(Alert.objects.filter(closed_at=None).order_by("-raised_at", "-id"))


def task_key(name: str) -> str:
    return f"task:{name}"


def of_task(name: str, failures: int, error: str) -> Trouble:
    words = name.replace("_", " ").capitalize()
    return Trouble(task_key(name), f"{words} failed {failures} times in a row: {error or 'no reason was noted'}")


CHECK, SEND = "ops.tasks.check_alerts", "ops.tasks.send_alerts"
THEIR_OWN = (CHECK, SEND)  # what fails while it tells of failures is looked at by the schedule
EXPIRES_S = 240  # the schedule asks again by then


def in_worker() -> bool:
    """Whether a task of a worker is running here, and not a command, a request or a test that calls the function."""
    request = current_task.request if current_task else None
    return bool(request and not request.called_directly and not request.is_eager)


def ask_for_check() -> None:
    """After a failure: whether it is an alert is looked at now, and not only by the schedule."""
    if in_worker() and current_task.name not in THEIR_OWN:
        ask(CHECK)


def ask(task: str) -> bool:
    """Give the task to the broker. Outside a worker, or without a broker, it is left to the schedule."""
    return in_worker() and give(task)


def give(task: str) -> bool:
    """Give the task to the broker. Return whether it took it."""
    try:
        current_app.send_task(task, expires=EXPIRES_S, retry=False)
    except (RedisError, KombuError, OSError) as error:
        log.info("task_not_asked_for", task=task, error=type(error).__name__)
        return False
    return True
