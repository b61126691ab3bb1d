"""Describe the answers about health and jobs."""

from __future__ import annotations

from rest_framework import serializers

from fluxtracker.api.fields import Answer, ErrorAnswer, OrNull, PageAnswer, Query, Seconds
from ops.models import Job


class DatabaseHealth(Answer):
    status = serializers.ChoiceField(["ok", "error"])
    engine = serializers.CharField()
    error = serializers.CharField(required=False)


class BrokerHealth(Answer):
    status = serializers.ChoiceField(["ok", "error"])
    error = serializers.CharField(required=False)


class WorkerHealth(Answer):
    status = serializers.ChoiceField(["ok", "missing", "unknown"])
    lastSeen = serializers.DateTimeField(allow_null=True)


class OverdueWork(Answer):
    name = serializers.CharField(help_text="The row of the schedule.")
    task = serializers.CharField()
    lastRun = serializers.DateTimeField(source="since", allow_null=True, help_text="null: never.")


class ScheduleHealth(Answer):
    status = serializers.ChoiceField(["ok", "overdue", "unknown"])
    overdue = OverdueWork(many=True, help_text="Rows that did not run for twice their interval.")
    reason = serializers.CharField(allow_null=True)


class SnapshotHealth(Answer):
    healthy = serializers.BooleanField(allow_null=True, help_text="null: not known yet.")
    todaySnapshotExists = serializers.BooleanField(allow_null=True)
    consecutiveFailures = serializers.IntegerField(allow_null=True)
    lastCheck = serializers.DateTimeField(allow_null=True)
    lastSuccess = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")


class SyncHealth(Answer):
    healthy = serializers.BooleanField()
    lastSyncBlock = serializers.IntegerField(
        allow_null=True, help_text="Every tracked address is in the ledger up to this block."
    )
    currentBlock = serializers.IntegerField(allow_null=True, help_text="The last known tip of the chain.")
    lagBlocks = serializers.IntegerField(
        allow_null=True, help_text="In order: minConfirmations - 1 and a few that came since."
    )
    completeThrough = serializers.DateField(
        allow_null=True, help_text="The last complete day by chain time; null: not known yet."
    )
    lagSeconds = serializers.IntegerField(allow_null=True, help_text="Since a sync last completed.")
    minConfirmations = serializers.IntegerField(allow_null=True)
    consecutiveFailures = serializers.IntegerField(allow_null=True)
    lastCompleted = serializers.DateTimeField(allow_null=True)
    quarantine = serializers.IntegerField(allow_null=True, help_text="Transactions that wait to be read.")
    failedSources = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Sources that failed in the last sync, and why.",
    )
    unprovedSince = serializers.IntegerField(
        allow_null=True,
        help_text="From this block on a source contradicts the ledger and no second one could decide.",
    )
    unprovedAt = serializers.DateTimeField(allow_null=True, help_text="When that was first found.")
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")


class ServiceHealth(Answer):
    status = serializers.ChoiceField(
        ["ok", "failing", "failed", "never"], source="health", help_text="failed: 3 times in a row."
    )
    lastSuccess = serializers.DateTimeField(source="last_success_at", allow_null=True)
    lastFailure = serializers.DateTimeField(source="last_failure_at", allow_null=True)
    consecutiveFailures = serializers.IntegerField(source="consecutive_failures")
    error = OrNull(source="last_error", allow_null=True)


class SourceHealth(Answer):
    status = serializers.ChoiceField(
        ["ok", "stale", "failed", "never"], help_text="stale: the last good values; failed: there never were any."
    )
    asOf = serializers.DateTimeField(allow_null=True, help_text="When its values were read.")
    ageSeconds = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Of the last try.")


class ChecksHealth(Answer):
    total = serializers.IntegerField(help_text="Checked services: upstreams, games, crypto nodes.")
    ok = serializers.IntegerField()
    degraded = serializers.IntegerField(help_text="Late, behind, or fewer than half of last week.")
    missing = serializers.IntegerField(help_text="No instance is left.")
    failed = serializers.IntegerField()
    unknown = serializers.IntegerField()
    lastCheck = serializers.DateTimeField(allow_null=True)


class BackupHealth(ServiceHealth):
    file = serializers.CharField(source="reported_file", allow_null=True)


