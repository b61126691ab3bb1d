"""Build the carousel's lists: top images and benchmarks, new apps, apps that end next.

Each is refreshed on its own: a list that fails stays as it was.
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

MOST_PROBES = 6  # blocks asked for besides the tip's
ADDRESS = re.compile(r"\A[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?/")


@dataclass(frozen=True, slots=True)
class Since:
    """`lowest`: the lowest of the heights that was made since; None when none was.

    Not `exact` where the questions did not suffice: the last decision then rests on the times around.
    """

    lowest: int | None
    exact: bool
    timeline: Timeline


def made_since(moment: datetime, heights: Iterable[int], tip: int, ask: Callable[[int], Block]) -> Since:
    """Look for the lowest of the heights whose block was made at the moment or later.

    Only these heights are asked for: the blocks between two of them decide nothing. Those above the tip
    cannot be asked for and are judged by the schedule.
    """
    ordered, timeline = sorted(set(heights)), Timeline((ask(tip),))
    above = bisect_right(ordered, tip)
    low, high, probes = 0, above, MOST_PROBES
    if timeline.known[0].time < moment:  # the chain stands
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
    """Return the timeline with the times of these blocks, as far as the daemon tells them."""
    try:
        for height in heights:
            timeline = timeline.with_block(ask(height))
    except UpstreamError as error:
        log.warning("block_time_not_told", error=one_line(error))
    return timeline


@dataclass(frozen=True, slots=True)
class Drawn:
    """A list as it is now, and on how many rows it rests."""

    items: list[Item]
    coverage: dict[str, Any] = field(default_factory=dict)


def app_item(app: AppSpecification) -> Item:
    """Return what is public of an app."""
    images = [part.image for part in app.components if part.image]
    is_git = any(ORBIT in image.lower() for image in images)
    return {
        "label": app.name,
        "name": app.name,
        "version": app.version or None,
        "components": None if app.encrypted else len(app.components),
        "instances": app.instances,
        "kind": "encrypted" if app.encrypted else "git" if is_git else "docker",
        # The first public one. A registry that is known by its address alone is left out of the name.
        "image": ADDRESS.sub("", images[0]) if images else None,
    }


LATELY, SOON = timedelta(hours=24), timedelta(days=7)
SHOWN = 20  # of the apps that end next
ANCHORS = 6  # blocks that are asked for to know when apps with a duration were registered, besides those shown
AHEAD = 120  # blocks that a specification's node may be ahead of the daemon's
LONGEST = 10 * 365 * 86_400 // NEW_SECONDS  # blocks an app may have left; more is absurd


def deployed(specifications: AppSpecifications, tip: int, ask: Callable[[int], Block], now: datetime) -> Drawn:
    """Return every app that was registered or changed within 24 hours by block time, the newest first."""
    apps = [(height, app) for height, app in _with_height(specifications) if height <= tip + AHEAD]
    found = made_since(now - LATELY, (height for height, _ in apps), tip, ask)
    lately = [] if found.lowest is None else [(h, app) for h, app in apps if h >= found.lowest]
    lately.sort(key=lambda row: (-row[0], row[1].name))
    items = [
        {
            "type": "deployed",
            "rank": rank,
            "value": height,
            "unit": "block",
            "deployedAt": iso(min(found.timeline.time_of(height), now)),
        }
        | app_item(app)
        for rank, (height, app) in enumerate(lately, 1)
    ]
    return Drawn(items, _coverage(specifications, len(apps)))


def expiring(specifications: AppSpecifications, tip: int, ask: Callable[[int], Block], now: datetime) -> Drawn:
    """Return the next 20 apps to end, the soonest first; the coverage says how many end within 7 days.

    An app has ended from its end block on, as FluxOS after 8.17 has it; 8.17 lets it live in that block. One whose
    end is not known is in no list, and counted. A duration begins with its block: where the daemon does not tell
    that block's time, the schedule stands in, and the coverage counts the app as estimated.
    """
    timed = sorted({height for height, app in _with_height(specifications) if _is_timed(app) and height <= tip})
    # A few of the heights, the first and the last among them: between two known blocks times are close.
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
    """End of an app: the number of blocks left and the approximate time."""

    app: AppSpecification
    height: int
    left: int
    at: datetime


def _ends(specifications: AppSpecifications, tip: int, timeline: Timeline, now: datetime) -> list[End]:
    """Return the known ends."""
    found = (_end(app, height, tip, timeline, now) for height, app in _with_height(specifications))
    return [end for end in found if end and end.left <= LONGEST]


def _end(app: AppSpecification, height: int, tip: int, timeline: Timeline, now: datetime) -> End | None:
    if app.term is None:
        return None
    if app.term.unit == Unit.BLOCKS:
        left = end_height(height, app.term.amount) - tip
        return End(app, height, left, now + _span(min(left, LONGEST)))
    at = timeline.time_of(height) + timedelta(seconds=app.term.amount)
    return End(app, height, ceil((at - timeline.time_of(tip)) / _span(1)), at)


def _estimated(ends: list[End], timeline: Timeline) -> list[End]:
    """Return the ends of durations that begin with a block whose time is not known exactly."""
    return [end for end in ends if _is_timed(end.app) and end.height not in timeline.heights]


def _running(ends: list[End], now: datetime) -> list[End]:
    """Return what has not ended, the soonest first."""
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
    """Return what an image is called, in any spelling: a known word, else one made of the last part of its path."""
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
    """As many images as were counted, at most ten: none before the first collection of metrics."""
    items = [*_images(), *_bests(benchmarks, now)]
    coverage = {"rows": benchmarks.rows, "repeated": benchmarks.repeated, "leftOut": benchmarks.unusable}
    return Drawn(items, coverage)


def _images() -> Iterator[Item]:
    read_at = Source.objects.filter(name=Source.Name.APPS).values_list("read_at", flat=True).first()
    # Watchtower and what else runs everywhere without being an app is left out.
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
    """Yield the best node of each kind of number, by its tier alone: its address stays private."""
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
    """Number of items in each list now, None where it was never read; a list that failed keeps its items."""

    network: int | None
    deployed: int | None
    expiring: int | None
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


def _store(name: Feed.Name, outcome: Drawn | UpstreamError, now: datetime) -> int | None:
    """Return how many items the list has then; None where it was never read."""
    if isinstance(outcome, UpstreamError):
        feed, _ = Feed.objects.update_or_create(name=name, defaults={"tried_at": now, "error": one_line(outcome)})
        return len(feed.items) if feed.read_at else None
    fresh = {"items": outcome.items, "coverage": outcome.coverage, "read_at": now, "tried_at": now, "error": ""}
    Feed.objects.update_or_create(name=name, defaults=fresh)
    return len(outcome.items)
