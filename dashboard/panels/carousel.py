"""Show the carousel: most run images, new apps, apps that end soon. One small query."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.http import QueryDict

from carousel.models import Feed
from dashboard.panels.base import Panel
from fluxtracker import formatting
from ops.status import words

LABELS: Mapping[str, str] = {
    Feed.Name.NETWORK: "Network",
    Feed.Name.DEPLOYED: "Just deployed",
    Feed.Name.EXPIRING: "Expiring soon",
}
EMPTY: Mapping[str, str] = {
    Feed.Name.NETWORK: "No containers and no benchmarks were counted.",
    Feed.Name.DEPLOYED: "No app was deployed or changed in the last 24 hours.",
    Feed.Name.EXPIRING: "No app is known to end soon.",
}
NEVER = "No data yet (updated hourly)."


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    rows = {row.name: row for row in Feed.objects.all()}
    requested = query.get("feed", "")
    chosen = requested if requested in LABELS else Feed.Name.NETWORK
    return {"feeds": [_shown(rows.get(key) or Feed(name=key), key == chosen, now) for key in LABELS]}


def _shown(row: Feed, chosen: bool, now: datetime) -> dict[str, Any]:
    """Return one feed. `note` says why it is old or missing, `empty` why it has no entries."""
    return {
        "key": row.name,
        "label": LABELS[row.name],
        "items": [_item(item, now) for item in row.items],
        "read_at": row.read_at,
        "note": words(row.status(now), now, public=True),
        "empty": EMPTY[row.name] if row.read_at else NEVER,
        "more": _more(row),
        "chosen": chosen,
    }


def _more(row: Feed) -> str:
    """Return how many apps are not listed, and how many have no known end."""
    coverage = row.coverage or {}
    total = coverage.get("endWithin7Days")
    if row.name != Feed.Name.EXPIRING or total is None:
        return ""
    apps, end = formatting.plural(total, "app"), "ends" if total == 1 else "end"
    words = f"{apps} {end} within 7 days; the next {len(row.items)} are listed."
    unknown = coverage.get("endsUnknown")
    return f"{words} The end of {formatting.plural(unknown, 'more app')} is not known." if unknown else words


def _item(item: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a name with its rank figure or deployment time, and details."""
    match item["type"]:
        case "app":
            instances = formatting.plural(item["value"], "instance")
            return {"name": item["label"], "figure": instances, "title": item["name"]}
        case "benchmark":
            figure = f"{formatting.count(item['value'])} {item['unit']}"
            return {"name": item["label"], "figure": figure, "detail": item["name"]}
        case "deployed":
            at = datetime.fromisoformat(item["deployedAt"])
            return {"name": item["name"], "at": at, "detail": _parts(item), "title": item["image"]}
    until, block = _until(item["expiresAt"], now), f"block {formatting.whole(item['expireHeight'])}"
    return {"name": item["name"], "figure": until, "detail": block}


def _parts(item: Mapping[str, Any]) -> str:
    """Describe the deployment: `git, 2 components, 3 instances`."""
    counts = ((item["components"], "component"), (item["instances"], "instance"))
    return ", ".join([item["kind"], *(formatting.plural(number, noun) for number, noun in counts if number)])


def _until(instant: str, now: datetime) -> str:
    """Return the approximate time left, at half a minute per block."""
    left = datetime.fromisoformat(instant) - now
    return f"in about {formatting.span(left)}" if left > timedelta() else "ending now"


def stamp(query: QueryDict, now: datetime) -> object:
    """Return a stamp of the lists and the minute, as the time left changes with it."""
    rows = Feed.objects.order_by("name").values_list("name", "read_at", "tried_at", "error")
    return tuple(rows), int(now.timestamp()) // 60


FEEDS = Panel("feeds", "Around the network", "panels/carousel/panel.html", read, stamp, usual=Feed.Name.NETWORK.value)
