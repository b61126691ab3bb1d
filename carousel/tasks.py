"""The Celery task of the carousel: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from carousel import services
from ops.runs import run_quietly


@shared_task
def refresh_carousel() -> None:
    run_quietly(services.refresh_carousel)
