"""What the job endpoints answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.answers import ErrorAnswer, PageAnswer
from ops.models import Job


class Asked(serializers.Serializer[Any]):
    """The beginning of every answer to a job that was asked for."""

    success = serializers.BooleanField()
    job = serializers.IntegerField(help_text="Its number; /api/admin/jobs/{id} tells more.")


class UnderWayAnswer(Asked):
    status = serializers.ChoiceField(Job.State.choices)
    url = serializers.URLField(help_text="Where to look how far it is.")


class FailedAnswer(ErrorAnswer):
    success = serializers.BooleanField(help_text="false")
    alreadyRunning = serializers.BooleanField(help_text="Somebody is at this work.")
    job = serializers.IntegerField(required=False, help_text="The job that is active, or that failed.")
    status = serializers.ChoiceField(Job.State.choices, required=False)


class SyncResult(Asked):
    fetched = serializers.IntegerField()
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    lastSyncBlock = serializers.IntegerField(allow_null=True)
    requests = serializers.IntegerField()
    seconds = serializers.FloatField()


class ResetResult(Asked):
    lastSyncBlock = serializers.IntegerField(allow_null=True)


class ClearResult(Asked):
    deleted = serializers.IntegerField(help_text="Payments.")


class NamesResult(Asked):
    processed = serializers.IntegerField()
    updated = serializers.IntegerField()
    noHash = serializers.IntegerField(help_text="Payments without a message hash that the batch had room for.")
    notFound = serializers.IntegerField()
    remaining = serializers.IntegerField()


class TypesResult(Asked):
    updated = serializers.IntegerField()
    unknown = serializers.IntegerField()


class UsdResult(Asked):
    updated = serializers.IntegerField()
    remaining = serializers.IntegerField(
        help_text="Payments without a price; with `force` those that keep the old one."
    )
    closedDays = serializers.IntegerField(required=False, help_text="With `force`: days whose totals are frozen.")


class AuditResult(Asked):
    checked = serializers.IntegerField()
    missing = serializers.IntegerField()
    extra = serializers.IntegerField()
    different = serializers.IntegerField()


class PruneResult(Asked):
    transactions = serializers.IntegerField()
    checks = serializers.IntegerField()


class SnapshotResult(Asked):
    date = serializers.DateField()
    created = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)


BackfillResult = type(
    "BackfillResult",
    (Asked,),
    {
        "__doc__": "What came of a backfill.",
        "created": serializers.IntegerField(),
        "skipped": serializers.IntegerField(),
        "from": serializers.DateField(),  # a word of Python, hence by this way
        "to": serializers.DateField(),
    },
)


class MetricsResult(Asked):
    sources = serializers.DictField(child=serializers.CharField(), help_text="ok, stale or failed, by source.")


class CheckResult(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.CharField()
    status = serializers.CharField()
    latencyMs = serializers.IntegerField(allow_null=True)


class ServicesResult(Asked):
    checks = CheckResult(many=True)


class CarouselResult(Asked):
    network = serializers.IntegerField()
    deployed = serializers.IntegerField()
    expiring = serializers.IntegerField()
    endsUnknown = serializers.IntegerField(
        required=False, allow_null=True, help_text="Apps whose end is not known; null: not read."
    )


class BackupResult(Asked):
    file = serializers.CharField()
    rows = serializers.IntegerField()
    sha256 = serializers.CharField()


RESULTS: dict[str, type[serializers.Serializer[Any]]] = {
    "revenue-sync": SyncResult,
    "reset-revenue-sync": ResetResult,
    "clear-revenue-data": ClearResult,
    "backfill-app-names": NamesResult,
    "backfill-app-types": TypesResult,
    "backfill-usd": UsdResult,
    "audit-transactions": AuditResult,
    "prune": PruneResult,
    "snapshot": SnapshotResult,
    "check-snapshot": SnapshotResult,
    "backfill": BackfillResult,
    "collect-metrics": MetricsResult,
    "test-services": ServicesResult,
    "refresh-carousel": CarouselResult,
    "backup": BackupResult,
}


class JobAnswer(serializers.Serializer[Any]):
    """A job: who asked for what, when, how far it is, what came of it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    params = serializers.DictField()
    status = serializers.ChoiceField(Job.State.choices)
    actor = serializers.CharField(help_text="Who asked for it.")
    via = serializers.ChoiceField(["api", "admin"])
    createdAt = serializers.DateTimeField()
    startedAt = serializers.DateTimeField(allow_null=True)
    seenAt = serializers.DateTimeField(allow_null=True, help_text="The worker's last sign of life.")
    finishedAt = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField(help_text="More than 1: workers died on the way.")
    progress = serializers.CharField(allow_null=True)
    cancelAsked = serializers.BooleanField()
    result = serializers.DictField(allow_null=True, help_text="The report of the command of that name.")
    failure = serializers.ChoiceField(Job.Failure.choices, allow_null=True)
    error = serializers.CharField(allow_null=True)
    requestId = serializers.CharField(allow_null=True, help_text="X-Request-ID of the request that asked for it.")
    url = serializers.URLField()


class JobsPage(PageAnswer):
    jobs = JobAnswer(many=True)
