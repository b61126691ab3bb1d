"""How much there is: `/api/stats`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max

from ops.storage import database_bytes
from revenue.models import DailyPrice, DailyTotal
from revenue.opendays import OpenDays
from revenue.reports import Totals
from revenue.standing import last_sync_block
from revenue.wire import flux
from snapshots.gaps import days_between
from snapshots.models import ImageDay, Snapshot

# Each step seeks the next image in the unique index: the table grows for ever, the number of images hardly.
DISTINCT_IMAGES = """
    WITH RECURSIVE seen(image) AS (
        SELECT MIN(image) FROM {table}
        UNION ALL
        SELECT (SELECT MIN(image) FROM {table} WHERE image > seen.image) FROM seen WHERE seen.image IS NOT NULL
    )
    SELECT COUNT(image) FROM seen
"""


def stats(now: datetime) -> dict[str, Any]:
    """Counts and sums, all at one moment; sums are null where the ledger does not know."""
    newest = Snapshot.objects.aggregate(day=Max("day"))["day"]
    first = DailyTotal.objects.filter(payments__gt=0).first_day()
    return {
        "snapshots": Snapshot.objects.count(),
        "transactions": OpenDays.load().total,
        "priceHistory": DailyPrice.objects.filter(price_usd__isnull=False).count(),
        "repoSnapshots": ImageDay.objects.count(),
        "distinctRepos": _number(DISTINCT_IMAGES.format(table=ImageDay._meta.db_table)),
        "dbSizeKB": database_bytes() // 1024,
        "lastSnapshotDate": newest and newest.isoformat(),
        "revenue": _revenue(now.date(), first),
        "firstTransactionDate": first and first.isoformat(),
        "lastSyncBlock": last_sync_block(),
    }


def _revenue(today: date, first: date | None) -> dict[str, float | None]:
    begin = min(first or today, today - timedelta(days=29))
    totals = Totals.load(begin, today)
    spans = {"today": today, "last7Days": today - timedelta(days=6), "last30Days": today - timedelta(days=29)}
    spans["total"] = begin
    return {name: flux(totals.of(days_between(start, today)).revenue_sat) for name, start in spans.items()}


def _number(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return int(row[0])
