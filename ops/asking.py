"""How work that goes on in a worker asks for another task, without needing it."""

from __future__ import annotations

import structlog
from celery import current_app, current_task
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

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
