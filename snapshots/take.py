"""Take the day's snapshot: the network as read after 00:05 UTC, once (docs/contract.md#snapshots-and-instances)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F

from fluxtracker.api.report_serializers import INTERNAL, described
from fluxtracker.images import merged_counts
from fluxtracker.periods import is_ahead, is_fresh, midnight
from metrics.metric_keys import COUNTED, FIXED, RATIOS, TOTALS
from metrics.models import ImageCount, Source
from metrics.selectors import OLD, Latest, SourceView
from ops.jobs.runs import Run
from snapshots.models import ImageDay, Refusal, Snapshot

log = structlog.get_logger(__name__)

NOT_BEFORE = timedelta(minutes=5)
PATIENCE = timedelta(minutes=75)  # how long to wait for a source that may soon recover or be confirmed
TOTALS_NEEDED = 4
PARTS = (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS, Source.Name.PRICE)
COLUMNS = tuple(metric for metric in FIXED if metric.key not in RATIOS)
PREFIXES = tuple(f"{category}_" for category in COUNTED)
EXISTS = "the day's snapshot exists"


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """`reason`: why nothing was made, or what the snapshot lacks; None if all is well."""

    day: date = field(metadata=described(key="date"))
    created: bool
    reason: str | None
    refused: bool = field(default=False, metadata=INTERNAL)
    """The readings are insufficient: a failure, retried at the next check."""


def take_snapshot(*, now: datetime, run: Run, force: bool = False, patient: bool = False) -> SnapshotReport:
    """Make today's snapshot from readings since 00:05 UTC, unless there is one. `force` replaces it.

    An imported one is replaced by our own.

    `patient`: wait for a source that was never read or failed only now; otherwise it counts as not read. A doubted
    reading is always waited for: it will soon be confirmed or dropped.
    """
    day = now.date()
    if now < opening(day):
        return SnapshotReport(day, False, "it is not 00:05 UTC yet")
    try:
        with transaction.atomic():
            run.guard()
            return _take(day, now, force, patient)
    except IntegrityError:
        if force or not Snapshot.objects.filter(day=day).exists():
            raise
        return SnapshotReport(day, False, EXISTS)  # another process was faster


def opening(day: date) -> datetime:
    """Return the instant from which readings count for the day."""
    return midnight(day) + NOT_BEFORE


def _take(day: date, now: datetime, force: bool, patient: bool) -> SnapshotReport:
    # Held until the commit, so that no collection replaces image counts while their values are stored.
    list(Source.objects.select_for_update().order_by("name"))
    source = Snapshot.objects.filter(day=day).values_list("source", flat=True).first()
    exists = source is not None
    if exists and source != Snapshot.Source.IMPORT and not force:
        return SnapshotReport(day, False, EXISTS)
    latest = Latest.load(now)
    left_out = [view for name in PARTS if not _counts(view := latest.sources[name], day, now)]
    if any(_is_due(view, day, now, patient) for view in left_out):
        return SnapshotReport(day, False, "waiting for the first collection after 00:05 UTC")
    counted = {name.value for name in PARTS} - {view.name for view in left_out}
    if doubted := [view for view in left_out if is_fresh(view.doubted_since, now, PATIENCE)]:
        return SnapshotReport(day, False, f"waiting for doubted sources: {_why(doubted, day, now)}")
    values = _values(latest, counted)
    known = sum(values.get(total) is not None for total in TOTALS)
    if known < TOTALS_NEEDED:
        return _refuse(day, now, f"{known} of 5 totals are known, {TOTALS_NEEDED} are needed", left_out, exists)
    if patient and (out := [view for view in left_out if is_fresh(view.read_at, now, PATIENCE)]):
        return SnapshotReport(day, False, f"waiting for sources that just failed: {_why(out, day, now)}")
    _store(day, now, latest, values, counted, replace=exists)
    return SnapshotReport(day, True, f"without {_why(left_out, day, now)}" if left_out else None)


def _counts(view: SourceView, day: date, now: datetime) -> bool:
    """Return whether the source was read since 00:05 UTC of the day and within the last 2 hours."""
    return view.read_at is not None and view.read_at >= opening(day) and not view.is_old(now)


def _is_due(view: SourceView, day: date, now: datetime, patient: bool) -> bool:
    """Return whether collections are running and this source is yet to be read for the day."""
    if view.tried_at is None:
        return patient
    return view.tried_at < opening(day) and is_fresh(view.tried_at, now, OLD)


def _values(latest: Latest, counted: Collection[str]) -> dict[str, Any]:
    """Return the columns of sources that count, and None for the others."""
    values = {column.key: latest.values.get(column.key) for column in COLUMNS if column.source in counted}
    return dict.fromkeys((column.key for column in COLUMNS), None) | values


def _refuse(day: date, now: datetime, detail: str, left_out: list[SourceView], exists: bool) -> SnapshotReport:
    """Note why the day has no snapshot; a refused retake leaves the existing one."""
    reason = f"{detail}; without {_why(left_out, day, now)}" if left_out else detail
    reason = reason[:500]
    if not exists:
        Refusal.objects.update_or_create(
            day=day,
            defaults={"reason": reason, "last_at": now, "attempts": F("attempts") + 1},
            create_defaults={"reason": reason, "last_at": now},
        )
    return SnapshotReport(day, False, reason, refused=True)


def _why(left_out: list[SourceView], day: date, now: datetime) -> str:
    return "; ".join(f"{Source.Name(view.name).label}: {_state(view, day, now)}" for view in left_out)


def _state(view: SourceView, day: date, now: datetime) -> str:
    if view.read_at is None:
        words = "never read"
    else:
        then = "in the future" if is_ahead(view.read_at, now) else "over 2 hours ago"
        late = "before 00:05" if view.read_at < opening(day) else then
        words = f"last read {view.read_at:%Y-%m-%d %H:%M} UTC, {late}"
    return f"{words} ({view.error})" if view.error else words


def _store(
    day: date, now: datetime, latest: Latest, values: dict[str, Any], counted: set[str], *, replace: bool
) -> None:
    """Store the row and its image counts in the caller's transaction."""
    has_apps = Source.Name.APPS in counted
    price = values.pop("flux_price_usd")
    read = [latest.sources[name].read_at for name in counted - {Source.Name.PRICE}]
    row = Snapshot(
        day=day,
        source=Snapshot.Source.TAKEN,
        made_at=now,
        read_at=min(time for time in read if time is not None),
        flux_price_usd=None if price is None else Decimal(str(price)),
        counts=tracked(latest.values) if has_apps else {},
        **values,
    )
    if replace:
        Snapshot.objects.filter(day=day).delete()
    row.save(force_insert=True)
    images = _store_images(day, has_apps)
    Refusal.objects.filter(day=day).delete()
    log.info("snapshot_taken", day=day.isoformat(), images=images, sources=sorted(counted))


def _store_images(day: date, has_apps: bool) -> int:
    """Store the day's counts by image, replacing those of an earlier take. Return the number of images."""
    ImageDay.objects.filter(day=day).delete()
    counts = ImageCount.objects.values_list("image", "category", "count") if has_apps else []
    rows = [
        ImageDay(day=day, image=image, category=of, count=count) for image, (of, count) in merged_counts(counts).items()
    ]
    return len(ImageDay.objects.bulk_create(rows, batch_size=500))


def tracked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of the tracked apps."""
    fixed = {metric.key for metric in FIXED}
    return {key: value for key, value in values.items() if key.startswith(PREFIXES) and key not in fixed}
