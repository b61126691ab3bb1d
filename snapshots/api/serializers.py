"""Describe and write days: nested for readers, flat for the previous tracker's clients."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rest_framework import serializers

from fluxtracker import money
from fluxtracker.api.fields import ErrorAnswer
from fluxtracker.timestamps import iso
from metrics.catalogue import COUNTED, FIXED, TOTALS
from metrics.models import TrackedApp
from revenue.api.serializers import flux
from snapshots.models import Snapshot
from snapshots.selectors import DayRow, Gap

Whole, Number = serializers.IntegerField, serializers.FloatField
LEDGER = "The ledger's total of the day, FLUX; null where the ledger does not know the day."
BY_KEY = "The category's total and each tracked app by key; null: not counted on that day."


class SnapshotNodes(serializers.Serializer[Any]):
    total = Whole(allow_null=True)
    cumulus = Whole(allow_null=True)
    nimbus = Whole(allow_null=True)
    stratus = Whole(allow_null=True)


class SnapshotApps(serializers.Serializer[Any]):
    total = Whole(allow_null=True, help_text="Running containers, Watchtower left out.")
    gaming = Whole(allow_null=True)
    crypto = Whole(allow_null=True)
    gitapps = Whole(allow_null=True)
    dockerapps = Whole(allow_null=True)
    gitapps_percent = Number(allow_null=True)
    dockerapps_percent = Number(allow_null=True)
    watchtower = Whole(allow_null=True)
    wordpress = Whole(allow_null=True)


class SnapshotUse(serializers.Serializer[Any]):
    total = Number(allow_null=True)
    used = Number(allow_null=True)
    utilization = Number(allow_null=True, help_text="%")


class SnapshotCloud(serializers.Serializer[Any]):
    cpu = SnapshotUse(help_text="Cores.")
    ram = SnapshotUse(help_text="GB")
    storage = SnapshotUse(help_text="GB")


class SnapshotWordpress(serializers.Serializer[Any]):
    count = Whole(allow_null=True)


class SnapshotRow(serializers.Serializer[Any]):
    date = serializers.DateField()
    revenue = Number(allow_null=True, help_text=LEDGER)
    revenueUsd = Number(allow_null=True, help_text="Of the priced payments.")
    usdMissing = Whole(help_text="Payments without a price.")
    payments = Whole(allow_null=True)
    complete = serializers.BooleanField(help_text="The day is over, and every payment of it is in.")
    price = Number(allow_null=True, help_text="USD for 1 FLUX.")
    nodes = SnapshotNodes()
    apps = SnapshotApps()
    cloud = SnapshotCloud()
    gaming = serializers.DictField(child=Whole(allow_null=True), help_text=BY_KEY)
    crypto = serializers.DictField(child=Whole(allow_null=True), help_text=BY_KEY)
    wordpress = SnapshotWordpress()
    source = serializers.ChoiceField(Snapshot.Source.choices)  # type: ignore[assignment]  # the wire name
    readAt = serializers.DateTimeField(allow_null=True, help_text="The oldest reading of the row.")


class SnapshotFlat(serializers.Serializer[Any]):
    """A row under the column names of the tracker that was replaced.

    Besides these keys there is a `gaming_...` or `crypto_...` one for each tracked app, null where the day has none.
    """

    id = Whole()
    snapshot_date = serializers.DateField()
    date = serializers.DateField()
    timestamp = Whole(allow_null=True, help_text="When the row's values were read, unix s.")
    daily_revenue = Number(allow_null=True, help_text=LEDGER)
    daily_revenue_usd = Number(allow_null=True, help_text="Of the priced payments.")
    usdMissing = Whole(help_text="Payments without a price.")
    payments = Whole(allow_null=True)
    complete = serializers.BooleanField(help_text="The day is over, and every payment of it is in.")
    sync_status = serializers.ChoiceField(["completed", "partial"], help_text="partial: a total is not known.")
    source = serializers.ChoiceField(Snapshot.Source.choices)  # type: ignore[assignment]  # the wire name
    created_at = Whole(help_text="When the row was written, unix s.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        columns = {
            metric.key: Number(allow_null=True, help_text=" ".join(filter(None, (metric.label, metric.unit))))
            for metric in FIXED
        }
        return super().get_fields() | columns


class MissingDay(serializers.Serializer[Any]):
    date = serializers.DateField()
    reason = serializers.CharField()


class SnapshotsAnswer(serializers.Serializer[Any]):
    count = Whole()
    data = SnapshotRow(many=True)  # type: ignore[assignment]  # the wire name
    missing = MissingDay(many=True, help_text="Days between that have no row.")


class FullAnswer(serializers.Serializer[Any]):
    count = Whole()
    data = SnapshotFlat(many=True)  # type: ignore[assignment]  # the wire name
    missing = MissingDay(many=True, help_text="Days between that have no row.")


class RangeAnswer(SnapshotsAnswer):
    start = serializers.DateField()
    end = serializers.DateField()


class NoSnapshot(ErrorAnswer):
    date = serializers.DateField()
    nearest = serializers.DateField(allow_null=True, help_text="The nearest day that has a row.")


class ImagePoint(serializers.Serializer[Any]):
    date = serializers.DateField()
    count = Whole()


class ImagesAnswer(serializers.Serializer[Any]):
    image = serializers.CharField()
    category = serializers.CharField(allow_null=True)
    start = serializers.DateField(allow_null=True)
    end = serializers.DateField(allow_null=True)
    count = Whole(help_text="Days in `data`.")
    data = ImagePoint(many=True, help_text="Oldest first; days on which images were not counted are left out.")  # type: ignore[assignment]  # the wire name


class CategoryAnswer(serializers.Serializer[Any]):
    category = serializers.CharField()
    count = Whole(help_text="Days in `data`.")
    data = serializers.ListField(  # type: ignore[assignment]  # the wire name
        child=serializers.DictField(),
        help_text="Newest first: `date`, `total` and each tracked app by key; null: not counted on that day.",
    )
    missing = MissingDay(many=True, help_text="Days between that have no row.")


class TopCounts(serializers.Serializer[Any]):
    rank = Whole()
    count = Whole(help_text="Containers now.")
    previous = Whole(allow_null=True, help_text="On the day compared with; null: not counted.")
    difference = Whole(allow_null=True)


class TopImage(TopCounts):
    image = serializers.CharField()


class TopApp(TopCounts):
    key = serializers.CharField()
    name = serializers.CharField()


class TopAnswer(serializers.Serializer[Any]):
    category = serializers.CharField()
    days = Whole()
    asOf = serializers.DateTimeField(allow_null=True, help_text="When containers were last read; null: never.")
    stale = serializers.BooleanField(help_text="That was over 2 hours ago, or never.")
    comparisonDate = serializers.DateField(allow_null=True)
    message = serializers.CharField(allow_null=True, help_text="Why there is nothing to compare with.")
    count = Whole()
    total = Whole(help_text="Images of the category that run now.")
    data = TopImage(many=True)  # type: ignore[assignment]  # the wire name
    apps = TopApp(many=True, help_text="The tracked apps of the category, those without a public image included.")


class StatsRevenue(serializers.Serializer[Any]):
    today = Number(allow_null=True)
    last7Days = Number(allow_null=True, help_text="Today included.")
    last30Days = Number(allow_null=True, help_text="Today included.")
    total = Number(allow_null=True)


class StatsAnswer(serializers.Serializer[Any]):
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


class SnapshotConfig(serializers.Serializer[Any]):
    intervalMinutes = Whole(allow_null=True, help_text="null: the check is not on the schedule.")
    notBefore = serializers.CharField(help_text="UTC")
    maxAgeMinutes = Whole()
    totalsNeeded = Whole(help_text="Of the five: nodes, apps, cores, RAM, storage.")


class SnapshotState(serializers.Serializer[Any]):
    lastCheck = serializers.DateTimeField(allow_null=True)
    lastSuccess = serializers.DateTimeField(allow_null=True)
    consecutiveFailures = Whole()
    lastError = serializers.CharField(allow_null=True)
    isSchedulerRunning = serializers.BooleanField(help_text="A worker lives and the check is on its schedule.")
    isCheckInProgress = serializers.BooleanField()
    lastSnapshotDate = serializers.DateField(allow_null=True)
    missingDays = MissingDay(many=True, help_text="Of the last 30 days, since the first snapshot.")


class SnapshotStatus(serializers.Serializer[Any]):
    config = SnapshotConfig()
    state = SnapshotState()
    todaySnapshotExists = serializers.BooleanField()
    todaySnapshotDate = serializers.DateField(allow_null=True)
    isHealthy = serializers.BooleanField(allow_null=True, help_text="null: no check has run yet.")


Row = dict[str, Any]

FLAT = tuple(metric.key for metric in FIXED if metric.key != "flux_price_usd")
CLOUD = {"cpu": "cpu_cores", "ram": "ram_gb", "storage": "storage_gb"}
CATEGORY_TOTALS = {"gaming": "gaming_apps_total", "crypto": "crypto_nodes_total", "wordpress": "wordpress_count"}


def gap(found: Gap) -> Row:
    return {"date": found.day.isoformat(), "reason": found.reason}


class Writer:
    """Writes days; an active tracked app that a day did not count is null in it."""

    def __init__(self, tracked: Iterable[TrackedApp]) -> None:
        self._columns = {app.column: None for app in tracked}
        self._untold = split(self._columns)

    def nested(self, day: DayRow) -> Row:
        row = day.values
        return {
            "date": row["day"].isoformat(),
            **_earned(day),
            "price": price(row["flux_price_usd"]),
            "nodes": {key: row[f"node_{key}"] for key in ("total", "cumulus", "nimbus", "stratus")},
            "apps": {
                "total": row["total_apps"],
                "gaming": row["gaming_apps_total"],
                "crypto": row["crypto_nodes_total"],
                "gitapps": row["gitapps_count"],
                "dockerapps": row["dockerapps_count"],
                "gitapps_percent": row["gitapps_percent"],
                "dockerapps_percent": row["dockerapps_percent"],
                "watchtower": row["watchtower_count"],
                "wordpress": row["wordpress_count"],
            },
            "cloud": {key: _use(row, key, column) for key, column in CLOUD.items()},
            **self._categories(row),
            "wordpress": {"count": row["wordpress_count"]},
            "source": row["source"],
            "readAt": iso(row["read_at"]),
        }

    def flat(self, day: DayRow) -> Row:
        """Return one key a column; `daily_revenue` is the ledger's total of the day."""
        row, sums = day.values, day.revenue.sums
        return {
            "id": row["id"],
            "snapshot_date": row["day"].isoformat(),
            "date": row["day"].isoformat(),
            "timestamp": _unix(row["read_at"]),
            "daily_revenue": flux(sums.revenue_sat),
            "daily_revenue_usd": money.usd(sums.usd_micro),
            "usdMissing": sums.usd_missing,
            "payments": sums.payments,
            "complete": day.revenue.complete,
            "flux_price_usd": price(row["flux_price_usd"]),
            **{key: row[key] for key in FLAT},
            **self._columns,
            **row["counts"],
            "sync_status": "partial" if any(row[total] is None for total in TOTALS) else "completed",
            "source": row["source"],
            "created_at": _unix(row["made_at"]),
        }

    def category(self, category: str, row: Any) -> Row:
        """Return the category's total and each tracked app under its short key."""
        told = split(row["counts"]).get(category, {})
        return {"total": row[CATEGORY_TOTALS[category]], **self._untold.get(category, {}), **told}

    def _categories(self, row: Any) -> dict[str, Row]:
        told = split(row["counts"])
        return {
            category: {"total": row[CATEGORY_TOTALS[category]], **untold, **told[category]}
            for category, untold in self._untold.items()
        }


def split(columns: dict[str, Any]) -> dict[str, Row]:
    """Return the tracked apps' values by category and short key: `gaming_palworld` is `palworld` of `gaming`."""
    found: dict[str, Row] = {str(category): {} for category in COUNTED}
    for column, value in columns.items():
        category, _, key = column.partition("_")
        if category in found:
            found[category][key] = value
    return found


def price(value: Any) -> float | None:
    return None if value is None else float(value)


def _earned(day: DayRow) -> Row:
    sums = day.revenue.sums
    return {
        "revenue": flux(sums.revenue_sat),
        "revenueUsd": money.usd(sums.usd_micro),
        "usdMissing": sums.usd_missing,
        "payments": sums.payments,
        "complete": day.revenue.complete,
    }


def _use(row: Any, key: str, column: str) -> Row:
    return {
        "total": row[f"total_{column}"],
        "used": row[f"used_{column}"],
        "utilization": row[f"{key}_utilization_percent"],
    }


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
