"""The Celery tasks of this room: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from metrics import services
from ops.runs import run_quietly


@shared_task
def collect_metrics() -> None:
    run_quietly(services.collect_metrics)


@shared_task
def check_services() -> None:
    run_quietly(services.check_services)
