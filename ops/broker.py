"""Query the broker with short timeouts, so that no request hangs on it."""

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
PING_TIMEOUT_S = 0.5  # to connect, and for each response
MOST_CONNECTIONS = 100  # more than a process has threads
WRITTEN_KEY, WRITTEN_S = "fluxtracker.health", 60  # key left behind by a check, and its lifetime
UNACKED = "unacked"  # kombu's hash of messages taken by a worker and not done yet
REFUSALS = {  # why a broker that answers rejects writes; redis-py drops the code of errors with their own class
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
    """The broker does not answer or rejects writes. Its URL may contain a password and is not repeated."""

    def __init__(self, status: Status = SILENT) -> None:
        super().__init__(status.code)
        self.status = status


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages waiting, and messages taken by a worker."""

    waiting: int
    in_work: int


@contextmanager
def connect(timeout: float) -> Iterator[Any]:
    """Open a connection with `timeout` seconds to connect and for each response. Raise NoBroker."""
    with _failing(), _connection(timeout) as connection:
        yield connection


def status() -> Status:
    """Return whether the broker answers and accepts a write."""
    try:
        with _failing():
            _client(current_app.conf.broker_url, PING_TIMEOUT_S).set(WRITTEN_KEY, "1", ex=WRITTEN_S)
    except NoBroker as error:
        return error.status
    return OK


def depth() -> Depth | None:
    """Return how many messages it holds, None if it does not answer within a second."""
    try:
        with _failing():
            client = _client(current_app.conf.broker_url, PING_TIMEOUT_S)
            return Depth(int(client.llen(current_app.conf.task_default_queue)), int(client.hlen(UNACKED)))
    except NoBroker:
        return None


@contextmanager
def _failing() -> Iterator[None]:
    """Turn errors of the broker into NoBroker."""
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
    """Return the client of the broker at this URL. Its pool reopens closed connections."""
    return _connection(timeout).default_channel.client


def failure(error: Exception) -> Status:
    """Return the status for an error of the broker."""
    cause = error.__cause__ if isinstance(error, KombuError) else error  # kombu wraps it in its own
    if not isinstance(cause, ResponseError):
        return SILENT
    codes = (REFUSALS.get(word) for word in (type(cause).__name__, *str(cause).split()))
    return Status(next(filter(None, codes), "broker_refuses"))
