"""The one door to the verb of this room: command, task, admin and API come through here."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.utils import timezone

from carousel import refresh
from fluxtracker.upstream import clients
from fluxtracker.upstream.http import Http
from ops import runs

log = structlog.get_logger(__name__)

Report = dict[str, Any]


def refresh_carousel(*, trigger: str, wait: float = 0) -> Report:
    """Make the three lists anew."""
    started, http = time.monotonic(), Http.from_settings()
    with runs.run("refresh_carousel", trigger=trigger, wait=wait) as run:
        done = refresh.refresh_carousel(
            stats=clients.stats(http),
            registry=clients.app_registry(http),
            daemon=clients.daemon(http),
            now=timezone.now(),
            run=run,
        )
        run.report = {
            "network": done.network,
            "deployed": done.deployed,
            "expiring": done.expiring,
            "endsUnknown": done.ends_unknown,
            "failed": list(done.failed),
            "requests": http.requests,
            "seconds": round(time.monotonic() - started, 3),
        }
        if done.failure:
            raise done.failure
        log.info("carousel_refreshed", **run.report)
    return run.report
