"""Collect the network's five sources in parallel, store each on its own, and thin out old readings.

One transaction stores the results; only this thread uses the database. Readings are kept for 7 days, the first of
each hour for 90.
Capacity and use are halves of a node, and each number counts separately (docs/contract.md#snapshots-and-instances).
The last known value of a half, at most 24 hours old, replaces a missing one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, islice
from math import fsum
from typing import Any

from django.db import transaction

from fluxtracker.api.report_serializers import INTERNAL, UNDESCRIBED, described
from fluxtracker.images import image_name
from fluxtracker.timestamps import iso
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.records import AppSpecifications, NodeCounts
from fluxtracker.upstream.stats import Containers, Nodes, Stats
from fluxtracker.upstream.stats_parsing import UNKNOWN, Capacity, Container, Resources
from fluxtracker.upstream.trusted_price import Quote
from metrics import sources as metrics_sources
from metrics.games_and_crypto_nodes import AppIndex, Classifier, Kind, Resolved
from metrics.metric_keys import COUNTED, IN_USE, Number, percent
from metrics.models import Category, ImageCount, Reading, Source, TrackedApp
from metrics.sources import KEEPS, Outcome, Readout, Refused, Sources
from ops.jobs.runs import Run
from revenue.models import LivePrice
from revenue.pricing import refresh_live_price

EVERY_ONE = timedelta(days=7)
HOURLY = timedelta(days=90)
HOUR = timedelta(hours=1)


def add_reading(values: Mapping[str, Number], now: datetime) -> None:
    """Store this reading, unless it is empty, and thin old ones. Call inside a transaction."""
    if not values:
        return
    previous = Reading.objects.filter(at__lt=now).values_list("at", flat=True).first()
    Reading.objects.update_or_create(at=now, defaults={"values": dict(values)})
    thin(now, since=previous)


def thin(now: datetime, *, since: datetime | None) -> None:
    """Delete readings that are due since the reading of `since`, when earlier ones were deleted."""
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
    """By source: read now (ok), last good values kept (stale) or none (failed)."""

    sources: dict[str, Outcome] = field(metadata=described("ok, stale or failed, by source."))
    errors: dict[str, str] = field(metadata=UNDESCRIBED)
    doubted: frozenset[str] = field(metadata=INTERNAL)
    """Stale sources whose answer differs so much that the next one must confirm it."""

    @property
    def nothing_read(self) -> bool:
        return "ok" not in self.sources.values() and not self.doubted


def collect_metrics(
    *, daemon: Daemon, stats: Stats, registry: AppRegistry, http: Http, now: datetime, run: Run
) -> MetricsReport:
    """Ask all sources in parallel and store good values: last values, image counts, one reading."""
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
    """Fetch the price in this thread, which also stores it."""
    price = Future[Quote]()
    try:
        price.set_result(refresh_live_price(http=http, now=now))
    except UpstreamError as error:
        price.set_exception(error)
    return price


def _settle_cloud(sources: Sources, answer: Future[Nodes[Capacity]]) -> None:
    remembered, _ = metrics_sources.recall(metrics_sources.NODES, sources.now) or ({}, None)
    read = sources.settle(Source.Name.CLOUD, answer, lambda nodes: measure_cloud(nodes, remembered, sources.now))
    if read:
        metrics_sources.remember(metrics_sources.NODES, read.remembered, sources.now)


def _settle_specs(sources: Sources, answer: Future[AppSpecifications]) -> tuple[AppIndex | None, datetime | None]:
    """Return the registered apps and when they were read, now or within 24 hours, or Nones."""
    if sources.settle(Source.Name.SPECS, answer, _specs_readout):
        index = AppIndex.of(answer.result().apps)
        metrics_sources.remember(metrics_sources.SPECS, index.dump(), sources.now)
        return index, sources.now
    known = metrics_sources.recall(metrics_sources.SPECS, sources.now)
    return (AppIndex.load(known[0]), known[1]) if known else (None, None)


def _specs_readout(specs: AppSpecifications) -> Readout:
    encrypted = sum(app.encrypted for app in specs.apps)
    return Readout({}, {"apps": len(specs.apps), "encrypted": encrypted, "leftOut": specs.left_out}, len(specs.apps))


def _settle_apps(
    sources: Sources, answer: Future[Containers], index: AppIndex | None, index_at: datetime | None
) -> None:
    classifier = Classifier.load()
    read = sources.settle(Source.Name.APPS, answer, lambda listed: count_running(listed, index, index_at, classifier))
    if read:
        ImageCount.objects.all().delete()
        ImageCount.objects.bulk_create(ImageCount(**asdict(row)) for row in read.images)


def _settle_price(sources: Sources, answer: Future[Quote]) -> None:
    """Settle the price. A separate task reads it between collections, so a failure here keeps that one."""
    row = sources.rows[Source.Name.PRICE]
    row.read_at = LivePrice.objects.values_list("read_at", flat=True).first()
    sources.settle(
        Source.Name.PRICE,
        answer,
        lambda quote: Readout({"flux_price_usd": float(quote.price)}, {"from": quote.source}, 1),
    )


Remembered = dict[str, list[float]]
"""By collateral: unix seconds of its capacity, then cores, GB of memory and of storage, the same three in use, and
unix seconds of these. Rows of earlier releases lack the last."""

CAPACITY, USED = slice(1, 4), slice(4, 7)

NUMBERS = ("cpu_cores", "ram_gb", "storage_gb")
REASONS = ("unreachable", "benchmarking", "unusable")
STATES = (*REASONS, "remembered", "counted")


@dataclass(frozen=True, slots=True)
class CloudReadout(Readout):
    """`remembered`: node values the next collection may need."""

    remembered: Remembered


class Half:
    """Sums of one half of all nodes, capacity or use."""

    def __init__(self, word: str, reported: Iterable[Resources]) -> None:
        columns = zip(*(node.numbers for node in reported), strict=True)
        self.is_reported = [any(number is not None for number in column) for column in columns]
        """Whether any node reports each number. If none does it is unknown, even if remembered."""
        self.columns: dict[str, list[float]] = {f"{word}_{key}": [] for key in NUMBERS}
        self.states: list[str] = []
        """Per node: counted, remembered, or why one of its numbers is not known."""

    def add(self, reported: Resources, kept: Resources, *, unreachable: bool) -> bool:
        """Count a node, using remembered values for missing ones. Return whether any value is known."""
        known = reported.completed(kept.only(self.is_reported))
        for column, number in zip(self.columns.values(), known.numbers, strict=True):
            if number is not None:
                column.append(number)
        if known.is_whole:
            self.states.append("counted" if known is reported else "remembered")
        else:
            self.states.append("unreachable" if unreachable else "unusable" if reported.unusable else "benchmarking")
        return not known.is_empty

    def sums(self) -> dict[str, Number]:
        """Return the sum of each number, unknown if no node reports it."""
        return {key: round(fsum(column), 2) for key, column in self.columns.items() if column}

    def coverage(self, no_nodes: int) -> dict[str, Any]:
        """Return how many nodes count, and how many each sum rests on."""
        behind = {name: len(column) for name, column in zip(NUMBERS, self.columns.values(), strict=True)}
        return _coverage(self.states, no_nodes) | behind


def measure_cloud(listed: Nodes[Capacity], remembered: Mapping[str, Any], now: datetime) -> CloudReadout:
    """Return the sums over known nodes, and the number of nodes."""
    oldest, size = (now - KEEPS).timestamp(), 0
    kept = {key: row for key, row in remembered.items() if max(row[0], _used_at(row)) >= oldest}
    capacity = Half("total", [node.capacity for node in listed.nodes])
    used = Half("used", [node.used for node in listed.nodes])
    for node in listed.nodes:
        row = kept.get(node.collateral or "")
        is_known = capacity.add(node.capacity, _recalled(row, oldest, CAPACITY), unreachable=node.unreachable)
        used.add(node.used, _recalled(row, oldest, USED), unreachable=node.unreachable)
        size += is_known and not node.capacity.is_garbage
    coverage = {
        "rows": listed.rows,
        "repeated": listed.repeated,
        **_coverage(map(_worse, capacity.states, used.states), listed.unusable),
        "capacity": capacity.coverage(listed.unusable),
        "used": used.coverage(listed.unusable),
    }
    return CloudReadout(possible(capacity.sums() | used.sums()), coverage, size, kept | _news(listed.nodes, kept, now))


MOST_USED = 2_000  # percent of a total; more must be in another unit


def possible(values: dict[str, Number]) -> dict[str, Number]:
    """Return the sums without any use that far exceeds its total."""
    shares = {part: percent(values.get(part), values.get(whole)) for part, whole in IN_USE.items()}
    return {key: number for key, number in values.items() if (shares.get(key) or 0) <= MOST_USED}


def _recalled(row: Sequence[float] | None, oldest: float, half: slice) -> Resources:
    """Return the remembered values of one half of a node, unless too old."""
    if row is None or (row[0] if half == CAPACITY else _used_at(row)) < oldest:
        return UNKNOWN
    cores, ram_gb, storage_gb = row[half]
    return Resources(cores, ram_gb, storage_gb)


def _used_at(row: Sequence[float]) -> float:
    return row[7 if len(row) > 7 else 0]


def _news(nodes: Iterable[Capacity], kept: Mapping[str, Sequence[float]], now: datetime) -> Remembered:
    """Return values to remember of nodes that reported a complete half."""
    at, news = int(now.timestamp()), {}
    for node in nodes:
        if not node.collateral or not (node.capacity.is_whole or node.used.is_whole):
            continue
        old = kept.get(node.collateral) or [0] * 8
        capacity = [at, *node.capacity.numbers] if node.capacity.is_whole else old[:4]
        used = [*node.used.numbers, at] if node.used.is_whole else [*old[USED], _used_at(old)]
        news[node.collateral] = [*capacity, *used]
    return news


def _worse(capacity: str, used: str) -> str:
    """Return the state of a node: that of its less known half."""
    return capacity if capacity == used else next(state for state in STATES if state in (capacity, used))


def _coverage(states: Iterable[str], no_nodes: int) -> dict[str, Any]:
    """Return how many nodes count; rows that are not nodes are unusable."""
    many = Counter(states) + Counter(unusable=no_nodes)
    return {
        "counted": many["counted"],
        "remembered": many["remembered"],
        "notCounted": {reason: many[reason] for reason in REASONS},
    }


def count_nodes(nodes: NodeCounts) -> Readout:
    """Return the counts. The total is the sum of the tiers; a different reported total is noted."""
    coverage = {"tiers": 3, "toldTotal": nodes.told_total, "totalDiffers": nodes.told_total not in (None, nodes.total)}
    values = {
        "node_total": nodes.total,
        "node_cumulus": nodes.cumulus,
        "node_nimbus": nodes.nimbus,
        "node_stratus": nodes.stratus,
    }
    return Readout(values, coverage, nodes.total)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Containers of one image, with the category of most of them."""

    image: str
    category: str
    count: int


