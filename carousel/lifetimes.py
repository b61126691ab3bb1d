"""The second and third list: apps of the last 24 hours, and those that end next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from carousel.chaintime import NEW_SECONDS, end_height
from carousel.items import Drawn, app_item
from carousel.since import made_since
from fluxtracker.upstream.records import AppSpecification, AppSpecifications, Block
from ops.health import iso

LATELY, SOON = timedelta(hours=24), timedelta(days=7)
SHOWN = 20  # of the apps that end next
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


def expiring(specifications: AppSpecifications, tip: int, now: datetime) -> Drawn:
    """The next 20 apps to end, the soonest first, and in the coverage how many end within 7 days."""
    ends = [(end_height(height, app.expire) - tip, app) for height, app in _with_height(specifications)]
    known = [(left, app) for left, app in ends if left <= LONGEST]
    running = sorted(((left, app) for left, app in known if left > 0), key=lambda row: (row[0], row[1].name))
    items = [
        {
            "type": "expiring",
            "rank": rank,
            "value": left,
            "unit": "blocks",
            "expireHeight": tip + left,
            "expiresAt": iso(now + _span(left)),
        }
        | app_item(app)
        for rank, (left, app) in enumerate(running[:SHOWN], 1)
    ]
    within = sum(_span(left) <= SOON for left, _ in running)
    return Drawn(items, _coverage(specifications, len(known)) | {"endWithin7Days": within})


def _with_height(specifications: AppSpecifications) -> Iterator[tuple[int, AppSpecification]]:
    return ((app.height, app) for app in specifications.apps if app.height)


def _coverage(specifications: AppSpecifications, used: int) -> dict[str, int]:
    rows = len(specifications.apps) + specifications.left_out
    return {"rows": rows, "leftOut": rows - used}


def _span(blocks: int) -> timedelta:
    return timedelta(seconds=blocks * NEW_SECONDS)
