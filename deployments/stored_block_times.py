"""Store the time of one block per day, and interpolate all others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import Min

from deployments.models import BlockTime, MessagesState
from fluxtracker.batches import ROWS, chunks
from fluxtracker.block_times import Timeline
from fluxtracker.upstream.records import Block
from revenue.models import DailyTotal, LedgerState, Payment


@dataclass(frozen=True, slots=True)
class Stretch:
    """Heights with changed times; `high` None: all later ones."""

    low: int
    high: int | None


def timeline() -> Timeline:
    """Return the times of all blocks. One query."""
    rows = BlockTime.objects.order_by("height").values_list("height", "at")
    return Timeline.of(Block(height, at) for height, at in rows)


def tip_of_ledger() -> int | None:
    """Return the last block known to the ledger."""
    return LedgerState.objects.values_list("tip_height", flat=True).first()


def tip() -> int:
    """Return the last block that ledger or messages know, 0 without one. Two queries."""
    return max(tip_of_ledger() or 0, MessagesState.known().tip_height)


def learn() -> Stretch | None:
    """Store the first block with a payment for each new day; return the heights whose date changed.

    Stored blocks stay, so that derived times do not depend on the order of reading.
    """
    before = dict(BlockTime.objects.values_list("height", "day"))
    days = set(DailyTotal.objects.values_list("day", flat=True).distinct()) - set(before.values())
    new = [*_first_blocks(sorted(days)), *_settled_block()]
    BlockTime.objects.bulk_create(new, ignore_conflicts=True, batch_size=ROWS)
    added = set(BlockTime.objects.values_list("height", flat=True)) - before.keys()
    return _around(added, before) if added else None


def _first_blocks(days: Sequence[date]) -> list[BlockTime]:
    blocks = []
    for batch in chunks(days, ROWS):
        rows = Payment.objects.filter(day__in=batch, vout__isnull=False).order_by().values("day")
        for row in rows.annotate(height=Min("height"), at=Min("paid_at")):
            blocks.append(BlockTime(**row))
    return blocks


def _settled_block() -> list[BlockTime]:
    """Return a block of the chain's last settled day, for days without a payment."""
    row = LedgerState.objects.exclude(settled_height=None).exclude(settled_at=None).first()
    if row is None or row.settled_height is None or row.settled_at is None:
        return []
    return [BlockTime(height=row.settled_height, at=row.settled_at, day=row.settled_at.date())]


def _around(added: Collection[int], before: Collection[int]) -> Stretch:
    """Return the heights between the known blocks around the new ones."""
    low, high = min(added), max(added)
    return Stretch(
        max((height for height in before if height < low), default=0),
        min((height for height in before if height > high), default=None),
    )
