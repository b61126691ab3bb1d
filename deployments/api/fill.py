"""Serve how far what is paid for runs, and what runs without being paid for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from deployments.instance_fill import fill
from deployments.models import MessagesState
from fluxtracker.api.fields import Answer
from fluxtracker.api.views import ReadView
from metrics.census.selectors import census_stamp
from revenue.selectors import ledger_stamp


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=help_text)


class UnderFilled(Answer):
    name = serializers.CharField()
    ordered = serializers.IntegerField()
    running = serializers.IntegerField()
    since = serializers.DateTimeField(help_text="As far back as censuses reach.")


class ExpiredRunning(Answer):
    name = serializers.CharField()
    instances = serializers.IntegerField()
    endedAt = serializers.DateTimeField()


class FillAnswer(Answer):
    ordered = _count("Instances that the apps in force pay for.")
    running = _count("Of these run: of each app at most as many as it pays for.")
    fill_percent = serializers.FloatField(allow_null=True, help_text="`running` of `ordered`, %.")
    surplus = _count("Instances beyond what their apps pay for.")
    under = UnderFilled(many=True, allow_null=True, help_text="Below the order for more than 24 hours.")
    expiredRunning = ExpiredRunning(
        many=True, allow_null=True, help_text="They run, and their end is 2,880 blocks ago or more."
    )
    oldVersion = _count("Instances that run another specification than the newest of their app.")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True, help_text="When what runs was read.")
    coverage = serializers.DictField(help_text="Apps in force, those with a known order, instances left out by why.")
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null.")


class FillView(ReadView):
    """Ordered and running instances. One that is gone is listed up to 125 minutes longer."""

    name, operation, tag = "Ordered and running", "network_fill", "network"
    answer = FillAnswer

    def etag(self, now: datetime) -> object:
        """An app ends by the clock."""
        messages = MessagesState.objects.values_list("version", flat=True).first()
        return census_stamp(), messages, ledger_stamp(), now.replace(second=0, microsecond=0)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return fill(now)
