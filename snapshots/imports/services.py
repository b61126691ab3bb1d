"""Import the previous tracker's history where we have none. Safe to repeat and to kill.

The whole file is read and checked first; then each kind of rows is stored in its own transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from fluxtracker.api.reports import as_report, described
from ops import leases, registry, runs
from revenue import importing
from revenue.importing import Guard, OldPayment, Taken
from snapshots.imports import rows as imports_rows
from snapshots.imports.rows import NotTheOriginal, OldDay, Read, opened
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.services import LEASE

log = structlog.get_logger(__name__)

Source = Snapshot.Source
COLUMNS = tuple(
    field.name for field in Snapshot._meta.concrete_fields if field.name not in ("id", "day", "source", "made_at")
)
WRITTEN = ("source", "made_at", *COLUMNS)
TAKEN_HERE = "taken here"


@dataclass(frozen=True, slots=True)
class Old:
    """What the file holds, row by row in our terms."""

    days: Read[OldDay]
    payments: Read[OldPayment]
    prices: Read[tuple[date, Decimal]]
    images: Read[ImageDay]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many rows of each kind are new or changed here; what was left out and what was changed, by reason."""

    snapshots: int = 0
    transactions: int = 0
    prices: int = 0
    image_snapshots: int = 0
    skipped: int = 0
    left_out: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=described(allow_null=False))
    changed: Mapping[str, Mapping[str, int]] | None = field(default=None, metadata=described(allow_null=False))


def read_file(path: Path, today: date) -> Old:
    """Return everything in the file, as it is at one moment. NotDone where it is none of the old tracker."""
    try:
        with opened(path) as file:
            return Old(
                imports_rows.snapshots(file.rows("daily_snapshots"), today),
                imports_rows.payments(file.rows("revenue_transactions"), today),
                imports_rows.prices(file.rows("flux_price_history"), today),
                imports_rows.images(file.rows("repo_snapshots"), today),
            )
    except (NotTheOriginal, OSError) as error:
        words = f"{path.name} {error}; nothing was imported"
        if isinstance(error, OSError):
            words = f"cannot read {path.name}: {error.strerror or error}"
        raise runs.NotDone(words, as_report(ImportReport())) from error


def import_rows(*, old: Old, now: datetime, guard: Guard, progress: Callable[[str], None]) -> ImportReport:
    """Take over what is not known here."""
    progress("snapshots")
    days = _import_days(old.days.rows, now, guard)
    progress("payments")
    payments = importing.import_payments(old.payments.rows, guard)
    progress("prices")
    prices = importing.import_prices(dict(old.prices.rows), now.date(), guard)
    progress("images")
    images = _import_images(old.images.rows, guard)
    kinds: dict[str, tuple[Read[Any], Taken]] = {
        "snapshots": (old.days, days),
        "transactions": (old.payments, payments),
        "prices": (old.prices, prices),
        "imageSnapshots": (old.images, images),
    }
    left_out = {kind: read.left_out + Counter(taken.left_out) for kind, (read, taken) in kinds.items()}
    changed = {kind: +read.changed for kind, (read, _) in kinds.items()}
    report = ImportReport(
        snapshots=days.rows,
        transactions=payments.rows,
        prices=prices.rows,
        image_snapshots=images.rows,
        skipped=sum(reasons.total() for reasons in left_out.values()),
        left_out={kind: reasons for kind, reasons in left_out.items() if reasons},
        changed={kind: reasons for kind, reasons in changed.items() if reasons},
    )
    log.info("imported", snapshots=report.snapshots, transactions=report.transactions, skipped=report.skipped)
    return report


def _import_days(days: Sequence[OldDay], now: datetime, guard: Guard) -> Taken:
    """Store new days, and what the file knows of days not taken here: it read what a backfill only infers."""
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
            elif _differs(row, old):
                changed.append(_fill(row, old, now))
            else:
                left_out["known already"] += 1
        Snapshot.objects.bulk_create(new, batch_size=200)
        Snapshot.objects.bulk_update(changed, WRITTEN, batch_size=200)
        Refusal.objects.filter(day__in=[row.day for row in new]).delete()
    return Taken(len(new) + len(changed), left_out)


def _differs(row: Snapshot, old: OldDay) -> bool:
    known = {key: getattr(row, key) for key in old.values}
    return row.source != Source.IMPORT or known != old.values or row.counts != {**row.counts, **old.counts}


def _fill(row: Snapshot, old: OldDay, now: datetime) -> Snapshot:
    """Put in what the old tracker knew. What it did not know stays as it is: node counts of a backfill, a price."""
    if row.source == Source.SIMULATED:
        row = Snapshot(pk=row.pk, day=row.day)
    row.source, row.made_at = Source.IMPORT, now
    for key, value in old.values.items():
        setattr(row, key, value)
    row.counts = {**row.counts, **old.counts}
    return row


def _import_images(rows: Sequence[ImageDay], guard: Guard) -> Taken:
    """Return counts of images of days that were not taken here. A day that is there already is brought in line."""
    with transaction.atomic():
        guard()
        taken = set(Snapshot.objects.filter(source=Source.TAKEN).values_list("day", flat=True))
        wanted = [row for row in rows if row.day not in taken]
        there = _image_counts(wanted)
        new = [row for row in wanted if there.get((row.day, row.image)) != (row.category, row.count)]
        ImageDay.objects.bulk_create(
            new,
            update_conflicts=True,
            unique_fields=["image", "day"],
            update_fields=["category", "count"],
            batch_size=1_000,
        )
    left_out = {TAKEN_HERE: len(rows) - len(wanted), "known already": len(wanted) - len(new)}
    return Taken(len(new), {reason: count for reason, count in left_out.items() if count})


def _image_counts(rows: Iterable[ImageDay]) -> dict[tuple[date, str], tuple[str, int]]:
    days = [row.day for row in rows]
    if not days:
        return {}
    stored = ImageDay.objects.filter(day__range=(min(days), max(days)))
    return {
        (day, image): (category, count)
        for day, image, category, count in stored.values_list("day", "image", "category", "count").iterator()
    }


Report = dict[str, Any]


def import_original(
    *, trigger: str, path: Path, wait: float = 0, progress: Callable[[str], None] | None = None
) -> Report:
    """Take over what a file of the tracker that was replaced knows. Writers of payments and of days wait meanwhile."""
    now = timezone.now()
    old = read_file(path, now.date())  # before the run: a wrong file is no failed run
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
