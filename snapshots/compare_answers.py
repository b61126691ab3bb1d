"""The shape of a comparison, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from revenue.answers import Amount, Count, PeriodSums, ToDateAnswer, UsdAmount
from snapshots.compare import Span
from snapshots.compare_wire import GROUPS_SHOWN
from snapshots.models import Snapshot

TRENDS = ["up", "down", "neutral"]


class ComparedLeaf(serializers.Serializer[Any]):
    current = serializers.FloatField(allow_null=True, help_text="As last read. null: not known.")
    previous = serializers.FloatField(allow_null=True, help_text="Of the snapshot. null: not known.")
    change = serializers.FloatField(allow_null=True, help_text="current - previous")
    percentage = serializers.FloatField(allow_null=True, help_text="Of previous; null when that is 0 or not known.")
    trend = serializers.ChoiceField(TRENDS, allow_null=True)


class ComparedUtilization(ComparedLeaf):
    points = serializers.FloatField(allow_null=True, help_text="Difference of the percentages.")


class ComparedNodes(serializers.Serializer[Any]):
    total = ComparedLeaf()
    cumulus = ComparedLeaf()
    nimbus = ComparedLeaf()
    stratus = ComparedLeaf()


class ComparedResource(serializers.Serializer[Any]):
    total = ComparedLeaf()
    used = ComparedLeaf()
    utilization = ComparedUtilization(help_text="%")


class ComparedCloud(serializers.Serializer[Any]):
    cpu = ComparedResource(help_text="Cores.")
    ram = ComparedResource(help_text="GB")
    storage = ComparedResource(help_text="GB")


class ComparedApps(serializers.Serializer[Any]):
    total = ComparedLeaf()
    watchtower = ComparedLeaf()
    gitapps = ComparedLeaf()
    dockerapps = ComparedLeaf()


class ComparedWordPress(serializers.Serializer[Any]):
    count = ComparedLeaf()


class ComparedRevenue(serializers.Serializer[Any]):
    current = PeriodSums(help_text="The calendar period so far (UTC, weeks from Monday).")
    previous = PeriodSums(help_text="The whole period before.")
    flux = Amount()
    usd = UsdAmount()
    payments = Count()
    toDate = ToDateAnswer(help_text="Like for like.")
    asOf = serializers.DateTimeField(allow_null=True, help_text="When a sync last completed.")
    stale = serializers.BooleanField(help_text="No sync has completed for 30 minutes.")


class ComparisonAnswer(serializers.Serializer[Any]):
    period = serializers.ChoiceField([span.value for span in Span])
    days = serializers.IntegerField()
    currentDate = serializers.DateField(help_text="Today, UTC.")
    comparisonDate = serializers.DateField(help_text="The day of the snapshot that metrics are compared with.")
    comparisonSource = serializers.ChoiceField(
        Snapshot.Source.choices, allow_null=True, help_text="How that snapshot was made; null when there is none."
    )
    partialData = serializers.BooleanField(help_text="There is no such snapshot: metrics have no previous values.")
    message = serializers.CharField(allow_null=True, help_text="What is missing, in words.")
    nearestDate = serializers.DateField(allow_null=True, help_text="With partialData: the nearest day with a snapshot.")
    missing = serializers.ListField(
        child=serializers.ChoiceField(GROUPS_SHOWN), help_text="Groups without any previous value."
    )
    madeAt = serializers.DateTimeField(help_text="When this was computed: `toDate` goes to this instant.")
    asOf = serializers.DateTimeField(allow_null=True, help_text="The oldest of the readings; null: one never was made.")
    stale = serializers.BooleanField(help_text="That is more than 2 hours ago.")
    nodes = ComparedNodes()
    cloud = ComparedCloud()
    apps = ComparedApps()
    gaming = serializers.DictField(child=ComparedLeaf(), help_text="`total`, and each active tracked game by its key.")
    crypto = serializers.DictField(
        child=ComparedLeaf(), help_text="`total`, and each active tracked crypto node by its key."
    )
    wordpress = ComparedWordPress()
    revenue = ComparedRevenue()