@dataclass(frozen=True, slots=True)
class AppsReadout(Readout):
    images: tuple[ImageRow, ...]


@dataclass(slots=True)
class ContainerCounts:
    """Counts while they are summed up."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    images: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    names: Counter[str] = field(default_factory=Counter)
    """Counts of those resolved by their image, encrypted, or unknown."""

    def add(self, container: Container, many: int, index: AppIndex, classifier: Classifier) -> None:
        """Count `many` identical containers."""
        resolved = Resolved("", "", container.image) if container.image else index.resolve(container.name or "")
        kind = (
            classifier.by_image(resolved.image)
            if resolved.image
            else classifier.by_name(resolved.app, resolved.component)
        )
        self.names["resolved" if resolved.image else "encrypted" if resolved.encrypted else "unknown"] += many
        self.kinds[kind] += many
        if resolved.image and not kind.is_system:
            self.images[image_name(resolved.image)][kind.category] += many

    def values(self, classifier: Classifier) -> dict[str, int]:
        """Return the metrics. System containers are in no category and no tracked app's count."""
        apps = {kind: many for kind, many in self.kinds.items() if not kind.is_system}
        categories, tracked = Counter[str](), Counter[tuple[str, str]]()
        for kind, many in apps.items():
            categories[kind.category] += many
            tracked.update(dict.fromkeys(kind.tracked, many))
        git = sum(many for kind, many in apps.items() if kind.is_git)
        fixed = {
            "total_apps": categories.total(),
            "watchtower_count": sum(many for kind, many in self.kinds.items() if kind.is_watchtower),
            "gitapps_count": git,
            "dockerapps_count": categories.total() - git,
            "gaming_apps_total": categories[Category.Key.GAMING],
            "crypto_nodes_total": categories[Category.Key.CRYPTO],
            "wordpress_count": sum(many for kind, many in apps.items() if kind.is_of(TrackedApp.Category.WORDPRESS)),
        }
        return fixed | {f"{of}_{key}": tracked[of, key] for of, key in classifier.counted if of in COUNTED}


def count_running(
    listing: Containers, index: AppIndex | None, index_at: datetime | None, classifier: Classifier
) -> AppsReadout:
    """Return counts by image and app. Refused if names must be looked up without specifications."""
    if index is None and any(container.image is None for container in listing.containers):
        raise Refused("containers have only names, and there are no app specifications from the last 24 hours")
    counted = ContainerCounts()
    for container, many in Counter(listing.containers).items():
        counted.add(container, many, index or AppIndex([]), classifier)
    containers = len(listing.containers)
    coverage = {
        "rows": listing.rows,
        "repeated": listing.repeated,
        "nodes": listing.nodes,
        "containers": containers,
        "resolved": counted.names["resolved"],
        "resolvedPercent": percent(counted.names["resolved"], containers),
        "encrypted": counted.names["encrypted"],
        "unknown": counted.names["unknown"],
        "rowsLeftOut": listing.rows - listing.repeated - listing.nodes,
        "containersLeftOut": listing.left_out,
        "notRunning": listing.stopped,
        "specificationsOf": iso(index_at),
    }
    images = tuple(ImageRow(image, of.most_common(1)[0][0], of.total()) for image, of in counted.images.items())
    return AppsReadout(counted.values(classifier), coverage, listing.nodes, images)
