"""Describe and write the answers of the metrics API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from fluxtracker.api.fields import Answer, MicroDollars, OrNull, Satoshi, UnixTimeMs
from metrics.selectors import Step
from ops.models import ServiceState
from revenue.api.serializers import UNKNOWN

NOT_KNOWN = "null: not known, `notes` says why."


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
    error = serializers.CharField(allow_null=True, help_text="Why the last attempt failed or is doubted.")
    doubtedSince = serializers.DateTimeField(
        source="doubted_since",
        allow_null=True,
        help_text="Since when its numbers differ too much to be accepted at once.",
    )
    coverage = serializers.DictField(
        allow_null=True,
        help_text="How much of the answer its values rest on; `doubted`: numbers not accepted yet.",
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
    at = serializers.DateTimeField(help_text="Time of the last reading in its step.")
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
        source="consecutive_failures", help_text="Consecutive checks that found it failed or missing."
    )


class TestStatus(Answer):
    __test__ = False  # not a pytest test

    isSchedulerRunning = serializers.BooleanField(help_text="A worker is running and the checks are on schedule.")
    isTestInProgress = serializers.BooleanField()
    lastRun = serializers.DateTimeField(source="task.last_started_at", allow_null=True)
    lastCompleted = serializers.DateTimeField(source="task.last_success_at", allow_null=True)
    consecutiveFailures = serializers.IntegerField(
        source="task.consecutive_failures", help_text="Consecutive runs in which no upstream answered."
    )
    isHealthy = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")
    note = serializers.CharField(help_text="What a check is.")
    checks = CheckAnswer(many=True)


class Weights(Answer):
    nodes = serializers.IntegerField()
    collateral = serializers.IntegerField(help_text="FLUX: 1,000, 12,500 or 40,000 per node.")
    cores = serializers.FloatField(allow_null=True, help_text="Of the nodes that report cores; null: none does.")


class Place(Weights):
    code = serializers.CharField(help_text="Two letters.")


class Provider(Weights):
    asn = serializers.IntegerField(help_text="The number of its autonomous system (AS).")
    names = serializers.ListField(child=serializers.CharField(), help_text="Names it uses, the most frequent first.")


class Version(Weights):
    version = serializers.CharField(help_text="As reported by the node.")


class Versions(Answer):
    fluxos = Version(many=True)
    daemon = Version(many=True)
    benchmark = Version(many=True)


class ConcentrationOfWeight(Answer):
    count = serializers.IntegerField()
    nakamoto33 = serializers.IntegerField(help_text="The smallest number of groups with more than 33 % together.")
    nakamoto50 = serializers.IntegerField(help_text="The same for more than 50 %.")
    hhi = serializers.FloatField(help_text="Herfindahl-Hirschman index, up to 10,000 for a single one.")
    top10_percent = serializers.FloatField(help_text="Share of the ten largest, %.")


class Concentration(ConcentrationOfWeight):
    collateral = ConcentrationOfWeight(allow_null=True, help_text="The same, weighed by collateral.")
    cores = ConcentrationOfWeight(allow_null=True, help_text="The same, weighed by cores.")


class Operators(Answer):
    by_payment_address = Concentration(allow_null=True, help_text=NOT_KNOWN)
    by_zelid = Concentration(allow_null=True, help_text="Of the nodes that were reached.")
    by_pubkey = Concentration(allow_null=True, help_text=NOT_KNOWN)


class Concentrations(Answer):
    countries = Concentration(allow_null=True)
    providers = Concentration(allow_null=True)


class TierWeights(Answer):
    cumulus = Weights()
    nimbus = Weights()
    stratus = Weights()


class ArcaneShares(Answer):
    collateral = serializers.FloatField(allow_null=True, help_text="% of the collateral.")
    cores = serializers.FloatField(allow_null=True, help_text="% of the cores.")


def _ready(answer: type[Answer], **options: Any) -> serializers.JSONField:
    """Return a field for values stored as they are in responses."""
    many = options.pop("many", False)
    described = answer(many=True) if many else answer()

    @extend_schema_field(described)
    class Ready(serializers.JSONField):
        pass

    return Ready(**options)


class Figures(Answer):
    operators = _ready(Operators, help_text="Three answers, none is people.")
    tiers = _ready(TierWeights, allow_null=True, help_text=NOT_KNOWN)
    countries = _ready(Place, many=True, allow_null=True, help_text=NOT_KNOWN)
    continents = _ready(Place, many=True, allow_null=True, help_text=NOT_KNOWN)
    providers = _ready(Provider, many=True, allow_null=True, help_text=NOT_KNOWN)
    versions = _ready(Versions, allow_null=True, help_text=NOT_KNOWN)
    concentration = _ready(Concentrations, allow_null=True, help_text=NOT_KNOWN)
    arcane_percent = serializers.FloatField(
        allow_null=True, help_text="ArcaneOS among the nodes that were reached and report their system, %."
    )
    arcane = _ready(ArcaneShares, allow_null=True, help_text=NOT_KNOWN)


class FiguresOfDay(Figures):
    date = serializers.DateField(help_text="As last read on this UTC day; the lists have their ten largest.")


class DecentralisationAnswer(Figures):
    date = serializers.DateField(allow_null=True, help_text="The last known day of the range; its lists are whole.")
    data = _ready(FiguresOfDay, many=True, help_text="By day, oldest first, from the first census on.")  # type: ignore[assignment]  # the wire name
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    coverage = serializers.DictField(help_text="How many nodes each part rests on; the known days.")
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null.")


class TierChange(Answer):
    joins = serializers.IntegerField(allow_null=True)
    leaves = serializers.IntegerField(allow_null=True)
    moves = serializers.IntegerField(allow_null=True, help_text="Nodes with another address than before.")


class NodeChangesOfDay(Answer):
    date = serializers.DateField()
    since = serializers.DateTimeField(
        allow_null=True, help_text="Time of the list that the day's first one was compared with; null: none."
    )
    cumulus = TierChange()
    nimbus = TierChange()
    stratus = TierChange()
    total = TierChange()


class NodeChangesAnswer(Answer):
    data = NodeChangesOfDay(many=True, help_text="Oldest first, from the first comparison on.")  # type: ignore[assignment]  # the wire name
    total = TierChange(help_text="Over all known days.")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    coverage = serializers.DictField()
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null.")
