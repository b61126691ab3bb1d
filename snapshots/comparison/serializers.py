"""Describe and write comparisons."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from fluxtracker.api.fields import Answer
from fluxtracker.periods import Bucket, is_fresh
from fluxtracker.timestamps import parse_instant
from metrics.selectors import OLD
from revenue.api.serializers import TRENDS, Amount, Count, PeriodSums, ToDateAnswer, UsdAmount
from revenue.models import STALE
from snapshots.comparison.calculate import SHOWN
from snapshots.models import Snapshot

Report = dict[str, Any]


def with_ages(answer: Report, now: datetime) -> Report:
    """Add what is stale now, as a cached answer ages."""
    stale, late = ages(answer, now)
    return answer | {"stale": stale, "revenue": answer["revenue"] | {"stale": late}}


def ages(answer: Report, now: datetime) -> tuple[bool, bool]:
    """Return whether the readings and the ledger are stale by now."""
    read_at, completed_at = map(parse_instant, (answer["asOf"], answer["revenue"]["asOf"]))
    return not is_fresh(read_at, now, OLD), not is_fresh(completed_at, now, STALE)


class ComparedLeaf(Answer):
    current = serializers.FloatField(allow_null=True, help_text="As last read. null: not known.")
    previous = serializers.FloatField(allow_null=True, help_text="Of the snapshot. null: not known.")
    change = serializers.FloatField(allow_null=True, help_text="current - previous")
    percentage = serializers.FloatField(allow_null=True, help_text="Of previous; null when that is 0 or not known.")
    trend = serializers.ChoiceField(TRENDS, allow_null=True)


class ComparedUtilization(ComparedLeaf):
    points = serializers.FloatField(allow_null=True, help_text="Difference of the percentages.")


class ComparedNodes(Answer):
    total = ComparedLeaf()
    cumulus = ComparedLeaf()
    nimbus = ComparedLeaf()
    stratus = ComparedLeaf()


class ComparedResource(Answer):
    total = ComparedLeaf()
    used = ComparedLeaf()
    utilization = ComparedUtilization(help_text="%")


class ComparedCloud(Answer):
    cpu = ComparedResource(help_text="Cores.")
    ram = ComparedResource(help_text="GB")
    storage = ComparedResource(help_text="GB")


class ComparedApps(Answer):
    total = ComparedLeaf()
    watchtower = ComparedLeaf()
    gitapps = ComparedLeaf()
    dockerapps = ComparedLeaf()


class ComparedWordPress(Answer):
    count = ComparedLeaf()


class ComparedRevenue(Answer):
    current = PeriodSums(source="whole.current", help_text="The calendar period so far (UTC, weeks from Monday).")
    previous = PeriodSums(source="whole.previous", help_text="The whole period before.")
    flux = Amount(source="whole.flux")
    usd = UsdAmount(source="whole.usd")
    payments = Count(source="whole.payments")
    toDate = ToDateAnswer(source="to_date", help_text="Like for like.")
    asOf = serializers.DateTimeField(
        source="ledger.read_until", allow_null=True, help_text="When a sync last completed."
    )
    stale = serializers.BooleanField(source="is_stale", help_text="No sync has completed for 30 minutes.")


class ComparisonAnswer(Answer):
    period = serializers.ChoiceField([bucket.letter for bucket in Bucket], source="bucket.letter")
    days = serializers.IntegerField()
    currentDate = serializers.DateField(source="now", help_text="Today, UTC.")
    comparisonDate = serializers.DateField(
        source="before.day", help_text="The day of the snapshot that metrics are compared with."
    )
    comparisonSource = serializers.ChoiceField(
        Snapshot.Source.choices,
        source="before.source",
        allow_null=True,
        help_text="How that snapshot was made; null when there is none.",
    )
    partialData = serializers.BooleanField(
        source="is_partial", help_text="There is no such snapshot: metrics have no previous values."
    )
    message = serializers.CharField(source="before.message", allow_null=True, help_text="What is missing, in words.")
    nearestDate = serializers.DateField(
        source="before.nearest", allow_null=True, help_text="With partialData: the nearest day with a snapshot."
    )
    missing = serializers.ListField(
        child=serializers.ChoiceField(SHOWN), help_text="Groups without any previous value."
    )
    madeAt = serializers.DateTimeField(source="now", help_text="When this was computed: `toDate` goes to this instant.")
    asOf = serializers.DateTimeField(
        source="read_at", allow_null=True, help_text="The oldest of the readings; null: one never was made."
    )
    stale = serializers.BooleanField(source="is_old", help_text="That is more than 2 hours ago.")
    nodes = ComparedNodes()
    cloud = ComparedCloud()
    apps = ComparedApps()
    gaming = serializers.DictField(child=ComparedLeaf(), help_text="`total`, and each active tracked game by its key.")
    crypto = serializers.DictField(
        child=ComparedLeaf(), help_text="`total`, and each active tracked crypto node by its key."
    )
    wordpress = ComparedWordPress()
    revenue = ComparedRevenue()
