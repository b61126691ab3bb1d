"""Ask the broker, and give up soon: nothing that a person waits for may hang on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from celery import current_app
from kombu.exceptions import KombuError
from redis.exceptions import RedisError, ResponseError

from ops.status import OK, Status

log = structlog.get_logger(__name__)

ERRORS = (RedisError, KombuError, OSError)
PING_TIMEOUT_S = 0.5  # for connecting, and for each answer
WRITTEN_KEY, WRITTEN_S = "fluxtracker.health", 60  # what a check leaves behind, and for how long
UNACKED = "unacked"  # kombu's hash of messages that a worker has taken and not done yet
REFUSALS = {  # why a broker that answers takes no writes; redis-py drops the code of errors that it has a class for
    "OOM": "broker_full",
    "OutOfMemoryError": "broker_full",
    "READONLY": "broker_read_only",
    "ReadOnlyError": "broker_read_only",
    "MISCONF": "broker_disk",
    "NOREPLICAS": "broker_replicas",
    "NOPERM": "broker_forbidden",
    "NoPermissionError": "broker_forbidden",
}


SILENT = Status("broker_silent")


class NoBroker(Exception):
    """The broker does not answer, or takes no writes. Its address may hold a password and is not repeated."""

    def __init__(self, status: Status = SILENT) -> None:
        super().__init__(status.code)
        self.status = status


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages that wait, and those that a worker has taken."""

    waiting: int
    in_work: int


@contextmanager
def connect(timeout: float) -> Iterator[Any]:
    """Open a connection with `timeout` seconds to connect and for each answer. Raise NoBroker."""
    options = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "max_retries": 0}
    try:
        with current_app.connection_for_write(
            transport_options={**current_app.conf.broker_transport_options, **options}
        ) as connection:
            yield connection
    except ERRORS as error:
        log.debug("broker_unavailable", error=type(error).__name__)
        raise NoBroker(failure(error)) from error


def status() -> Status:
    """Return whether the broker answers and takes a write."""
    try:
        with connect(PING_TIMEOUT_S) as connection:
            client = connection.default_channel.client
            client.ping()
            client.set(WRITTEN_KEY, "1", ex=WRITTEN_S)
    except NoBroker as error:
        return error.status
    return OK


def depth() -> Depth | None:
    """Return how many messages it holds; None where it does not answer within a second."""
    try:
        with connect(PING_TIMEOUT_S) as connection:
            client = connection.default_channel.client
            return Depth(int(client.llen(current_app.conf.task_default_queue)), int(client.hlen(UNACKED)))
    except NoBroker:
        return None


def failure(error: Exception) -> Status:
    """Return what an error of the broker means."""
    cause = error.__cause__ if isinstance(error, KombuError) else error  # kombu puts its own around it
    if not isinstance(cause, ResponseError):
        return SILENT
    found = (REFUSALS.get(word) for word in (type(cause).__name__, *str(cause).split()))
    return Status(next(filter(None, found), "broker_refuses"))
