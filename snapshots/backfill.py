"""Run the snapshot jobs: take, check, backfill and retake, for commands, tasks, admin and API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from statistics import median

import structlog
from django.db import transaction

from fluxtracker.api.report_serializers import INTERNAL, UNDESCRIBED, described
from fluxtracker.periods import DAY, Span, midnight
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.stats import NodePoint, Stats
from metrics.metric_keys import TOTALS
from metrics.models import Reading, Source
from metrics.sources import Compared, change, collapse, compared, confirmed
from ops.jobs.runs import Run
from revenue.models import DailyPrice, DailyTotal, LedgerState
from snapshots.models import Snapshot
from snapshots.take import COLUMNS, TOTALS_NEEDED, SnapshotReport, opening, tracked

log = structlog.get_logger(__name__)

FILLED = ("made_at", "read_at", "node_cumulus", "node_nimbus", "node_stratus", "node_total", "flux_price_usd")


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """`created` counts rows made or made again, `updated` those that got missing values."""

    created: int
    updated: int = field(metadata=UNDESCRIBED)
    skipped: int
    unknown: int = field(metadata=UNDESCRIBED)
    """Days known neither to the ledger nor to the history of node counts."""
    first: date = field(metadata=described(key="from"))
    last: date = field(metadata=described(key="to"))
    failure: UpstreamError | None = field(metadata=INTERNAL)
    """Why the rows have no node counts."""


@dataclass(frozen=True, slots=True)
class Known:
    """Known facts about days without a snapshot."""

    nodes: Mapping[date, NodePoint]
    prices: Mapping[date, Decimal]
    ledger: LedgerState
    ledger_began: date | None

    @classmethod
    def load(cls, nodes: Mapping[date, NodePoint], first: date, last: date) -> Known:
        """Load the facts in at most four queries."""
        prices = DailyPrice.objects.filter(day__gte=first, day__lte=last).values_list("day", "price_usd")
        began = DailyTotal.objects.first_day()
        return cls(nodes, {day: price for day, price in prices if price}, LedgerState.known(), began)

    def has(self, day: date) -> bool:
        in_ledger = self.ledger_began is not None and day >= self.ledger_began and self.ledger.knows(day)
        return in_ledger or day in self.nodes

    def fill(self, row: Snapshot, now: datetime, *, overwrite: bool = False) -> bool:
        """Fill in missing values, or all with `overwrite`. Return whether anything changed."""
        node, price = self.nodes.get(row.day), self.prices.get(row.day)
        has_node = node is not None and (overwrite or row.node_total is None)
        has_price = price is not None and (overwrite or row.flux_price_usd is None)
        if node is not None and has_node:
            row.node_cumulus, row.node_nimbus, row.node_stratus = node.cumulus, node.nimbus, node.stratus
            row.node_total, row.read_at = node.total, node.at
        if has_price:
            row.flux_price_usd = price
        if has_node or has_price or overwrite:
            row.made_at = now
        return has_node or has_price


def backfill_days(*, stats: Stats, now: datetime, run: Run, days: int, force: bool = False) -> BackfillReport:
    """Make missing rows of the last `days` days before today. `force` also makes backfilled ones again."""
    first, last = now.date() - DAY * days, now.date() - DAY
    nodes: dict[date, NodePoint] = {}
    failure: UpstreamError | None = None
    try:
        nodes = by_day(stats.node_history().points)
    except UpstreamError as error:
        failure = error
    with transaction.atomic():
        run.guard()
        known = Known.load(nodes, first, last)
        there = {row.day: row for row in Snapshot.objects.between(first, last)}
        new = [_new(known, day, now) for day in Span(first, last).days() if day not in there and known.has(day)]
        backfilled = [row for row in there.values() if row.source == Snapshot.Source.BACKFILLED]
        changed = [row for row in backfilled if known.fill(row, now, overwrite=force) or force]
        Snapshot.objects.bulk_create(new, batch_size=200)
        Snapshot.objects.bulk_update(changed, FILLED, batch_size=200)
    log.info("snapshots_backfilled", created=len(new), changed=len(changed), first=str(first), last=str(last))
    return BackfillReport(
        created=len(new) + (len(changed) if force else 0),
        updated=0 if force else len(changed),
        skipped=len(there) - len(changed),
        unknown=days - len(there) - len(new),
        first=first,
        last=last,
        failure=failure,
    )


def _new(known: Known, day: date, now: datetime) -> Snapshot:
    row = Snapshot(day=day, source=Snapshot.Source.BACKFILLED, made_at=now)
    known.fill(row, now)
    return row


def by_day(points: Sequence[NodePoint]) -> dict[date, NodePoint]:
    """Return each day's first point at or after 00:05 UTC, else its first. Expects the oldest point first.

    A point that differs too much from its day's median, or from its neighbours, is used only if the day has no
    other.
    """
    chosen: dict[date, tuple[tuple[bool, bool, bool], NodePoint]] = {}
    counts = [_compared(point) for point in points]
    usual = {
        day: _median([count for _, count in group])
        for day, group in groupby(zip(points, counts, strict=True), key=lambda pair: pair[0].at.date())
    }
    for point, count, is_sure in zip(points, counts, confirmed(counts), strict=True):
        day = point.at.date()
        is_usual = not (collapse(usual[day], count) or change(usual[day], count))
        rank = (point.at >= opening(day), is_usual, is_sure)
        if day not in chosen or rank > chosen[day][0]:
            chosen[day] = rank, point
    return {day: point for day, (_, point) in chosen.items()}


def _compared(point: NodePoint) -> Compared:
    tiers = ("total", "cumulus", "nimbus", "stratus")
    return compared({f"node_{tier}": getattr(point, tier) for tier in tiers}, point.total)


def _median(counts: Sequence[Compared]) -> Compared:
    return {key: median(count[key] for count in counts) for key in counts[0]}


def retake_snapshot(*, day: date, now: datetime, run: Run) -> SnapshotReport:
    """Replace the network values of the day's snapshot with the first confirmed reading.

    The price stays, as do the counts by image, which readings do not store.
    """
    with transaction.atomic():
        run.guard()
        row = Snapshot.objects.select_for_update().filter(day=day, source=Snapshot.Source.TAKEN).first()
        if row is None:
            return SnapshotReport(day, False, "there is no taken snapshot of that day", refused=True)
        reading = _first_confirmed(day)
        if reading is None:
            return SnapshotReport(day, False, "that day has no stored, confirmed reading", refused=True)
        for column in COLUMNS:
            if column.source != Source.Name.PRICE and column.key in reading.values:
                setattr(row, column.key, reading.values[column.key])
        row.counts |= tracked(reading.values)
        row.made_at, row.read_at = now, reading.at
        row.save()
    return SnapshotReport(day, True, None)


def _first_confirmed(day: date) -> Reading | None:
    """Return the first reading after 00:05 UTC with enough totals, confirmed by the one before or after."""
    span = Reading.objects.filter(at__gte=midnight(day - DAY), at__lt=midnight(day + DAY)).order_by("at")
    rows = [row for row in span if sum(row.values.get(total) is not None for total in TOTALS) >= TOTALS_NEEDED]
    sure = confirmed([compared(row.values, row.values.get("node_total")) for row in rows])
    return next((row for row, is_sure in zip(rows, sure, strict=True) if is_sure and row.at >= opening(day)), None)


LEASE = "take_snapshot"  # everything that writes rows of days
