"""How many messages the broker holds."""

from __future__ import annotations

from dataclasses import dataclass

from celery import current_app
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ops.health import PING_TIMEOUT_S

UNACKED = "unacked"  # kombu's hash of messages that a worker has taken and not done yet


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages that wait, and those that a worker is at."""

    waiting: int
    in_work: int


def depth() -> Depth | None:
    """None where the broker does not answer within a second."""
    try:
        with current_app.connection_for_read(
            transport_options={
                **current_app.conf.broker_transport_options,
                "socket_timeout": PING_TIMEOUT_S,
                "socket_connect_timeout": PING_TIMEOUT_S,
                "max_retries": 0,
            },
        ) as broker:
            client = broker.default_channel.client
            return Depth(int(client.llen(current_app.conf.task_default_queue)), int(client.hlen(UNACKED)))
    except (RedisError, KombuError, OSError):
        return None
