"""A job goes to the broker: its number and nothing else."""

from __future__ import annotations

import structlog
from celery import current_app
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ops.health import broker_words

log = structlog.get_logger(__name__)

TASK = "ops.tasks.run_job"
TIMEOUT_S = 3.0
EXPIRES_S = 120  # then the message is dropped: a newer one is under way (ops.jobs_resend)


class NoBroker(Exception):
    """The broker does not answer, or takes no writes."""


def send(job_id: int) -> None:
    """NoBroker within some seconds when it cannot be reached; its address may hold a password and is not told."""
    options = {
        **current_app.conf.broker_transport_options,
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "max_retries": 0,
    }
    try:
        with current_app.connection_for_write(transport_options=options) as broker:
            current_app.send_task(
                TASK, args=[job_id], connection=broker, retry=False, ignore_result=True, expires=EXPIRES_S
            )
    except (RedisError, KombuError, OSError) as error:
        log.warning("job_not_sent", job=job_id, error=type(error).__name__)
        raise NoBroker(broker_words(error)) from error
