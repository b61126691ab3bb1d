"""The one door to each verb of this room: commands, tasks, admin and API all come through here."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.utils import timezone

from fluxtracker.upstream.clients import app_registry, daemon, stats
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import Unavailable
from metrics import checks, collect
from ops import registry, runs

log = structlog.get_logger(__name__)

Report = dict[str, Any]


def collect_metrics(*, trigger: str, wait: float = 0) -> Report:
    """Read nodes, capacity, containers, specifications and price. Unavailable when not one source answered."""
    started, http = time.monotonic(), Http.from_settings()
    with runs.run("collect_metrics", trigger=trigger, wait=wait) as run:
        done = collect.collect_metrics(
            daemon=daemon(http), stats=stats(http), registry=app_registry(http), http=http, now=timezone.now(), run=run
        )
        seconds = round(time.monotonic() - started, 3)
        run.report = {"sources": done.sources, "errors": done.errors, "requests": http.requests, "seconds": seconds}
        log.info("metrics_collected", **done.sources, requests=http.requests, seconds=seconds)
        if done.nothing_read:
            raise Unavailable("every source", "of the metrics", "; ".join(done.errors.values())[:400])
    registry.changed()
    return run.report


def check_services(*, trigger: str, wait: float = 0) -> Report:
    """Check every upstream, game and crypto node. Unavailable when not one upstream answered."""
    started, http = time.monotonic(), Http.from_settings()
    with runs.run("check_services", trigger=trigger, wait=wait) as run:
        done = checks.check_services(http=http, now=timezone.now(), run=run)
        run.report = {
            "checks": [
                {
                    "name": found.name,
                    "kind": str(found.kind),
                    "status": str(found.status),
                    "latencyMs": found.latency_ms,
                }
                for found in done.findings
            ],
            "requests": http.requests,
            "seconds": round(time.monotonic() - started, 3),
        }
        if done.failure:
            raise done.failure
    return run.report
