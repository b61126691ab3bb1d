"""The last settled block that was read and its own time: what makes a day complete (docs/contract.md#complete-days).

Its time is asked for only while our clock is in a later day than the known one: a few requests around midnight.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog

from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.upstream.records import Block
from ops.runs import Run
from revenue import ledger
from revenue.anchors import Chain
from revenue.models import LedgerState, Payment
from revenue.sources import ChainSource

log = structlog.get_logger(__name__)

AHEAD = timedelta(hours=2)  # of our clock: what the chain lets a block's time be


def newer_block(
    source: ChainSource, state: LedgerState, high: int, pending: Collection[datetime], now: datetime
) -> Block | None:
    """Return a settled block, not above `high`, to remember; None where the known one will do or no other is known.

    Every address was read to `high`. Times of blocks do not always rise: a payment that is not settled yet
    (`pending`) holds its own day open.
    """
    known = state.settled_at
    if known is not None and (known.date() >= now.date() or (state.settled_height or 0) >= high):
        return None
    block = _of_payments(high, now)
    if block is None or block.time.date() < now.date():
        block = _asked(source, high, now) or block
    if block is None:
        return None
    time = min([block.time, *pending])
    return Block(block.height, time, block.hash) if known is None or time > known else None


def _of_payments(high: int, now: datetime) -> Block | None:
    """Return the block of the newest settled payment: it costs no request."""
    rows = Payment.objects.filter(height__lte=high, vout__isnull=False).order_by("-height")
    row = rows.values_list("height", "paid_at", "block_hash").first()
    return _believed(Block(*row), now) if row else None


def _asked(source: ChainSource, high: int, now: datetime) -> Block | None:
    try:
        return _believed(source.block(high), now)
    except UpstreamError as error:  # the payments are in all the same
        log.warning("block_time_unknown", height=high, error=str(error))
        return None


def _believed(block: Block, now: datetime) -> Block | None:
    """Leave out a time that lies too far ahead of our clock; one that lies too far back only completes too little."""
    if block.time <= now + AHEAD:
        return block
    log.warning("block_time_in_the_future", height=block.height, time=block.time.isoformat())
    return None


def forget_if_gone(chain: Chain, run: Run) -> None:
    """After a reorganisation: no day is complete by a block that the chain does not have any more."""
    state = LedgerState.load()
    if state.settled_height is None or chain.has(state.settled_height, state.settled_hash):
        return
    with ledger.writing() as state:
        run.guard()
        state.settled_height, state.settled_hash, state.settled_at = None, "", None
        state.save(update_fields=["settled_height", "settled_hash", "settled_at"])
