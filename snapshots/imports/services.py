"""Import the previous tracker's history where ours has gaps. Safe to repeat and to kill.

The whole file is read and checked first, then each kind of row is stored in its own transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from fluxtracker.api.report_serializers import as_report, described
from ops import leases, registry
from ops.jobs import runs
from revenue import imported_payments
from revenue.imported_payments import Guard, Taken
from snapshots.backfill import LEASE
from snapshots.imports import rows
from snapshots.imports.rows import NotTheOriginal, OldDay, Read, Row, opened
from snapshots.models import ImageDay, Refusal, Snapshot

log = structlog.get_logger(__name__)

Source = Snapshot.Source
COLUMNS = tuple(
    field.name for field in Snapshot._meta.concrete_fields if field.name not in ("id", "day", "source", "made_at")
)
WRITTEN = ("source", "made_at", *COLUMNS)
TAKEN_HERE = "taken here"


KINDS: Mapping[str, tuple[str, Callable[[Iterator[Row], date], Read[Any]]]] = {
    "snapshots": ("daily_snapshots", rows.snapshots),
    "transactions": ("revenue_transactions", rows.payments),
    "prices": ("flux_price_history", rows.prices),
    "imageSnapshots": ("repo_snapshots", rows.images),
}
"""By key of the report: the old tracker's table and its converter."""
Old = Mapping[str, Read[Any]]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Number of rows added or changed by kind; rows left out and changed, by reason."""

    snapshots: int = 0
    transactions: int = 0
    prices: int = 0
    image_snapshots: int = 0
    skipped: int = 0
    left_out: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=described(allow_null=False))
    changed: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=described(allow_null=False))


def read_file(path: Path, today: date) -> Old:
    """Return all rows of the file, read in one transaction. NotDone if it is not from the old tracker."""
    try:
        with opened(path) as file:
            return {kind: convert(file.rows(table), today) for kind, (table, convert) in KINDS.items()}
    except (NotTheOriginal, OSError) as error:
        words = f"{path.name} {error}; nothing was imported"
        if isinstance(error, OSError):
            words = f"cannot read {path.name}: {error.strerror or error}"
        raise runs.NotDone(words, as_report(ImportReport())) from error


def import_rows(*, old: Old, now: datetime, guard: Guard, progress: Callable[[str], None]) -> ImportReport:
    """Import what is not known here."""
    writers: dict[str, Callable[[Any], Taken]] = {
        "snapshots": lambda rows: _import_days(rows, now, guard),
        "transactions": lambda rows: imported_payments.import_payments(rows, guard),
        "prices": lambda rows: imported_payments.import_prices(dict(rows), now.date(), guard),
        "imageSnapshots": lambda rows: _import_images(rows, guard),
    }
    taken: dict[str, Taken] = {}
    for kind, write in writers.items():
        progress(kind)
        taken[kind] = write(old[kind].rows)
    left_out = {kind: old[kind].left_out + Counter(taken[kind].left_out) for kind in KINDS}
    report = ImportReport(
        snapshots=taken["snapshots"].rows,
        transactions=taken["transactions"].rows,
        prices=taken["prices"].rows,
        image_snapshots=taken["imageSnapshots"].rows,
        skipped=sum(reasons.total() for reasons in left_out.values()),
        left_out={kind: reasons for kind, reasons in left_out.items() if reasons},
        changed={kind: reasons for kind in KINDS if (reasons := +old[kind].changed)},
    )
    log.info("imported", snapshots=report.snapshots, transactions=report.transactions, skipped=report.skipped)
    return report


def _import_days(days: Sequence[OldDay], now: datetime, guard: Guard) -> Taken:
    """Store new days, and fill days not taken here: the file's values were read, a backfill's inferred."""
    left_out: Counter[str] = Counter()
    with transaction.atomic():
        guard()
        there = {row.day: row for row in Snapshot.objects.select_for_update()}
        new, changed = [], []
        for old in days:
            row = there.get(old.day)
            if row is None:
                new.append(_fill(Snapshot(day=old.day), old, now))
            elif row.source == Source.TAKEN:
                left_out[TAKEN_HERE] += 1
            elif (
                row.source == Source.IMPORT
                and {key: getattr(row, key) for key in old.values} == old.values
                and row.counts == {**row.counts, **old.counts}
            ):
                left_out["known already"] += 1
            else:
                changed.append(_fill(row, old, now))
        Snapshot.objects.bulk_create(new, batch_size=200)
        Snapshot.objects.bulk_update(changed, WRITTEN, batch_size=200)
        Refusal.objects.filter(day__in=[row.day for row in new]).delete()
    return Taken(len(new) + len(changed), left_out)


def _fill(row: Snapshot, old: OldDay, now: datetime) -> Snapshot:
    """Fill in the old tracker's values. Others stay, such as a backfill's node counts or a price."""
    if row.source == Source.SIMULATED:
        row = Snapshot(pk=row.pk, day=row.day)
    row.source, row.made_at = Source.IMPORT, now
    for key, value in old.values.items():
        setattr(row, key, value)
    row.counts = {**row.counts, **old.counts}
    return row


def _import_images(counts: Sequence[ImageDay], guard: Guard) -> Taken:
    """Store image counts of days not taken here, replacing those of existing days."""
    with transaction.atomic():
        guard()
        taken = set(Snapshot.objects.filter(source=Source.TAKEN).values_list("day", flat=True))
        kept = [row for row in counts if row.day not in taken]
        days = {row.day for row in kept}
        stored = ImageDay.objects.filter(day__range=(min(days), max(days))) if days else ImageDay.objects.none()
        there = set(stored.values_list("day", "image", "category", "count").iterator())
        new = [row for row in kept if (row.day, row.image, row.category, row.count) not in there]
        ImageDay.objects.bulk_create(
            new,
            update_conflicts=True,
            unique_fields=["image", "day"],
            update_fields=["category", "count"],
            batch_size=1_000,
        )
    left_out = {TAKEN_HERE: len(counts) - len(kept), "known already": len(kept) - len(new)}
    return Taken(len(new), {reason: count for reason, count in left_out.items() if count})


Report = dict[str, Any]


def import_original(
    *, trigger: str, path: Path, wait: float = 0, progress: Callable[[str], None] | None = None
) -> Report:
    """Import a file of the previous tracker. Writers of payments and days wait."""
    now = timezone.now()
    old = read_file(path, now.date())  # before the run: an invalid file is not a failed run
    with (
        runs.run("import_original", lease="sync_revenue", trigger=trigger, wait=wait, progress=progress) as run,
        leases.hold(LEASE, wait=wait) as days,
    ):

        def guard() -> None:
            run.guard()
            days.guard()

        run.report = as_report(import_rows(old=old, now=now, guard=guard, progress=run.progress))
    registry.changed()
    return run.report
