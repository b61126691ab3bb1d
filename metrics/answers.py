"""The shapes of this room's answers, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from metrics.timeline import Step
from revenue.answers import UNKNOWN


def _count(help_text: str = UNKNOWN) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=help_text)


def _number(help_text: str = UNKNOWN) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=help_text)


class TodaysRevenue(serializers.Serializer[Any]):
    current = _number("FLUX, today so far.")
    fluxPriceUsd = _number("As last read.")
    usdValue = _number("Of today's priced payments, each at its own price.")
    usdMissing = serializers.IntegerField(help_text="Payments of today without a price.")
    paymentCount = _count()


class Resource(serializers.Serializer[Any]):
    total = _number("Cores, or GB.")
    used = _number("Cores, or GB.")
    utilization = _number("%")


class Cloud(serializers.Serializer[Any]):
    cpu = Resource()
    ram = Resource()
    storage = Resource()


class RunningApps(serializers.Serializer[Any]):
    total = _count("Running containers without Watchtower.")
    watchtower = _count()
    gitapps = _count("On an Orbit image.")
    dockerapps = _count("All others.")
    gitapps_percent = _number("%")
    dockerapps_percent = _number("%")


class WordPress(serializers.Serializer[Any]):
    count = _count()


class Nodes(serializers.Serializer[Any]):
    cumulus = _count()
    nimbus = _count()
    stratus = _count()
    total = _count()


class SourceAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["ok", "stale", "failed", "never"],
        help_text="stale: the last good values, older than they should be; failed: there are none.",
    )
    asOf = serializers.DateTimeField(allow_null=True, help_text="When its values were read.")
    triedAt = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Why the last try failed, or is not believed.")
    doubtedSince = serializers.DateTimeField(
        allow_null=True, help_text="Since when its numbers differ too much to be believed at once."
    )
    coverage = serializers.DictField(
        allow_null=True,
        help_text="How much of the answer its values rest on; `doubted`: the numbers that are not believed.",
    )


class CurrentAnswer(serializers.Serializer[Any]):
    lastUpdate = serializers.IntegerField(allow_null=True, help_text="When any part of the network was last read, ms.")
    asOf = serializers.DateTimeField(allow_null=True, help_text="When the oldest part of it was read.")
    revenue = TodaysRevenue()
    cloud = Cloud()
    apps = RunningApps()
    gaming = serializers.DictField(
        child=_count(), help_text="`total` and one key for each tracked game; null: not counted yet."
    )
    crypto = serializers.DictField(child=_count(), help_text="`total` and one key for each tracked crypto node.")
    wordpress = WordPress()
    nodes = Nodes()
    sources = serializers.DictField(child=SourceAnswer())


class ReadingPoint(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="Of the last reading in its step.")
    value = serializers.FloatField()


class ReadingsAnswer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(help_text="Empty for counts.", allow_blank=True)
    step = serializers.ChoiceField(list(Step))
    start = serializers.DateTimeField(help_text="Included.")
    end = serializers.DateTimeField(help_text="Included.")
    count = serializers.IntegerField()
    data = ReadingPoint(many=True, help_text="Oldest first; steps without a value are absent.")  # type: ignore[assignment]  # the wire name
