"""Describe and write days: nested for readers, flat for the previous tracker's clients."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.fields import Answer, ErrorAnswer, MicroDollars, Price, Satoshi, UnixTime
from metrics.metric_keys import COUNTED, FIXED, GROUPS, TOTALS
from snapshots.comparison.calculate import CLOUD
from snapshots.models import Snapshot
from snapshots.selectors import by_key

Whole, Number = serializers.IntegerField, serializers.FloatField
LEDGER = "The ledger's total of the day, FLUX; null where the ledger does not know the day."
BY_KEY = "The category's total and each tracked app by key; null: not counted on that day."


class SnapshotNodes(Answer):
    total = Whole(source="node_total", allow_null=True)
    cumulus = Whole(source="node_cumulus", allow_null=True)
    nimbus = Whole(source="node_nimbus", allow_null=True)
    stratus = Whole(source="node_stratus", allow_null=True)


class SnapshotApps(Answer):
    total = Whole(source="total_apps", allow_null=True, help_text="Running containers, without Watchtower.")
    gaming = Whole(source="gaming_apps_total", allow_null=True)
    crypto = Whole(source="crypto_nodes_total", allow_null=True)
    gitapps = Whole(source="gitapps_count", allow_null=True)
    dockerapps = Whole(source="dockerapps_count", allow_null=True)
    gitapps_percent = Number(allow_null=True)
    dockerapps_percent = Number(allow_null=True)
    watchtower = Whole(source="watchtower_count", allow_null=True)
    wordpress = Whole(source="wordpress_count", allow_null=True)


class SnapshotUse(serializers.Serializer[Any]):
    total = Number(allow_null=True)
    used = Number(allow_null=True)
    utilization = Number(allow_null=True, help_text="%")


class SnapshotCloud(serializers.Serializer[Any]):
    cpu = SnapshotUse(help_text="Cores.")
    ram = SnapshotUse(help_text="GB")
    storage = SnapshotUse(help_text="GB")


class SnapshotWordpress(Answer):
    count = Whole(source="wordpress_count", allow_null=True)


class SnapshotRow(Answer):
    date = serializers.DateField(source="day")
    revenue = Satoshi(source="revenue_sat", allow_null=True, help_text=LEDGER)
    revenueUsd = MicroDollars(source="usd_micro", allow_null=True, help_text="Of the priced payments.")
    usdMissing = Whole(source="usd_missing", help_text="Payments without a price.")
    payments = Whole(allow_null=True)
    complete = serializers.BooleanField(help_text="The day is over and complete.")
    price = Price(source="flux_price_usd", allow_null=True, help_text="USD for 1 FLUX.")
    nodes = SnapshotNodes(source="*")
    apps = SnapshotApps(source="*")
    cloud = SnapshotCloud()
    gaming = serializers.DictField(child=Whole(allow_null=True), help_text=BY_KEY)
    crypto = serializers.DictField(child=Whole(allow_null=True), help_text=BY_KEY)
    wordpress = SnapshotWordpress(source="*")
    source = serializers.ChoiceField(Snapshot.Source.choices)  # type: ignore[assignment]  # the wire name
    readAt = serializers.DateTimeField(source="read_at", allow_null=True, help_text="The oldest reading of the row.")

    @classmethod
    def write(cls, source: dict[str, Any]) -> dict[str, Any]:
        categories = {name: by_key(name, source) for name in COUNTED}
        # Already in the shape of `SnapshotCloud`.
        cloud = {name: {key: source[metric] for key, metric in GROUPS[name].items()} for name in CLOUD}
        return super().write({**source, **categories, "cloud": cloud})


class SyncStatus(serializers.ChoiceField):
    """Whether a row has all five totals."""

    @staticmethod
    def write(value: dict[str, Any]) -> str:
        return "partial" if any(value[total] is None for total in TOTALS) else "completed"


class SnapshotFlat(Answer):
    """A row under the column names of the previous tracker.

    Each tracked app adds a `gaming_...` or `crypto_...` key, null where the day has none.
    """

    id = Whole()
    snapshot_date = serializers.DateField(source="day")
    date = serializers.DateField(source="day")
    timestamp = UnixTime(source="read_at", allow_null=True, help_text="When the row's values were read, unix s.")
    daily_revenue = Satoshi(source="revenue_sat", allow_null=True, help_text=LEDGER)
    daily_revenue_usd = MicroDollars(source="usd_micro", allow_null=True, help_text="Of the priced payments.")
    usdMissing = Whole(source="usd_missing", help_text="Payments without a price.")
    payments = Whole(allow_null=True)
    complete = serializers.BooleanField(help_text="The day is over and complete.")
    sync_status = SyncStatus(["completed", "partial"], source="*", help_text="partial: a total is not known.")
    source = serializers.ChoiceField(Snapshot.Source.choices)  # type: ignore[assignment]  # the wire name
    created_at = UnixTime(source="made_at", help_text="When the row was written, unix s.")

    @classmethod
    def write(cls, source: dict[str, Any]) -> dict[str, Any]:
        return {**super().write(source), **source["counts"]}

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        columns = {
            metric.key: (Price if metric.key == "flux_price_usd" else Number)(
                allow_null=True, help_text=" ".join(filter(None, (metric.label, metric.unit)))
            )
            for metric in FIXED
        }
        return super().get_fields() | columns


class MissingDay(Answer):
    date = serializers.DateField(source="day")
    reason = serializers.CharField()


class SnapshotsAnswer(Answer):
    count = Whole()
    data = SnapshotRow(many=True, source="rows")  # type: ignore[assignment]  # the wire name
    missing = MissingDay(many=True, help_text="Days without a row in between.")


class FullAnswer(Answer):
    count = Whole()
    data = SnapshotFlat(many=True, source="rows")  # type: ignore[assignment]  # the wire name
    missing = MissingDay(many=True, help_text="Days without a row in between.")


class RangeAnswer(SnapshotsAnswer):
    start = serializers.DateField(source="days.first")
    end = serializers.DateField(source="days.last")


class NoSnapshot(ErrorAnswer):
    date = serializers.DateField()
    nearest = serializers.DateField(allow_null=True, help_text="The nearest day that has a row.")


class ImagePoint(Answer):
    date = serializers.DateField()
    count = Whole()


class ImagesAnswer(Answer):
    image = serializers.CharField()
    category = serializers.CharField(allow_null=True)
    start = serializers.DateField(allow_null=True)
    end = serializers.DateField(allow_null=True)
    count = Whole(help_text="Days in `data`.")
    data = ImagePoint(many=True, help_text="Oldest first, without days on which images were not counted.")  # type: ignore[assignment]  # the wire name


class CategoryAnswer(Answer):
    category = serializers.CharField()
    count = Whole(help_text="Days in `data`.")
    data = serializers.ListField(  # type: ignore[assignment]  # the wire name
        child=serializers.DictField(),
        help_text="Newest first: `date`, `total` and each tracked app by key; null: not counted on that day.",
    )
    missing = MissingDay(many=True, help_text="Days without a row in between.")


class TopCounts(Answer):
    rank = Whole()
    count = Whole(help_text="Containers now.")
    previous = Whole(allow_null=True, help_text="On the day compared with; null: not counted.")
    difference = Whole(allow_null=True)


class TopImage(TopCounts):
    image = serializers.CharField(source="name")


class TopApp(TopCounts):
    key = serializers.CharField()
    name = serializers.CharField()


class TopAnswer(Answer):
    category = serializers.CharField()
    days = Whole()
    asOf = serializers.DateTimeField(allow_null=True, help_text="When containers were last read; null: never.")
    stale = serializers.BooleanField(help_text="That was over 2 hours ago, or never.")
    comparisonDate = serializers.DateField(allow_null=True)
    message = serializers.CharField(allow_null=True, help_text="Why there is nothing to compare with.")
    count = Whole()
    total = Whole(help_text="Images of the category that run now.")
    data = TopImage(many=True)  # type: ignore[assignment]  # the wire name
    apps = TopApp(many=True, help_text="The tracked apps of the category, including those without a public image.")


class StatsRevenue(Answer):
    today = Satoshi(allow_null=True)
    last7Days = Satoshi(allow_null=True, help_text="Today included.")
    last30Days = Satoshi(allow_null=True, help_text="Today included.")
    total = Satoshi(allow_null=True)


class StatsAnswer(Answer):
    snapshots = Whole()
    transactions = Whole(help_text="Payments stored; pruned ones are not.")
    priceHistory = Whole(help_text="Days with a price.")
    repoSnapshots = Whole(help_text="Counts of an image on a day.")
    distinctRepos = Whole()
    dbSizeKB = Whole()
    lastSnapshotDate = serializers.DateField(allow_null=True)
    revenue = StatsRevenue(help_text="FLUX")
    firstTransactionDate = serializers.DateField(allow_null=True)
    lastSyncBlock = Whole(allow_null=True)


class SnapshotConfig(Answer):
    intervalMinutes = Whole(allow_null=True, help_text="null: the check is not on the schedule.")
    notBefore = serializers.CharField(help_text="UTC")
    maxAgeMinutes = Whole()
    totalsNeeded = Whole(help_text="Of the five: nodes, apps, cores, RAM, storage.")


class SnapshotState(Answer):
    lastCheck = serializers.DateTimeField(allow_null=True)
    lastSuccess = serializers.DateTimeField(allow_null=True)
    consecutiveFailures = Whole()
    lastError = serializers.CharField(allow_null=True)
    isSchedulerRunning = serializers.BooleanField(help_text="A worker is running and the check is on schedule.")
    isCheckInProgress = serializers.BooleanField()
    lastSnapshotDate = serializers.DateField(allow_null=True)
    missingDays = MissingDay(many=True, help_text="Of the last 30 days, since the first snapshot.")


class SnapshotStatus(Answer):
    config = SnapshotConfig()
    state = SnapshotState()
    todaySnapshotExists = serializers.BooleanField()
    todaySnapshotDate = serializers.DateField(allow_null=True)
    isHealthy = serializers.BooleanField(allow_null=True, help_text="null: no check has run yet.")