class AlertHealth(Answer):
    key = serializers.CharField(help_text="Subject: at most one open alert per key.")
    message = serializers.CharField()
    since = serializers.DateTimeField(source="raised_at")
    lastSeen = serializers.DateTimeField(source="seen_at", help_text="When it was last confirmed.")
    lastTold = serializers.DateTimeField(source="sent_at", allow_null=True, help_text="By mail or webhook.")


class MessagesHealth(Answer):
    readAt = serializers.DateTimeField(allow_null=True, help_text="When new ones were last requested.")
    completeAt = serializers.DateTimeField(allow_null=True, help_text="When all were last read.")
    latestVersion = serializers.IntegerField(
        allow_null=True, help_text="Of app specifications, as reported by FluxOS; null: not reported yet."
    )
    leftOut = serializers.DictField(child=serializers.IntegerField(), help_text="Unusable records.")


class HealthAnswer(Answer):
    status = serializers.ChoiceField(
        ["ok", "degraded", "error"], help_text="error (503): the database cannot be reached or is not migrated."
    )
    timestamp = serializers.IntegerField(help_text="ms")
    version = serializers.CharField(help_text="Of the answering process.")
    uptime = serializers.IntegerField(help_text="Of the answering process, s.")
    db = DatabaseHealth()
    broker = BrokerHealth()
    worker = WorkerHealth()
    schedule = ScheduleHealth()
    snapshot = SnapshotHealth()
    sync = SyncHealth()
    sources = serializers.DictField(child=SourceHealth(), help_text="Of the metrics, by name.")
    census = serializers.DictField(child=SourceHealth(), help_text="Of the census, by name.")
    messages = MessagesHealth(help_text="Of apps.")
    checks = ChecksHealth(allow_null=True)
    services = serializers.DictField(child=ServiceHealth(), help_text="By periodic work.")
    backup = BackupHealth(allow_null=True)
    quarantine = serializers.IntegerField(allow_null=True)
    alerts = AlertHealth(many=True, allow_null=True, help_text="Open ones, newest first.")
    problems = serializers.ListField(child=serializers.CharField(), help_text="What is wrong, in sentences.")


class LiveAnswer(Answer):
    status = serializers.ChoiceField(["ok"])


class ReadyAnswer(Answer):
    status = serializers.ChoiceField(["ok", "error"])
    db = DatabaseHealth()


class Asked(Answer):
    """Fields of every response to a requested job."""

    success = serializers.BooleanField()
    job = serializers.IntegerField(help_text="Its number; see /api/admin/jobs/{id}.")


class UnderWayAnswer(Asked):
    status = serializers.ChoiceField(Job.State.choices)
    url = serializers.URLField(help_text="URL of its progress.")


class FailedAnswer(ErrorAnswer):
    success = serializers.BooleanField(help_text="false")
    alreadyRunning = serializers.BooleanField(help_text="This job is already running.")
    job = serializers.IntegerField(required=False, help_text="The job that is active, or that failed.")
    status = serializers.ChoiceField(Job.State.choices, required=False)


class WaitQuery(Query):
    """Time that the response may wait for the result."""

    wait = Seconds(default=25.0, longest=60, help_text="Seconds, 0 to 60; after that the response is a 202.")


class JobAnswer(Answer):
    """A job: requester, parameters, times, progress and result."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    params = serializers.DictField()
    status = serializers.ChoiceField(Job.State.choices, source="state")
    actor = serializers.CharField(help_text="Who requested it.")
    via = serializers.ChoiceField(["api", "admin"])
    createdAt = serializers.DateTimeField(source="created_at")
    startedAt = serializers.DateTimeField(source="started_at", allow_null=True)
    seenAt = serializers.DateTimeField(source="seen_at", allow_null=True, help_text="The worker's last sign of life.")
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)
    attempts = serializers.IntegerField(help_text="More than 1: workers died while running it.")
    progress = OrNull(allow_null=True)
    cancelAsked = serializers.BooleanField(source="cancel_asked")
    result = serializers.DictField(allow_null=True, help_text="The report of the command of the same name.")
    failure = serializers.ChoiceField(Job.Failure.choices, allow_null=True)
    error = OrNull(allow_null=True)
    requestId = OrNull(source="request_id", allow_null=True, help_text="X-Request-ID of the request that asked for it.")
    url = serializers.URLField()


class JobsPage(PageAnswer):
    jobs = JobAnswer(many=True, source="rows")
