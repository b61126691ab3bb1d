"""Run the network's jobs for commands, tasks, admin and API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from fluxtracker.api.report_serializers import INTERNAL, as_report
from fluxtracker.upstream.clients import app_registry, daemon, probes, stats
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from metrics import collect
from metrics.census import take
from metrics.census.take import CensusReport
from metrics.collect import MetricsReport
from metrics.service_checks import check_instances, check_upstreams
from ops import check_results
from ops.check_results import Status
from ops.jobs.runs import Run
from ops.registry import job

log = structlog.get_logger(__name__)

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckReport:
    name: str
    kind: str
    status: str
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class ServicesReport:
    checks: tuple[CheckReport, ...]
    failure: UpstreamError | None = field(metadata=INTERNAL)
    """Not one upstream answered."""


@job(
    "collect-metrics",
    report=MetricsReport,
    help="Read the network's nodes, capacity, running apps and price.",
)
def collect_metrics(run: Run) -> Report:
    """Read nodes, capacity, containers, specifications and price. Unavailable if no source answered."""
    http = Http.from_settings()
    done = collect.collect_metrics(
        daemon=daemon(http), stats=stats(http), registry=app_registry(http), http=http, now=timezone.now(), run=run
    )
    effort = http.effort
    run.report = as_report(done) | effort
    log.info("metrics_collected", **done.sources, **effort)
    if done.nothing_read:
        raise Unavailable("every source", "of the metrics", "; ".join(done.errors.values())[:400])
    run.changed = True
    return run.report


@job(
    "test-services",
    report=ServicesReport,
    help="Check that each upstream answers, and that tracked games and crypto nodes still run.",
)
def check_services(run: Run) -> Report:
    """Check every upstream, game and crypto node. Unavailable if no upstream answered."""
    http = Http.from_settings()
    done = _check(http=http, now=timezone.now(), run=run)
    run.report = as_report(done) | http.effort
    if done.failure:
        raise done.failure
    return run.report


@job(
    "take-census",
    report=CensusReport,
    help="Record who operates the network's nodes, where, with which versions, and what runs on them.",
)
def take_census(run: Run) -> Report:
    """Read node list, node facts, running instances and deployment prices. Unavailable if none answered."""
    http = Http.from_settings()
    done = take.take_census(
        daemon=daemon(http), stats=stats(http), registry=app_registry(http), now=timezone.now(), run=run
    )
    run.report = as_report(done) | http.effort
    log.info("census_taken", **done.sources, **http.effort)
    if done.nothing_read:
        raise Unavailable("every source", "of the census", "; ".join(done.errors.values())[:400])
    run.changed = True
    return run.report


def _check(*, http: Http, now: datetime, run: Run) -> ServicesReport:
    """Check and store the results, even if no upstream answered."""
    upstreams = check_upstreams(probes(http))
    findings = (*upstreams, *check_instances(now))
    with transaction.atomic():
        run.guard()
        check_results.record(findings, now)
    failure = None
    if all(result.status == Status.FAILED for result in upstreams):
        details = "; ".join(f"{result.name}: {result.detail}" for result in upstreams)
        failure = Unavailable("services", "every upstream", details[:400])
    reports = (CheckReport(result.name, result.kind, result.status, result.latency_ms) for result in findings)
    return ServicesReport(tuple(reports), failure)
