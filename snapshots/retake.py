"""Taking a past day's snapshot again, of the readings that are still kept of it."""

from __future__ import annotations

from datetime import date, datetime

from django.db import transaction

from fluxtracker.periods import midnight
from metrics.catalogue import TOTALS
from metrics.models import Reading, Source
from metrics.plausibility import compared, confirmed
from ops.runs import Run
from snapshots.gaps import DAY
from snapshots.models import Snapshot
from snapshots.take import COLUMNS, TOTALS_NEEDED, TakeReport, opening, tracked


def retake_snapshot(*, day: date, now: datetime, run: Run) -> TakeReport:
    """Put the day's first confirmed reading in place of what its snapshot took of the network.

    The price stays, and so do the counts by image, which no reading keeps.
    """
    with transaction.atomic():
        run.guard()
        row = Snapshot.objects.select_for_update().filter(day=day, source=Snapshot.Source.TAKEN).first()
        if row is None:
            return TakeReport(day, False, "there is no taken snapshot of that day", refused=True)
        reading = _first_confirmed(day)
        if reading is None:
            return TakeReport(day, False, "no confirmed reading of that day is kept", refused=True)
        for column in COLUMNS:
            if column.source != Source.Name.PRICE and column.key in reading.values:
                setattr(row, column.key, reading.values[column.key])
        row.counts |= tracked(reading.values)
        row.made_at, row.read_at = now, reading.at
        row.save()
    return TakeReport(day, True, None)


def _first_confirmed(day: date) -> Reading | None:
    """Return the first reading after 00:05 UTC with enough totals that the one before or after it confirms."""
    span = Reading.objects.filter(at__gte=midnight(day - DAY), at__lt=midnight(day + DAY)).order_by("at")
    rows = [row for row in span if sum(row.values.get(total) is not None for total in TOTALS) >= TOTALS_NEEDED]
    sure = confirmed([compared(row.values, row.values.get("node_total")) for row in rows])
    return next((row for row, is_sure in zip(rows, sure, strict=True) if is_sure and row.at >= opening(day)), None)
