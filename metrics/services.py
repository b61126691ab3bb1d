"""Do what commands, tasks, admin and API ask for: each makes its clients from the settings and runs as a job.

A check of services asks upstreams alone: no game server is contacted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Avg, FloatField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, NullIf
from django.utils import timezone

from fluxtracker.api.reports import INTERNAL, as_report
from fluxtracker.upstream.clients import Probe, app_registry, daemon, probes, stats
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from metrics import collect
from metrics.census import take
from metrics.census.take import CensusReport
from metrics.collect import MetricsReport
from metrics.metric_keys import Number, tracked_apps
from metrics.models import Reading, Source
from metrics.selectors import Latest
from ops import check_results
from ops.check_results import Finding, Kind, Status
from ops.jobs.runs import Run
from ops.registry import job

log = structlog.get_logger(__name__)

Report = dict[str, Any]

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
BEHIND = 20  # blocks behind the highest tip, ten minutes
SLOW_MS = 10_000
LONGEST_DETAIL = 300
ADDRESS = re.compile(r"\b[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?\b")


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
    help="Read what the network is now: nodes, capacity, running apps and the price.",
)
def collect_metrics(run: Run) -> Report:
    """Read nodes, capacity, containers, specifications and price. Unavailable when not one source answered."""
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
    """Check every upstream, game and crypto node. Unavailable when not one upstream answered."""
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
    """Read node list, facts of nodes, running instances and deployment prices. Unavailable when none answered."""
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


def check_instances(now: datetime) -> list[Finding]:
    """Return one result for each active tracked app. Its kind is its category."""
    apps, latest = tracked_apps(), Latest.load(now)
    is_old = latest.sources[Source.Name.APPS].is_old(now)
    usual = _last_week([app.column for app in apps], now)
    return [
        Finding(
            app.category,
            app.name,
            *judge_instances(None if is_old else latest.values.get(app.column), usual.get(app.column)),
        )
        for app in apps
    ]


def judge_instances(running: Number | None, usual: float | None) -> tuple[str, None, str]:
    """Return status, no latency, and why.

    `running` is None when it was not counted for two hours, `usual` when there are no readings of the last week.
    """
    if running is None:
        return Status.UNKNOWN, None, "not counted within two hours"
    if usual is None:
        return Status.OK, None, f"{running} running; no readings of the last week to hold against"
    if not usual:
        return Status.OK, None, f"{running} running, none ran last week" if running else "none runs, none ran last week"
    words = f"{usual:.1f} ran on average last week"
    if not running:
        return Status.MISSING, None, f"none is left, {words}"
    return Status.DEGRADED if running < usual / 2 else Status.OK, None, f"{running} running, {words}"


def _last_week(columns: Iterable[str], now: datetime) -> dict[str, float | None]:
    """Return the average of each column over the last 7 days but the last hour. One query."""
    rows = Reading.objects.filter(at__gte=now - WEEK, at__lt=now - HOUR)
    numbers = {key: NullIf(KeyTextTransform(key, "values"), Value("null")) for key in columns}  # as SQLite has it
    return rows.aggregate(**{key: Avg(Cast(value, FloatField())) for key, value in numbers.items()})


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of one upstream. `height`: its last block, None where it has none; `error`: why it did not answer."""

    name: str
    latency_ms: int
    height: int | None = None
    error: str | None = None


def check_upstreams(probes: Mapping[str, Probe]) -> list[Finding]:
    """Ask all of them at once; each has a result of its own."""
    with ThreadPoolExecutor(max(len(probes), 1), "check") as pool:
        return judge_upstreams(list(pool.map(_ask, probes.keys(), probes.values())))


def judge_upstreams(answers: list[Answer]) -> list[Finding]:
    """Return what the answers mean, held against the highest tip among them."""
    highest = max((answer.height for answer in answers if answer.height is not None), default=0)
    return [_finding(answer, highest) for answer in answers]


def _ask(name: str, probe: Probe) -> Answer:
    started = time.monotonic()
    try:
        height, error = probe(), None
    except UpstreamError as failure:
        height, error = None, harmless(failure.detail)
    return Answer(name, round((time.monotonic() - started) * 1000), height, error)


def _finding(answer: Answer, highest: int) -> Finding:
    if answer.error is not None:
        return Finding(Kind.API, answer.name, Status.FAILED, answer.latency_ms, answer.error)
    behind = 0 if answer.height is None else highest - answer.height
    troubles = [f"{behind} blocks behind"] if behind > BEHIND else []
    if answer.latency_ms > SLOW_MS:
        troubles.append(f"answered after {answer.latency_ms / 1000:.1f} s")
    status = Status.DEGRADED if troubles else Status.OK
    return Finding(Kind.API, answer.name, status, answer.latency_ms, "; ".join(troubles))


def harmless(words: str) -> str:
    """Return an upstream's words without our key and without addresses, should it repeat them."""
    if settings.CRYPTOCOMPARE_API_KEY:
        words = words.replace(settings.CRYPTOCOMPARE_API_KEY, "(key)")
    return ADDRESS.sub("(address)", words)[:LONGEST_DETAIL]


def _check(*, http: Http, now: datetime, run: Run) -> ServicesReport:
    """Check and write down, also that not one upstream answered."""
    upstreams = check_upstreams(probes(http))
    findings = (*upstreams, *check_instances(now))
    with transaction.atomic():
        run.guard()
        check_results.record(findings, now)
    failure = None
    if all(found.status == Status.FAILED for found in upstreams):
        details = "; ".join(f"{found.name}: {found.detail}" for found in upstreams)
        failure = Unavailable("services", "every upstream", details[:400])
    found = (CheckReport(found.name, found.kind, found.status, found.latency_ms) for found in findings)
    return ServicesReport(tuple(found), failure)
