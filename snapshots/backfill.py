"""The days that nobody took a snapshot of, as far as the ledger and the history of node counts know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import structlog
from django.db import transaction

from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.upstream.stats import NodePoint, Stats
from metrics.catalogue import Number
from metrics.plausibility import compared, confirmed
from ops.runs import Run
from revenue.models import DailyPrice, DailyTotal
from revenue.reports import Ledger
from snapshots.gaps import DAY, days_between
from snapshots.models import Snapshot
from snapshots.take import opening

log = structlog.get_logger(__name__)

FILLED = ("made_at", "read_at", "node_cumulus", "node_nimbus", "node_stratus", "node_total", "flux_price_usd")


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """`created` counts rows that are new or were made anew, `updated` those that got what was not known before."""

    created: int
    updated: int
    skipped: int
    unknown: int
    """Days that neither the ledger nor the history of node counts knows."""
    first: date
    last: date
    failure: UpstreamError | None
    """Why there are no node counts in what was made."""


@dataclass(frozen=True, slots=True)
class Known:
    """What can be said of days without a snapshot."""

    nodes: Mapping[date, NodePoint]
    prices: Mapping[date, Decimal]
    ledger: Ledger
    ledger_began: date | None

    @classmethod
    def load(cls, nodes: Mapping[date, NodePoint], first: date, last: date) -> Known:
        """Four queries at most."""
        prices = DailyPrice.objects.filter(day__gte=first, day__lte=last).values_list("day", "price_usd")
        began = DailyTotal.objects.first_day()
        return cls(nodes, {day: price for day, price in prices if price}, Ledger.load(), began)

    def has(self, day: date) -> bool:
        in_ledger = self.ledger_began is not None and day >= self.ledger_began and self.ledger.knows(day)
        return in_ledger or day in self.nodes

    def fill(self, row: Snapshot, now: datetime, *, anew: bool = False) -> bool:
        """Put in what the row does not know; `anew` also what it does. Whether anything was put in."""
        node, price = self.nodes.get(row.day), self.prices.get(row.day)
        has_node = node is not None and (anew or row.node_total is None)
        has_price = price is not None and (anew or row.flux_price_usd is None)
        if node is not None and has_node:
            row.node_cumulus, row.node_nimbus, row.node_stratus = node.cumulus, node.nimbus, node.stratus
            row.node_total, row.read_at = node.total, node.at
        if has_price:
            row.flux_price_usd = price
        if has_node or has_price or anew:
            row.made_at = now
        return has_node or has_price


def backfill_snapshots(*, stats: Stats, now: datetime, run: Run, days: int, force: bool = False) -> BackfillReport:
    """Make the rows that the last `days` days before today lack. `force` makes backfilled ones anew, and no others."""
    first, last = now.date() - DAY * days, now.date() - DAY
    nodes, failure = _node_counts(stats)
    with transaction.atomic():
        run.guard()
        known = Known.load(nodes, first, last)
        there = {row.day: row for row in Snapshot.objects.filter(day__gte=first, day__lte=last)}
        new = [_new(known, day, now) for day in days_between(first, last) if day not in there and known.has(day)]
        backfilled = [row for row in there.values() if row.source == Snapshot.Source.BACKFILLED]
        changed = [row for row in backfilled if known.fill(row, now, anew=force) or force]
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


def _node_counts(stats: Stats) -> tuple[dict[date, NodePoint], UpstreamError | None]:
    try:
        return by_day(stats.node_history().points), None
    except UpstreamError as error:
        return {}, error


def by_day(points: Sequence[NodePoint]) -> dict[date, NodePoint]:
    """Return the first point of each day at or after 00:05 UTC, else its first. The points come oldest first.

    One that differs too much from those before and after it is taken only where the day has no other.
    """
    chosen: dict[date, tuple[tuple[bool, bool], NodePoint]] = {}
    for point, is_sure in zip(points, confirmed([_compared(point) for point in points]), strict=True):
        day = point.at.date()
        rank = (point.at >= opening(day), is_sure)
        if day not in chosen or rank > chosen[day][0]:
            chosen[day] = rank, point
    return {day: point for day, (_, point) in chosen.items()}


def _compared(point: NodePoint) -> dict[str, Number]:
    values = {f"node_{tier}": getattr(point, tier) for tier in ("total", "cumulus", "nimbus", "stratus")}
    return compared(values, point.total)
