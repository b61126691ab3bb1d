"""Run the carousel job for commands, tasks, admin and API."""

from __future__ import annotations

from typing import Any

import structlog
from django.utils import timezone

from carousel.lists import CarouselReport, refresh_lists
from fluxtracker.api.report_serializers import as_report
from fluxtracker.upstream import clients
from fluxtracker.upstream.http.client import Http
from ops.jobs.runs import Run
from ops.registry import job

log = structlog.get_logger(__name__)


Report = dict[str, Any]


@job("refresh-carousel", report=CarouselReport, help="Rebuild the carousel's lists.")
def refresh_carousel(run: Run) -> Report:
    http = Http.from_settings()
    done = refresh_lists(
        stats=clients.stats(http),
        registry=clients.app_registry(http),
        daemon=clients.daemon(http),
        now=timezone.now(),
        run=run,
    )
    run.report = as_report(done) | http.effort
    if done.failure:
        raise done.failure
    log.info("carousel_refreshed", **run.report)
    return run.report
