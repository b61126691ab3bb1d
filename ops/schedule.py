"""The default schedule: one table. Rows are made once; what operators change in the admin stays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask


@dataclass(frozen=True, slots=True)
class Entry:
    """A periodic task. A message that no worker took within `expires` is dropped: the next one comes."""

    name: str
    task: str
    every: timedelta
    description: str

    @property
    def expires_s(self) -> int:
        return max(int(self.every.total_seconds()) - 10, 10)


SCHEDULE = (
    Entry("sync-revenue", "revenue.tasks.sync_revenue", timedelta(minutes=5),
          "Payments from the chain, then names and USD of what came and of recent payments without."),
    Entry("collect-metrics", "metrics.tasks.collect_metrics", timedelta(minutes=10),
          "Nodes, capacity, running apps and the price."),
    Entry("check-services", "metrics.tasks.check_services", timedelta(hours=1),
          "Whether each upstream answers, and whether games and crypto nodes still run."),
    Entry("refresh-carousel", "carousel.tasks.refresh_carousel", timedelta(hours=1),
          "Top images, best benchmarks, apps just deployed and apps that end next."),
    Entry("check-snapshot", "snapshots.tasks.check_snapshot", timedelta(minutes=30),
          "Takes the day's snapshot once it is 00:05 UTC."),
    Entry("refresh-price", "revenue.tasks.refresh_price", timedelta(minutes=5), "The FLUX price."),
    Entry("audit-revenue", "revenue.tasks.audit_revenue", timedelta(hours=4),
          "The last 4,320 blocks of the ledger against the chain."),
    Entry("check-alerts", "ops.tasks.check_alerts", timedelta(minutes=5),
          "Whether something is to be told: raises alerts, closes what has healed."),
    Entry("resend-jobs", "ops.tasks.resend_jobs", timedelta(minutes=1),
          "Jobs that the broker lost or that a dead worker left."),
    Entry("prune", "revenue.tasks.prune", timedelta(days=1), "The retention policy."),
    Entry("backup", "ops.tasks.backup", timedelta(days=1),
          "Everything into a file of the data dir's backups; 7 daily, 4 weekly and 12 monthly ones are kept."),
)  # fmt: skip


UNRECORDED = ("ops.tasks.resend_jobs",)  # leaves no run behind: nobody can tell when it last did


def install() -> int:
    """Make the rows that are missing. Answers how many were made.

    `start_time` in the past lets beat run a task at once when it never ran; one that ran before is due by its
    last run (django-celery-beat, ModelEntry).
    """
    made = 0
    for entry in SCHEDULE:
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=int(entry.every.total_seconds() // 60), period=IntervalSchedule.MINUTES
        )
        _, created = PeriodicTask.objects.get_or_create(
            name=entry.name,
            defaults={
                "task": entry.task,
                "interval": interval,
                "start_time": timezone.now(),
                "expire_seconds": entry.expires_s,
                "description": entry.description,
            },
        )
        made += created
    return made
