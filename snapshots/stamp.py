"""What an ETag over the snapshots is made of."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max

from metrics.models import TrackedApp
from snapshots.models import ImageDay, Refusal, Snapshot


def snapshot_stamp() -> tuple[Any, ...]:
    """Changes with every row that is written or deleted, and with every edit of a tracked app. Four small queries."""
    rows = {"count": Count("pk"), "last": Max("made_at"), "newest": Max("pk")}
    return (
        tuple(Snapshot.objects.aggregate(**rows).values()),
        tuple(Refusal.objects.aggregate(count=Count("pk"), last=Max("last_at")).values()),
        ImageDay.objects.aggregate(newest=Max("pk"))["newest"],
        tuple(TrackedApp.objects.aggregate(count=Count("pk"), last=Max("changed_at")).values()),
    )
