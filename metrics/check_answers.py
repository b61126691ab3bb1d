"""The shape of `/api/admin/test-status`, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ops.models import ServiceState


class CheckAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField(ServiceState.Kind.choices)
    status = serializers.ChoiceField(ServiceState.Status.choices)
    latencyMs = serializers.IntegerField(allow_null=True, help_text="null: nothing was asked, instances were counted.")
    detail = serializers.CharField(allow_null=True)
    checkedAt = serializers.DateTimeField()
    lastOk = serializers.DateTimeField(allow_null=True, help_text="null: never.")
    consecutiveFailures = serializers.IntegerField(help_text="Checks in a row that found it failed or missing.")


class TestStatus(serializers.Serializer[Any]):
    __test__ = False  # no test of pytest's

    isSchedulerRunning = serializers.BooleanField(help_text="A worker lives and the checks are on its schedule.")
    isTestInProgress = serializers.BooleanField()
    lastRun = serializers.DateTimeField(allow_null=True)
    lastCompleted = serializers.DateTimeField(allow_null=True)
    consecutiveFailures = serializers.IntegerField(help_text="Runs in a row in which no upstream answered.")
    isHealthy = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")
    note = serializers.CharField(help_text="What a check is.")
    checks = CheckAnswer(many=True)
