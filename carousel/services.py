"""Refresh the carousel's lists, each on its own: a list that fails stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from carousel.lists import Drawn, deployed, expiring, network
from carousel.models import Feed
from fluxtracker.api.reports import INTERNAL, UNDESCRIBED, as_report, described
from fluxtracker.upstream import clients
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from fluxtracker.upstream.stats import Stats
from ops.jobs.runs import Run, one_line
from ops.registry import job

log = structlog.get_logger(__name__)

Outcomes = dict[Feed.Name, Drawn | UpstreamError]


@dataclass(frozen=True, slots=True)
class CarouselReport:
    """Number of items in each list now; a list that failed keeps its items."""

    network: int
    deployed: int
    expiring: int
    ends_unknown: int | None = field(metadata=described("Apps whose end is not known; null: not read.", required=False))
    failed: tuple[str, ...] = field(metadata=UNDESCRIBED)
    failure: UpstreamError | None = field(metadata=INTERNAL)
    """Every one of them failed."""


def refresh_lists(*, stats: Stats, registry: AppRegistry, daemon: Daemon, now: datetime, run: Run) -> CarouselReport:
    """Read and store the three lists, also that every one of them failed."""
    outcomes = _read(stats, registry, daemon, now)
    with transaction.atomic():
        run.guard()
        counts = {name: _store(name, outcome, now) for name, outcome in outcomes.items()}
    failures = {name: error for name, error in outcomes.items() if isinstance(error, UpstreamError)}
    for name, error in failures.items():
        log.warning("carousel_list_failed", list=name.value, error=one_line(error))
    ends, failure = outcomes[Feed.Name.EXPIRING], None
    if len(failures) == len(outcomes):
        details = "; ".join(dict.fromkeys(map(str, failures.values())))
        failure = Unavailable("carousel", "every list", details[:400])
    return CarouselReport(
        network=counts[Feed.Name.NETWORK],
        deployed=counts[Feed.Name.DEPLOYED],
        expiring=counts[Feed.Name.EXPIRING],
        ends_unknown=None if isinstance(ends, UpstreamError) else ends.coverage["endsUnknown"],
        failed=tuple(map(str, failures)),
        failure=failure,
    )


def _read(stats: Stats, registry: AppRegistry, daemon: Daemon, now: datetime) -> Outcomes:
    """Ask the upstreams side by side, and the database only in the calling thread."""
    with ThreadPoolExecutor(3, "carousel") as pool:
        benchmarks = pool.submit(stats.benchmarks)
        specifications = pool.submit(registry.specifications_now)
        tip = pool.submit(daemon.height)
        block = cache(daemon.block)
        return {
            Feed.Name.NETWORK: _outcome(lambda: network(benchmarks.result(), now)),
            Feed.Name.DEPLOYED: _outcome(lambda: deployed(specifications.result(), tip.result(), block, now)),
            Feed.Name.EXPIRING: _outcome(lambda: expiring(specifications.result(), tip.result(), block, now)),
        }


def _outcome(read: Callable[[], Drawn]) -> Drawn | UpstreamError:
    try:
        return read()
    except UpstreamError as error:
        return error


def _store(name: Feed.Name, outcome: Drawn | UpstreamError, now: datetime) -> int:
    """Answers how many items the list has then."""
    if isinstance(outcome, UpstreamError):
        feed, _ = Feed.objects.update_or_create(name=name, defaults={"tried_at": now, "error": one_line(outcome)})
        return len(feed.items)
    fresh = {"items": outcome.items, "coverage": outcome.coverage, "read_at": now, "tried_at": now, "error": ""}
    Feed.objects.update_or_create(name=name, defaults=fresh)
    return len(outcome.items)


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
