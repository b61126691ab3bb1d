"""Serve the carousel's last lists with their age."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from rest_framework import serializers

from carousel.models import Feed
from fluxtracker.api.fields import Answer, OrNull, UnixTimeMs
from fluxtracker.api.views import ReadView
from fluxtracker.periods import is_fresh
from metrics.selectors import OLD

FRESH = timedelta(hours=1)
MAX_AGE_S = 60  # the lists change once an hour


def _rests_on_old(items: list[dict[str, Any]], now: datetime) -> bool:
    """Return whether a number was already old when the list was made; another task counts images."""
    times = (item["asOf"] for item in items if "asOf" in item)
    return any(time is None or not is_fresh(datetime.fromisoformat(time), now, OLD) for time in times)


class Stat(serializers.Serializer[Any]):
    """Fields of every item."""

    rank = serializers.IntegerField(min_value=1, help_text="Within its type.")
    label = serializers.CharField(help_text="For people.")  # type: ignore[assignment]  # the wire name
    name = serializers.CharField()
    value = serializers.FloatField()
    unit = serializers.CharField()


class NetworkStat(Stat):
    type = serializers.ChoiceField(["app", "benchmark"])
    name = serializers.CharField(help_text="app: the image; benchmark: the node's tier, never its address.")
    key = serializers.CharField(
        required=False, help_text="benchmark: cores, ram, ssd, eps, ddwrite, download or upload."
    )
    category = serializers.CharField(required=False, allow_null=True, help_text="app: gaming, crypto, wordpress.")
    asOf = serializers.DateTimeField(allow_null=True, help_text="When this number was read.")


class AppStat(Stat):
    version = serializers.IntegerField(allow_null=True, help_text="Of the app's specification.")
    components = serializers.IntegerField(allow_null=True, help_text="Containers per instance; null: encrypted.")
    instances = serializers.IntegerField(allow_null=True, help_text="Wanted; null: the specification does not say.")
    kind = serializers.ChoiceField(["git", "docker", "encrypted"])
    image = serializers.CharField(allow_null=True, help_text="The first public one.")


class DeployedStat(AppStat):
    type = serializers.ChoiceField(["deployed"])
    value = serializers.FloatField(help_text="Block of the newest message that registered or changed it.")
    deployedAt = serializers.DateTimeField(help_text="About when that block was made.")


class ExpiringStat(AppStat):
    type = serializers.ChoiceField(["expiring"])
    value = serializers.FloatField(help_text="Blocks left when the list was read.")
    expireHeight = serializers.IntegerField(help_text="Its end block, from which on the app has ended.")
    expiresAt = serializers.DateTimeField(
        help_text="Approximate end at 30 s per block; versions after 8 have a duration."
    )


class ListAnswer(Answer):
    """Freshness of a list."""

    cached = serializers.BooleanField(help_text="Whether the list was ever read.")
    cacheAge = serializers.IntegerField(source="age", allow_null=True, help_text="s")
    fresh = serializers.BooleanField(help_text="Read within the hour, from numbers of the last two hours.")
    asOf = serializers.DateTimeField(source="feed.read_at", allow_null=True, help_text="When the list was read.")
    error = OrNull(source="feed.error", allow_null=True, help_text="Why the last attempt failed; the list is kept.")
    total = serializers.IntegerField(
        allow_null=True, help_text="Number of items; expiring: apps that end within 7 days. null: never read."
    )
    coverage = serializers.DictField(
        source="feed.coverage",
        allow_null=True,
        help_text="How many rows the list rests on; expiring: `endsUnknown` apps without a known end.",
    )
    timestamp = UnixTimeMs(source="now", help_text="ms")


class NetworkAnswer(ListAnswer):
    stats = NetworkStat(many=True)


class DeployedAnswer(ListAnswer):
    stats = DeployedStat(many=True)


class ExpiringAnswer(ListAnswer):
    stats = ExpiringStat(many=True)


class ListView(ReadView):
    """One list as it was last read."""

    feed: ClassVar[Feed.Name]
    tag, max_age = "carousel", MAX_AGE_S

    def get_view_name(self) -> str:
        return f"Carousel: {self.feed.label}"

    def etag(self, now: datetime) -> object:
        """Return an ETag that changes each minute, as the answer has ages. One small query."""
        rows = Feed.objects.order_by("name").values_list("name", "read_at", "tried_at", "error")
        return *rows, int(now.timestamp() // 60)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        feed = Feed.objects.filter(name=self.feed).first() or Feed(name=self.feed)
        age = now - feed.read_at if feed.read_at else None
        return {
            "feed": feed,
            "stats": feed.items,
            "cached": age is not None,
            "age": None if age is None else max(int(age.total_seconds()), 0),
            "fresh": is_fresh(feed.read_at, now, FRESH) and not _rests_on_old(feed.items, now),
            "total": None if age is None else (feed.coverage or {}).get("endWithin7Days", len(feed.items)),
            "now": now,
        }


class NetworkView(ListView):
    feed, operation, answer = Feed.Name.NETWORK, "carousel_stats", NetworkAnswer


class DeployedView(ListView):
    feed, operation, answer = Feed.Name.DEPLOYED, "carousel_deployed", DeployedAnswer


class ExpiringView(ListView):
    feed, operation, answer = Feed.Name.EXPIRING, "carousel_expiring", ExpiringAnswer
