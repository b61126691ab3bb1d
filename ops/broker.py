"""Ask the broker, and give up soon: nothing that a person waits for may hang on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import structlog
from celery import current_app
from kombu.exceptions import KombuError
from redis.exceptions import RedisError, ResponseError

from ops.status import OK, Status

log = structlog.get_logger(__name__)

ERRORS = (RedisError, KombuError, OSError)
PING_TIMEOUT_S = 0.5  # for connecting, and for each answer
MOST_CONNECTIONS = 100  # more than a process has threads
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
    with _failing(), _connection(timeout) as connection:
        yield connection


def status() -> Status:
    """Return whether the broker answers and takes a write."""
    try:
        with _failing():
            _client(current_app.conf.broker_url, PING_TIMEOUT_S).set(WRITTEN_KEY, "1", ex=WRITTEN_S)
    except NoBroker as error:
        return error.status
    return OK


def depth() -> Depth | None:
    """Return how many messages it holds; None where it does not answer within a second."""
    try:
        with _failing():
            client = _client(current_app.conf.broker_url, PING_TIMEOUT_S)
            return Depth(int(client.llen(current_app.conf.task_default_queue)), int(client.hlen(UNACKED)))
    except NoBroker:
        return None


@contextmanager
def _failing() -> Iterator[None]:
    """Raise NoBroker for an error of the broker."""
    try:
        yield
    except ERRORS as error:
        log.debug("broker_unavailable", error=type(error).__name__)
        raise NoBroker(failure(error)) from error


def _connection(timeout: float) -> Any:
    options = {
        "socket_timeout": timeout, "socket_connect_timeout": timeout, "max_retries": 0,
        "max_connections": MOST_CONNECTIONS,
    }  # fmt: skip
    return current_app.connection_for_write(transport_options={**current_app.conf.broker_transport_options, **options})


@cache
def _client(url: str, timeout: float) -> Any:
    """Return the client of the broker at this address. Its pool connects again where a connection was closed."""
    return _connection(timeout).default_channel.client


def failure(error: Exception) -> Status:
    """Return what an error of the broker means."""
    cause = error.__cause__ if isinstance(error, KombuError) else error  # kombu puts its own around it
    if not isinstance(cause, ResponseError):
        return SILENT
    found = (REFUSALS.get(word) for word in (type(cause).__name__, *str(cause).split()))
    return Status(next(filter(None, found), "broker_refuses"))
