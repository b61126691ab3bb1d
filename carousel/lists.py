"""Build the carousel's lists: top images and benchmarks, new apps, apps that end next.

Each is refreshed separately: a failure keeps the previous list.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import orjson
import structlog
from django.db import transaction

from carousel.models import Feed
from fluxtracker.api.report_serializers import INTERNAL, UNDESCRIBED, described
from fluxtracker.block_times import Timeline
from fluxtracker.images import image_name
from fluxtracker.timestamps import iso
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import ORBIT, AppRegistry
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from fluxtracker.upstream.records import NEW_SECONDS, AppSpecification, AppSpecifications, Block, Unit, end_height
from fluxtracker.upstream.stats import Nodes, Stats
from fluxtracker.upstream.stats_parsing import Benchmark
from metrics.models import ImageCount, Source, TrackedApp, image_matcher
from ops.jobs.runs import Run, one_line

log = structlog.get_logger(__name__)

Item = dict[str, Any]

MOST_PROBES = 6  # blocks to request besides the tip
ADDRESS = re.compile(r"\A[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?/")


@dataclass(frozen=True, slots=True)
class Since:
    """`lowest`: the lowest height made since then, if any.

    Not `exact` if the requests did not suffice; the last step then uses interpolated times.
    """

    lowest: int | None
    exact: bool
    timeline: Timeline


def made_since(moment: datetime, heights: Iterable[int], tip: int, ask: Callable[[int], Block]) -> Since:
    """Find the lowest of the heights with a block at or after the moment.

    Only these heights are requested, as the blocks between them decide nothing. Those above the tip are judged by
    the schedule.
    """
    ordered, timeline = sorted(set(heights)), Timeline((ask(tip),))
    above = bisect_right(ordered, tip)
    low, high, probes = 0, above, MOST_PROBES
    if timeline.known[0].time < moment:  # the chain is stuck
        low, high, probes = above, len(ordered), 0
    for _ in range(probes):
        if low == high:
            break
        at = min(bisect_left(ordered, moment, low, high, key=timeline.time_of), high - 1)
        block = ask(ordered[at])
        timeline = timeline.with_block(block)
        low, high = (low, at) if block.time >= moment else (at + 1, high)
    first = bisect_left(ordered, moment, low, high, key=timeline.time_of)
    return Since(ordered[first] if first < len(ordered) else None, low == high or not probes, timeline)


def learn(timeline: Timeline, heights: Iterable[int], ask: Callable[[int], Block]) -> Timeline:
    """Return the timeline with the times of these blocks, where the daemon reports them."""
    try:
        for height in heights:
            timeline = timeline.with_block(ask(height))
    except UpstreamError as error:
        log.warning("block_time_not_told", error=one_line(error))
    return timeline


@dataclass(frozen=True, slots=True)
class Drawn:
    """A current list, and the number of rows it rests on."""

    items: list[Item]
    coverage: dict[str, Any] = field(default_factory=dict)


def app_item(app: AppSpecification) -> Item:
    """Return the public facts of an app."""
    images = [part.image for part in app.components if part.image]
    is_git = any(ORBIT in image.lower() for image in images)
    return {
        "label": app.name,
        "name": app.name,
        "version": app.version or None,
        "components": None if app.encrypted else len(app.components),
        "instances": app.instances,
        "kind": "encrypted" if app.encrypted else "git" if is_git else "docker",
        # The first public one, named without a registry that has only an IP address.
        "image": ADDRESS.sub("", images[0]) if images else None,
    }


LATELY, SOON = timedelta(hours=24), timedelta(days=7)
SHOWN = 20  # apps that end next
ANCHORS = 6  # blocks requested to date registrations of apps with a duration, besides those shown
AHEAD = 120  # blocks by which a specification's node may be ahead of the daemon's
LONGEST = 10 * 365 * 86_400 // NEW_SECONDS  # blocks an app may have left; more is absurd


def deployed(specifications: AppSpecifications, tip: int, ask: Callable[[int], Block], now: datetime) -> Drawn:
    """Return apps registered or changed within 24 hours by block time, newest first."""
    apps = [(height, app) for height, app in _with_height(specifications) if height <= tip + AHEAD]
    since = made_since(now - LATELY, (height for height, _ in apps), tip, ask)
    lately = [] if since.lowest is None else [(h, app) for h, app in apps if h >= since.lowest]
    lately.sort(key=lambda row: (-row[0], row[1].name))
    items = [
        {
            "type": "deployed",
            "rank": rank,
            "value": height,
            "unit": "block",
            "deployedAt": iso(min(since.timeline.time_of(height), now)),
        }
        | app_item(app)
        for rank, (height, app) in enumerate(lately, 1)
    ]
    return Drawn(items, _coverage(specifications, len(apps)))


def expiring(specifications: AppSpecifications, tip: int, ask: Callable[[int], Block], now: datetime) -> Drawn:
    """Return the next 20 apps to end, soonest first, with the number that end within 7 days in the coverage.

    An app has ended from its end block on, as in FluxOS after 8.17; in 8.17 it still lives in that block. Apps
    without a known end are counted but not listed. A duration begins with its block: if the daemon does not report
    that block's time, the schedule is used, and the coverage counts the app as estimated.
    """
    timed = sorted({height for height, app in _with_height(specifications) if _is_timed(app) and height <= tip})
    # A few heights including first and last, as times between two known blocks are accurate enough.
    spread = [timed[place * (len(timed) - 1) // (ANCHORS - 1)] for place in range(ANCHORS)] if timed else []
    timeline = learn(Timeline((Block(tip, now),)), [tip, *spread] if timed else [], ask)
    shown = _running(_ends(specifications, tip, timeline, now), now)[:SHOWN]
    timeline = learn(timeline, sorted({end.height for end in _estimated(shown, timeline) if end.height <= tip}), ask)
    ends = _ends(specifications, tip, timeline, now)
    running = _running(ends, now)
    items = [
        {
            "type": "expiring",
            "rank": rank,
            "value": end.left,
            "unit": "blocks",
            "expireHeight": tip + end.left,
            "expiresAt": iso(end.at),
        }
        | app_item(end.app)
        for rank, end in enumerate(running[:SHOWN], 1)
    ]
    counts = {
        "endWithin7Days": sum(end.at - now <= SOON for end in running),
        "endsUnknown": len(specifications.apps) - len(ends),
        "endsEstimated": len(_estimated(running[:SHOWN], timeline)),
    }
    return Drawn(items, _coverage(specifications, len(ends)) | counts)


@dataclass(frozen=True, slots=True)
class End:
    """End of an app: blocks left and approximate time."""

    app: AppSpecification
    height: int
    left: int
    at: datetime


def _ends(specifications: AppSpecifications, tip: int, timeline: Timeline, now: datetime) -> list[End]:
    """Return the known ends."""
    ends = (_end(app, height, tip, timeline, now) for height, app in _with_height(specifications))
    return [end for end in ends if end and end.left <= LONGEST]


def _end(app: AppSpecification, height: int, tip: int, timeline: Timeline, now: datetime) -> End | None:
    if app.term is None:
        return None
    if app.term.unit == Unit.BLOCKS:
        left = end_height(height, app.term.amount) - tip
        return End(app, height, left, now + _span(min(left, LONGEST)))
    at = timeline.time_of(height) + timedelta(seconds=app.term.amount)
    return End(app, height, ceil((at - timeline.time_of(tip)) / _span(1)), at)


def _estimated(ends: list[End], timeline: Timeline) -> list[End]:
    """Return the ends of durations that begin with a block of estimated time."""
    return [end for end in ends if _is_timed(end.app) and end.height not in timeline.heights]


def _running(ends: list[End], now: datetime) -> list[End]:
    """Return apps that have not ended, soonest first."""
    return sorted((end for end in ends if end.left > 0 and end.at > now), key=lambda end: (end.left, end.app.name))


def _is_timed(app: AppSpecification) -> bool:
    return app.term is not None and app.term.unit == Unit.SECONDS


def _with_height(specifications: AppSpecifications) -> Iterator[tuple[int, AppSpecification]]:
    return ((app.height, app) for app in specifications.apps if app.height)


def _coverage(specifications: AppSpecifications, used: int) -> dict[str, int]:
    rows = len(specifications.apps) + specifications.left_out
    return {"rows": rows, "leftOut": rows - used}


def _span(blocks: int) -> timedelta:
    return timedelta(seconds=blocks * NEW_SECONDS)


LABELS: dict[str, str] = orjson.loads(Path(__file__).with_name("image_labels.json").read_bytes())
ENDINGS = re.compile(r"(?<=.)(-(server|node|docker|dedicated|standalone|core|flux))+\Z", re.IGNORECASE)
BREAKS = re.compile(r"[-_]+")


def label(image: str) -> str:
    """Return a label for an image in any spelling: a known one, else from the last part of its path."""
    name = image_name(image)
    if name in LABELS:
        return LABELS[name]
    words = BREAKS.split(ENDINGS.sub("", name.rpartition("/")[2]))
    return " ".join(word[:1].upper() + word[1:] for word in words if word) or image


TOP = 10
BESTS = (  # key, label, unit, attribute of a benchmark
    ("cores", "Most CPU cores", "cores", "cores"),
    ("ram", "Most memory", "GB", "ram_gb"),
    ("ssd", "Most storage", "GB", "storage_gb"),
    ("eps", "Fastest CPU", "events/s", "eps"),
    ("ddwrite", "Fastest disk", "MB/s", "write_mbs"),
    ("download", "Fastest download", "Mbit/s", "download_mbit"),
    ("upload", "Fastest upload", "Mbit/s", "upload_mbit"),
)


def network(benchmarks: Nodes[Benchmark], now: datetime) -> Drawn:
    """Return up to ten counted images, none before the first collection, and the best benchmarks."""
    items = [*_images(), *_bests(benchmarks, now)]
    coverage = {"rows": benchmarks.rows, "repeated": benchmarks.repeated, "leftOut": benchmarks.unusable}
    return Drawn(items, coverage)


def _images() -> Iterator[Item]:
    read_at = Source.objects.filter(name=Source.Name.APPS).values_list("read_at", flat=True).first()
    # Without Watchtower and other containers that run everywhere without being an app.
    patterns = TrackedApp.objects.filter(category=TrackedApp.Category.SYSTEM, active=True)
    is_system = image_matcher(part for parts in patterns.values_list("image_patterns", flat=True) for part in parts)
    rows = (row for row in ImageCount.objects.filter(count__gt=0) if not is_system(row.image))
    for rank, row in zip(range(1, TOP + 1), rows, strict=False):
        yield {
            "type": "app",
            "rank": rank,
            "label": label(row.image),
            "name": row.image,
            "value": row.count,
            "unit": "instances",
            "category": row.category or None,
            "asOf": iso(read_at),
        }


def _bests(benchmarks: Nodes[Benchmark], now: datetime) -> Iterator[Item]:
    """Yield the best node of each benchmark, by tier only: its address stays private."""
    for rank, (key, words, unit, attribute) in enumerate(BESTS, 1):
        value, tier = max((getattr(node, attribute) or 0, node.tier) for node in benchmarks.nodes)
        if value > 0:
            yield {
                "type": "benchmark",
                "rank": rank,
                "key": key,
                "label": words,
                "name": f"{tier.capitalize()} node",
                "value": value,
                "unit": unit,
                "asOf": iso(now),
            }


Outcomes = dict[Feed.Name, Drawn | UpstreamError]


@dataclass(frozen=True, slots=True)
class CarouselReport:
    """Number of items in each list, None if never read; a list that failed keeps its items."""

    network: int | None
    deployed: int | None
    expiring: int | None
    ends_unknown: int | None = field(metadata=described("Apps without a known end; null: not read.", required=False))
    failed: tuple[str, ...] = field(metadata=UNDESCRIBED)
    failure: UpstreamError | None = field(metadata=INTERNAL)
    """Every one of them failed."""


def refresh_lists(*, stats: Stats, registry: AppRegistry, daemon: Daemon, now: datetime, run: Run) -> CarouselReport:
    """Read and store the three lists, including failures."""
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
    """Read the upstreams in parallel, and the database only in the calling thread."""
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


def _store(name: Feed.Name, outcome: Drawn | UpstreamError, now: datetime) -> int | None:
    """Store the list and return its number of items, None if never read."""
    if isinstance(outcome, UpstreamError):
        feed, _ = Feed.objects.update_or_create(name=name, defaults={"tried_at": now, "error": one_line(outcome)})
        return len(feed.items) if feed.read_at else None
    fresh = {"items": outcome.items, "coverage": outcome.coverage, "read_at": now, "tried_at": now, "error": ""}
    Feed.objects.update_or_create(name=name, defaults=fresh)
    return len(outcome.items)
