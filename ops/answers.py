"""The shapes of this room's answers, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class DatabaseHealth(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "error"])
    engine = serializers.CharField()
    error = serializers.CharField(required=False)


class BrokerHealth(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "error"])
    error = serializers.CharField(required=False)


class WorkerHealth(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "missing", "unknown"])
    lastSeen = serializers.DateTimeField(allow_null=True)


class OverdueWork(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="The row of the schedule.")
    task = serializers.CharField()
    lastRun = serializers.DateTimeField(allow_null=True, help_text="null: never.")


class ScheduleHealth(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "overdue", "unknown"])
    overdue = OverdueWork(many=True, help_text="Rows that did not run for twice their interval.")
    reason = serializers.CharField(allow_null=True)


class SnapshotHealth(serializers.Serializer[Any]):
    healthy = serializers.BooleanField(allow_null=True, help_text="null: not known yet.")
    todaySnapshotExists = serializers.BooleanField(allow_null=True)
    consecutiveFailures = serializers.IntegerField(allow_null=True)
    lastCheck = serializers.DateTimeField(allow_null=True)
    lastSuccess = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")


class SyncHealth(serializers.Serializer[Any]):
    healthy = serializers.BooleanField()
    lastSyncBlock = serializers.IntegerField(
        allow_null=True, help_text="Every tracked address is in the ledger up to this block."
    )
    currentBlock = serializers.IntegerField(allow_null=True, help_text="The chain's tip as last read.")
    lagBlocks = serializers.IntegerField(
        allow_null=True, help_text="In order: minConfirmations - 1 and a few that came since."
    )
    completeThrough = serializers.DateField(
        allow_null=True, help_text="The last day that is over by the chain's time and read; null: not known yet."
    )
    lagSeconds = serializers.IntegerField(allow_null=True, help_text="Since a sync last completed.")
    minConfirmations = serializers.IntegerField(allow_null=True)
    consecutiveFailures = serializers.IntegerField(allow_null=True)
    lastCompleted = serializers.DateTimeField(allow_null=True)
    quarantine = serializers.IntegerField(allow_null=True, help_text="Transactions that wait to be read.")
    failedSources = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Sources that the last sync had to do without, and why.",
    )
    unprovedSince = serializers.IntegerField(
        allow_null=True,
        help_text="From this block on a source contradicts the ledger and no second one could say which is right.",
    )
    unprovedAt = serializers.DateTimeField(allow_null=True, help_text="When that was first found.")
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")


class ServiceHealth(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "failing", "failed", "never"], help_text="failed: 3 times in a row.")
    lastSuccess = serializers.DateTimeField(allow_null=True)
    lastFailure = serializers.DateTimeField(allow_null=True)
    consecutiveFailures = serializers.IntegerField()
    error = serializers.CharField(allow_null=True)


class SourceHealth(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["ok", "stale", "failed", "never"], help_text="stale: the last good values stand; failed: there never were any."
    )
    asOf = serializers.DateTimeField(allow_null=True, help_text="When its values were read.")
    ageSeconds = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Of the last try.")


class ChecksHealth(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="Services that are checked: upstreams, games, crypto nodes.")
    ok = serializers.IntegerField()
    degraded = serializers.IntegerField(help_text="Late, behind, or fewer than half of last week.")
    missing = serializers.IntegerField(help_text="No instance is left.")
    failed = serializers.IntegerField()
    unknown = serializers.IntegerField()
    lastCheck = serializers.DateTimeField(allow_null=True)


class BackupHealth(ServiceHealth):
    file = serializers.CharField(allow_null=True)


class AlertHealth(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="What it is about: one open alert a key.")
    message = serializers.CharField()
    since = serializers.DateTimeField()
    lastSeen = serializers.DateTimeField(help_text="When it was last found to be so.")
    lastTold = serializers.DateTimeField(allow_null=True, help_text="By mail or webhook.")


class HealthAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["ok", "degraded", "error"], help_text="error (503): the database is out of reach or not migrated."
    )
    timestamp = serializers.IntegerField(help_text="ms")
    uptime = serializers.IntegerField(help_text="Of the answering process, s.")
    db = DatabaseHealth()
    broker = BrokerHealth()
    worker = WorkerHealth()
    schedule = ScheduleHealth()
    snapshot = SnapshotHealth()
    sync = SyncHealth()
    sources = serializers.DictField(child=SourceHealth(), help_text="Of the metrics, by name.")
    checks = ChecksHealth(allow_null=True)
    services = serializers.DictField(child=ServiceHealth(), help_text="By periodic work.")
    backup = BackupHealth(allow_null=True)
    quarantine = serializers.IntegerField(allow_null=True)
    alerts = AlertHealth(many=True, allow_null=True, help_text="Those that are open, the newest first.")
    problems = serializers.ListField(child=serializers.CharField(), help_text="What is wrong, in sentences.")


class LiveAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok"])


class ReadyAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["ok", "error"])
    db = DatabaseHealth()
