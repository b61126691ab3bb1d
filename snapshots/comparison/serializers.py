"""Describe and write comparisons."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from fluxtracker.periods import is_fresh
from fluxtracker.timestamps import iso, parse_instant
from metrics.selectors import OLD
from revenue.api import serializers as api_serializers
from revenue.api.serializers import Amount, Count, PeriodSums, ToDateAnswer, UsdAmount
from revenue.selectors import STALE
from snapshots.comparison.selectors import Before, Comparison, Pair, Span
from snapshots.models import Snapshot

Answer = dict[str, Any]

CLOUD = ("cpu", "ram", "storage")
GROUPS_SHOWN = ("nodes", "cloud", "apps", "gaming", "crypto", "wordpress")


def answer(found: Comparison, now: datetime) -> Answer:
    """Contract section 4, Comparison, as it is kept; `with_ages` says how old it is by now.

    `partialData`: there is no snapshot. `missing`: the groups that it, or the lack of it, leaves without a past.
    """
    groups = {name: {key: _leaf(key, pair) for key, pair in group.items()} for name, group in found.groups.items()}
    cloud = {name: groups.pop(name) for name in CLOUD}
    partial = found.before.snapshot is None
    return {
        "period": found.span.value,
        "days": found.span.days,
        "currentDate": found.today.isoformat(),
        "comparisonDate": found.before.day.isoformat(),
        "comparisonSource": found.before.snapshot.source if found.before.snapshot else None,
        "partialData": partial,
        "message": _message(found.before) if partial else None,
        "nearestDate": found.before.nearest and found.before.nearest.isoformat(),
        "missing": _missing(found),
        "madeAt": iso(now),
        "asOf": iso(found.read_at),
        **groups,
        "cloud": cloud,
        "revenue": _revenue(found, now),
    }


def _leaf(key: str, pair: Pair) -> Answer:
    leaf: Answer = {
        "current": pair.current,
        "previous": pair.previous,
        "change": pair.change,
        "percentage": pair.percentage,
        "trend": pair.trend,
    }
    return leaf | {"points": pair.points} if key == "utilization" else leaf


def _missing(found: Comparison) -> list[str]:
    """Return the groups without any previous value: the snapshot is missing, or its source had failed that day."""
    known = {name for name, group in found.groups.items() if any(pair.previous is not None for pair in group.values())}
    if known & set(CLOUD):
        known.add("cloud")
    return [name for name in GROUPS_SHOWN if name not in known]


def _message(before: Before) -> str:
    if before.nearest is None:
        return f"There is no snapshot of {before.day}, and none of any other day yet."
    return f"There is no snapshot of {before.day}; the nearest day that has one is {before.nearest}."


def _revenue(found: Comparison, now: datetime) -> Answer:
    periods = api_serializers.comparison(found.revenue, found.ledger, now)
    del periods["comparison"]  # says what `flux` says
    return periods | {"toDate": api_serializers.to_date(found.to_date)}


def with_ages(answer: Answer, now: datetime) -> Answer:
    """Return what is old when it is read, not when it was made: an answer is not fresh because it was kept."""
    stale, late = ages(answer, now)
    return answer | {"stale": stale, "revenue": answer["revenue"] | {"stale": late}}


def ages(answer: Answer, now: datetime) -> tuple[bool, bool]:
    """Return whether the readings, and whether the ledger, are too old by now."""
    read_at, completed_at = map(parse_instant, (answer["asOf"], answer["revenue"]["asOf"]))
    return not is_fresh(read_at, now, OLD), not is_fresh(completed_at, now, STALE)


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
