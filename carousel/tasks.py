"""The Celery task of the carousel: thin, safe to run twice, safe to kill."""

from __future__ import annotations

from celery import shared_task

from carousel import doors
from ops.quiet import run_quietly


@shared_task
def refresh_carousel() -> None:
    run_quietly(doors.refresh_carousel)
