"""Describe and write the answers of the metrics API."""

from __future__ import annotations

from rest_framework import serializers

from fluxtracker.api.fields import Answer, MicroDollars, OrNull, Satoshi, UnixTimeMs
from metrics.selectors import Step
from ops.models import ServiceState
from revenue.api.serializers import UNKNOWN


def _count(help_text: str = UNKNOWN) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=help_text)


def _number(help_text: str = UNKNOWN) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=help_text)


class TodaysRevenue(Answer):
    current = Satoshi(source="today.revenue_sat", allow_null=True, help_text="FLUX, today so far.")
    fluxPriceUsd = serializers.FloatField(source="price", allow_null=True, help_text="As last read.")
    usdValue = MicroDollars(
        source="today.usd_micro", allow_null=True, help_text="Of today's priced payments, each at its own price."
    )
    usdMissing = serializers.IntegerField(source="today.usd_missing", help_text="Payments of today without a price.")
    paymentCount = serializers.IntegerField(source="today.payments", allow_null=True, help_text=UNKNOWN)


class Resource(Answer):
    total = _number("Cores, or GB.")
    used = _number("Cores, or GB.")
    utilization = _number("%")


class Cloud(Answer):
    cpu = Resource()
    ram = Resource()
    storage = Resource()


class RunningApps(Answer):
    total = _count("Running containers without Watchtower.")
    watchtower = _count()
    gitapps = _count("On an Orbit image.")
    dockerapps = _count("All others.")
    gitapps_percent = _number("%")
    dockerapps_percent = _number("%")


class WordPress(Answer):
    count = _count()


class Nodes(Answer):
    cumulus = _count()
    nimbus = _count()
    stratus = _count()
    total = _count()


class SourceAnswer(Answer):
    status = serializers.ChoiceField(
        ["ok", "stale", "failed", "never"],
        help_text="stale: the last good values, older than they should be; failed: there are none.",
    )
    asOf = serializers.DateTimeField(source="read_at", allow_null=True, help_text="When its values were read.")
    triedAt = serializers.DateTimeField(source="tried_at", allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Why the last try failed, or is not believed.")
    doubtedSince = serializers.DateTimeField(
        source="doubted_since",
        allow_null=True,
        help_text="Since when its numbers differ too much to be believed at once.",
    )
    coverage = serializers.DictField(
        allow_null=True,
        help_text="How much of the answer its values rest on; `doubted`: the numbers that are not believed.",
    )


class CurrentAnswer(Answer):
    lastUpdate = UnixTimeMs(
        source="newest", allow_null=True, help_text="When any part of the network was last read, ms."
    )
    asOf = serializers.DateTimeField(
        source="latest.read_at", allow_null=True, help_text="When the oldest part of it was read."
    )
    revenue = TodaysRevenue(source="*")
    cloud = Cloud()
    apps = RunningApps()
    gaming = serializers.DictField(
        child=_count(), help_text="`total` and one key for each tracked game; null: not counted yet."
    )
    crypto = serializers.DictField(child=_count(), help_text="`total` and one key for each tracked crypto node.")
    wordpress = WordPress()
    nodes = Nodes()
    sources = serializers.DictField(child=SourceAnswer(), source="latest.sources")


class ReadingPoint(Answer):
    at = serializers.DateTimeField(help_text="Of the last reading in its step.")
    value = serializers.FloatField()


class ReadingsAnswer(Answer):
    metric = serializers.CharField(source="metric.key")
    label = serializers.CharField(source="metric.label")  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(source="metric.unit", help_text="Empty for counts.", allow_blank=True)
    step = serializers.ChoiceField(list(Step))
    start = serializers.DateTimeField(help_text="Included.")
    end = serializers.DateTimeField(help_text="Included.")
    count = serializers.IntegerField()
    data = ReadingPoint(many=True, source="points", help_text="Oldest first; steps without a value are absent.")  # type: ignore[assignment]  # the wire name


class CheckAnswer(Answer):
    name = serializers.CharField()
    kind = serializers.ChoiceField(ServiceState.Kind.choices)
    status = serializers.ChoiceField(ServiceState.Status.choices)
    latencyMs = serializers.IntegerField(
        source="latency_ms", allow_null=True, help_text="null: nothing was asked, instances were counted."
    )
    detail = OrNull(allow_null=True)
    checkedAt = serializers.DateTimeField(source="checked_at")
    lastOk = serializers.DateTimeField(source="last_ok_at", allow_null=True, help_text="null: never.")
    consecutiveFailures = serializers.IntegerField(
        source="consecutive_failures", help_text="Checks in a row that found it failed or missing."
    )


class TestStatus(Answer):
    __test__ = False  # no test of pytest's

    isSchedulerRunning = serializers.BooleanField(help_text="A worker lives and the checks are on its schedule.")
    isTestInProgress = serializers.BooleanField()
    lastRun = serializers.DateTimeField(source="task.last_started_at", allow_null=True)
    lastCompleted = serializers.DateTimeField(source="task.last_success_at", allow_null=True)
    consecutiveFailures = serializers.IntegerField(
        source="task.consecutive_failures", help_text="Runs in a row in which no upstream answered."
    )
    isHealthy = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")
    note = serializers.CharField(help_text="What a check is.")
    checks = CheckAnswer(many=True)
