"""The second and third list: apps of the last 24 hours, and those that end next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from carousel.chaintime import Timeline
from carousel.items import Drawn, app_item
from carousel.since import learn, made_since
from fluxtracker.terms import NEW_SECONDS, Unit, end_height
from fluxtracker.upstream.records import AppSpecification, AppSpecifications, Block
from ops.health import iso

LATELY, SOON = timedelta(hours=24), timedelta(days=7)
SHOWN = 20  # of the apps that end next
ANCHORS = 6  # blocks that are asked for to know when apps with a duration were registered, besides those shown
AHEAD = 120  # blocks that a specification's node may be ahead of the daemon's
LONGEST = 10 * 365 * 86_400 // NEW_SECONDS  # blocks an app may have left; more is absurd


def deployed(specifications: AppSpecifications, tip: int, ask: Callable[[int], Block], now: datetime) -> Drawn:
    """Every app that was registered or changed within 24 hours by block time, the newest first."""
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
    timeline = learn(Timeline((Block(tip, now),)), [tip, *_spread(timed)] if timed else [], ask)
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
    """When an app ends: after how many blocks more, and about at which time."""

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


def _spread(heights: list[int]) -> list[int]:
    """Return a few of the heights, the first and the last among them: between two known blocks times are close."""
    return [heights[place * (len(heights) - 1) // (ANCHORS - 1)] for place in range(ANCHORS)] if heights else []


def _with_height(specifications: AppSpecifications) -> Iterator[tuple[int, AppSpecification]]:
    return ((app.height, app) for app in specifications.apps if app.height)


def _coverage(specifications: AppSpecifications, used: int) -> dict[str, int]:
    rows = len(specifications.apps) + specifications.left_out
    return {"rows": rows, "leftOut": rows - used}


def _span(blocks: int) -> timedelta:
    return timedelta(seconds=blocks * NEW_SECONDS)
