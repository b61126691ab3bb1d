"""The shapes of this room's answers, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class Stat(serializers.Serializer[Any]):
    """What every item has."""

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
    components = serializers.IntegerField(allow_null=True, help_text="Containers an instance has; null: encrypted.")
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
    expireHeight = serializers.IntegerField(help_text="Its end block: from it on the app has ended.")
    expiresAt = serializers.DateTimeField(
        help_text="About when that will be, at 30 s a block; versions after 8 say a duration."
    )


class ListAnswer(serializers.Serializer[Any]):
    """How fresh a list is."""

    cached = serializers.BooleanField(help_text="Whether the list was ever read.")
    cacheAge = serializers.IntegerField(allow_null=True, help_text="s")
    fresh = serializers.BooleanField(help_text="Read within the hour, of numbers of the last two hours.")
    asOf = serializers.DateTimeField(allow_null=True, help_text="When the list was read.")
    error = serializers.CharField(allow_null=True, help_text="Why the last try failed; the list before is kept.")
    total = serializers.IntegerField(
        allow_null=True, help_text="Items there are; expiring: apps that end within 7 days. null: never read."
    )
    coverage = serializers.DictField(
        allow_null=True,
        help_text="How many rows the list rests on; expiring: `endsUnknown` apps whose end is not known.",
    )
    timestamp = serializers.IntegerField(help_text="ms")


class NetworkAnswer(ListAnswer):
    stats = NetworkStat(many=True)


class DeployedAnswer(ListAnswer):
    stats = DeployedStat(many=True)


class ExpiringAnswer(ListAnswer):
    stats = ExpiringStat(many=True)
