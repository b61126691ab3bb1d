"""The endpoints of this room: the last good lists, for as long as needed, with their age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from carousel.models import Feed
from fluxtracker.api.caching import conditional
from fluxtracker.api.views import ERRORS, PublicView
from fluxtracker.fresh import is_fresh
from metrics.latest import OLD
from ops.health import iso

FRESH = timedelta(hours=1)
MAX_AGE_S = 60  # the lists change once an hour


def _stamp(request: Request) -> tuple[object, ...]:
    """The age is told, so the answer is a new one each minute. One small query."""
    rows = Feed.objects.order_by("name").values_list("name", "read_at", "tried_at", "error")
    return *rows, int(timezone.now().timestamp() // 60)


class ListView(PublicView):
    """One list as it was last read."""

    feed = Feed.Name.NETWORK

    def get_view_name(self) -> str:
        return f"Carousel: {self.feed.label}"

    @conditional(_stamp, max_age=MAX_AGE_S)
    def get(self, request: Request) -> Response:
        feed = Feed.objects.filter(name=self.feed).first() or Feed(name=self.feed)
        return Response(_answer(feed, timezone.now()))


def list_view(feed: Feed.Name, answer: type[Serializer[Any]], operation: str) -> Callable[..., HttpResponseBase]:
    """The view of one list, described under its own name."""
    described = extend_schema_view(
        get=extend_schema(operation_id=operation, tags=["carousel"], responses={200: answer, **ERRORS})
    )
    view: type[ListView] = described(type(f"{feed.capitalize()}View", (ListView,), {"feed": feed}))
    return view.as_view()


def _answer(feed: Feed, now: datetime) -> dict[str, Any]:
    age = now - feed.read_at if feed.read_at else None
    return {
        "stats": feed.items,
        "cached": age is not None,
        "cacheAge": None if age is None else max(int(age.total_seconds()), 0),
        "fresh": is_fresh(feed.read_at, now, FRESH) and not _rests_on_old(feed.items, now),
        "asOf": iso(feed.read_at),
        "error": feed.error or None,
        "total": None if age is None else (feed.coverage or {}).get("endWithin7Days", len(feed.items)),
        "coverage": feed.coverage,
        "timestamp": int(now.timestamp() * 1000),
    }


def _rests_on_old(items: list[dict[str, Any]], now: datetime) -> bool:
    """Whether a number was old already when the list was made: images are counted by another work."""
    times = (item["asOf"] for item in items if "asOf" in item)
    return any(told is None or not is_fresh(datetime.fromisoformat(told), now, OLD) for told in times)
