"""Collect the network's five sources at the same time, store each on its own, and thin out old readings.

One transaction stores the results; only this thread uses the database. Readings are kept for 7 days, the first of
each hour for 90.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, islice

from django.db import transaction

from fluxtracker.api.reports import INTERNAL, UNDESCRIBED, described
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.records import AppSpecifications
from fluxtracker.upstream.stats import Containers, Nodes, Stats
from fluxtracker.upstream.stats_rows import Capacity
from fluxtracker.upstream.trusted_price import Quote
from metrics import sources as metrics_sources
from metrics.metric_keys import Number
from metrics.models import ImageCount, Reading, Source
from metrics.network_counts import count_nodes, count_running, measure_cloud
from metrics.sources import Outcome, Readout, Sources
from metrics.tracked_apps import AppIndex, Classifier
from ops.jobs.runs import Run
from revenue.daily_prices import refresh_live_price
from revenue.models import LivePrice

EVERY_ONE = timedelta(days=7)
HOURLY = timedelta(days=90)
HOUR = timedelta(hours=1)


def add_reading(values: Mapping[str, Number], now: datetime) -> None:
    """Keep what was read now, if anything was, and thin what is old enough. Inside the caller's transaction."""
    if not values:
        return
    previous = Reading.objects.filter(at__lt=now).values_list("at", flat=True).first()
    Reading.objects.update_or_create(at=now, defaults={"values": dict(values)})
    thin(now, since=previous)


def thin(now: datetime, *, since: datetime | None) -> None:
    """Delete what is due. What was due at the reading of `since` is gone already: only the time between is read."""
    Reading.objects.filter(at__lt=now - HOURLY).delete()
    old = Reading.objects.filter(at__lt=now - EVERY_ONE)
    if since is not None:
        old = old.filter(at__gte=_hour(since - EVERY_ONE))
    hours = groupby(old.order_by("at").values_list("id", "at"), key=lambda row: _hour(row[1]))
    due = [row for _, rows in hours for row, _ in islice(rows, 1, None)]
    if due:
        Reading.objects.filter(id__in=due).delete()


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class MetricsReport:
    """By source: whether it was read now (ok), keeps its last good values (stale) or has none (failed)."""

    sources: dict[str, Outcome] = field(metadata=described("ok, stale or failed, by source."))
    errors: dict[str, str] = field(metadata=UNDESCRIBED)
    doubted: frozenset[str] = field(metadata=INTERNAL)
    """The stale ones that answered, but so differently that the next answer has to confirm it."""

    @property
    def nothing_read(self) -> bool:
        return "ok" not in self.sources.values() and not self.doubted


def collect_metrics(
    *, daemon: Daemon, stats: Stats, registry: AppRegistry, http: Http, now: datetime, run: Run
) -> MetricsReport:
    """Ask every source at once and keep what is good: last values, image counts, one reading."""
    with ThreadPoolExecutor(4, thread_name_prefix="collect") as pool:
        nodes, cloud = pool.submit(daemon.node_counts), pool.submit(stats.capacity)
        apps, specs = pool.submit(stats.containers), pool.submit(registry.specifications_now)
        price = _ask_price(http, now)
    with transaction.atomic():
        run.guard()
        sources = Sources.load(now)
        sources.settle(Source.Name.NODES, nodes, count_nodes)
        _settle_cloud(sources, cloud)
        _settle_apps(sources, apps, *_settle_specs(sources, specs))
        _settle_price(sources, price)
        sources.save()
        add_reading(sources.read, now)
    return MetricsReport(dict(sources.outcomes), dict(sources.errors), frozenset(sources.doubted))


def _ask_price(http: Http, now: datetime) -> Future[Quote]:
    """Ask in this thread: a price is stored where it is asked for."""
    price = Future[Quote]()
    try:
        price.set_result(refresh_live_price(http=http, now=now))
    except UpstreamError as error:
        price.set_exception(error)
    return price


def _settle_cloud(sources: Sources, answer: Future[Nodes[Capacity]]) -> None:
    remembered, _ = metrics_sources.recall(metrics_sources.NODES, sources.now) or ({}, None)
    read = sources.settle(Source.Name.CLOUD, answer, lambda found: measure_cloud(found, remembered, sources.now))
    if read:
        metrics_sources.remember(metrics_sources.NODES, read.remembered, sources.now)


def _settle_specs(sources: Sources, answer: Future[AppSpecifications]) -> tuple[AppIndex | None, datetime | None]:
    """The apps that are registered and when that was read: now, else within 24 hours; Nones when it is not known."""
    if sources.settle(Source.Name.SPECS, answer, _specs_readout):
        index = AppIndex.of(answer.result().apps)
        metrics_sources.remember(metrics_sources.SPECS, index.dump(), sources.now)
        return index, sources.now
    known = metrics_sources.recall(metrics_sources.SPECS, sources.now)
    return (AppIndex.load(known[0]), known[1]) if known else (None, None)


def _specs_readout(found: AppSpecifications) -> Readout:
    encrypted = sum(app.encrypted for app in found.apps)
    return Readout({}, {"apps": len(found.apps), "encrypted": encrypted, "leftOut": found.left_out}, len(found.apps))


def _settle_apps(
    sources: Sources, answer: Future[Containers], index: AppIndex | None, index_at: datetime | None
) -> None:
    classifier = Classifier.load()
    read = sources.settle(Source.Name.APPS, answer, lambda found: count_running(found, index, index_at, classifier))
    if read:
        ImageCount.objects.all().delete()
        ImageCount.objects.bulk_create(ImageCount(**asdict(row)) for row in read.images)


def _settle_price(sources: Sources, answer: Future[Quote]) -> None:
    """Between collections a task of its own reads the price, too: then a failure here leaves that one."""
    row = sources.rows[Source.Name.PRICE]
    row.read_at = LivePrice.objects.values_list("read_at", flat=True).first()
    sources.settle(
        Source.Name.PRICE,
        answer,
        lambda quote: Readout({"flux_price_usd": float(quote.price)}, {"from": quote.source}, 1),
    )
