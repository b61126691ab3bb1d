"""Find the block from which a reorganised chain must be read again, and the block that completes a day.

A cursor stores the tip it was read at; if the chain still has that block, every block below is unchanged. If not,
the block hashes of stored payments show how far down the chains differ. That requires all rows up to a cursor to be
of its tip's chain, so the source must still have the pass's tip before each write (`Chain.require_still`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import QuerySet

from fluxtracker.upstream.http.errors import BadAnswer, NotFound, UpstreamError
from fluxtracker.upstream.parsing import MAX_HEIGHT
from fluxtracker.upstream.records import Block, ChainSource, Tip
from ops.jobs.runs import Run
from revenue import ledger
from revenue.models import LedgerState, Payment
from revenue.sync.classify import is_time
from revenue.sync.writer import Reading


def settled_height(tip: int) -> int:
    """Return the highest block with enough confirmations: tip - height + 1 reaches MIN_CONFIRMATIONS."""
    height: int = tip - settings.MIN_CONFIRMATIONS + 1
    return height


class ChainMoved(UpstreamError):
    """The chain was reorganised while it was read."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain.source.host, "chain", f"does not have block {chain.tip.height} any more")


class Chain:
    """One source's chain during one pass; each block hash is requested once."""

    def __init__(self, source: ChainSource, tip: Tip) -> None:
        self.source = source
        self.tip = tip
        self._hashes: dict[int, str | None] = {tip.height: tip.hash}
        self._contradicts_itself = False

    @property
    def settled(self) -> int:
        """Return the highest block with enough confirmations, by what the source counts."""
        return min(settled_height(self.tip.counted), self.tip.height)

    def require_still(self) -> None:
        """Raise ChainMoved if the tip's hash has changed: what was listed may have, too."""
        if self._contradicts_itself or self.still_has_tip():
            return
        if self.source.tip() != self.tip:
            raise ChainMoved(self)
        log.warning("tip_hash_contradicts_block_index", source=self.source.host, height=self.tip.height)
        self._contradicts_itself = True

    def still_has_tip(self) -> bool:
        """Ask the source whether its index has the block that it reported as its tip."""
        try:
            return self.source.block_hash(self.tip.height) == self.tip.hash
        except NotFound:
            return False

    def hash_at(self, height: int) -> str | None:
        """Return the block's hash, None above the source's tip."""
        if height > self.tip.height:
            return None
        if height not in self._hashes:
            try:
                self._hashes[height] = self.source.block_hash(height)
            except NotFound:
                self._hashes[height] = None
        return self._hashes[height]

    def has(self, height: int, block_hash: str) -> bool:
        return self.hash_at(height) == block_hash

    @staticmethod
    def known_blocks(addresses: Collection[str]) -> QuerySet[Payment, tuple[int, str]]:
        """Return height and hash of blocks with payments to the addresses, highest first."""
        rows = Payment.objects.filter(address__in=addresses, vout__isnull=False).exclude(block_hash="")
        return rows.order_by("-height").values_list("height", "block_hash").distinct()

    def last_common_height(self, addresses: Collection[str], floor: int, high: int = MAX_HEIGHT) -> int:
        """Return the highest block with payments, up to `high`, that is still in the chain, else `floor`."""
        blocks = self.known_blocks(addresses).filter(height__lte=high)

        def lacks(place: int) -> bool:
            return any(not self.has(*block) for block in blocks[place : place + 1])

        lacked, common = -1, 0
        while lacks(common):
            lacked, common = common, common * 2 + 1
        while common - lacked > 1:
            middle = (lacked + common) // 2
            lacked, common = (middle, common) if lacks(middle) else (lacked, middle)
        return next((height for height, _ in blocks[common : common + 1]), floor)


def confirm_vanished(chain: Chain, reading: Reading, vanished: Collection[Payment]) -> None:
    """Raise BadAnswer if an incomplete listing lacks a row whose block is still in the chain.

    A listed output that is no revenue because of its sender is not missing.
    """
    missing = [row for row in vanished if (row.txid, row.vout) not in reading.received]
    if not missing:
        return
    lowest = min(missing, key=lambda row: row.height)
    if _still_in_chain(chain, lowest):
        raise BadAnswer(
            chain.source.host,
            f"address/{reading.address}",
            f"blocks {reading.low} to {reading.high}: lacks {lowest.txid}, whose block is still in the chain",
        )


def _still_in_chain(chain: Chain, row: Payment) -> bool:
    if row.block_hash:
        return chain.has(row.height, row.block_hash)
    try:
        return chain.source.transaction(row.txid).height == row.height
    except NotFound:
        return False


log = structlog.get_logger(__name__)

AHEAD = timedelta(hours=2)  # ahead of our clock, which may be late: such a time is checked again


def newer_block(
    source: ChainSource, state: LedgerState, high: int, pending: Collection[datetime], now: datetime
) -> Block | None:
    """Return a settled block up to `high` to store, None if the known one suffices or there is no other.

    Every address was read to `high`. Block times do not always rise: a payment that is not settled yet (`pending`)
    keeps its day open.
    """
    known = state.settled_at
    is_sure = known is not None and known <= now + AHEAD
    if known is not None and ((is_sure and known.date() >= now.date()) or (state.settled_height or 0) >= high):
        return None
    # The newest settled payment's block costs no request.
    rows = Payment.objects.filter(height__lte=high, vout__isnull=False).order_by("-height")
    row = rows.values_list("height", "paid_at", "block_hash").first()
    block = _plausible(Block(*row), now) if row else None
    if block is None or block.time.date() < now.date():
        block = _request_block(source, high, now) or block
    if block is None:
        return None
    time = min([block.time, *pending])
    return Block(block.height, time, block.hash) if known is None or time > known or not is_sure else None


def _request_block(source: ChainSource, high: int, now: datetime) -> Block | None:
    try:
        return _plausible(source.block(high), now)
    except UpstreamError as error:  # the payments are stored all the same
        log.warning("block_time_unknown", height=high, error=str(error))
        return None


def _plausible(block: Block, now: datetime) -> Block | None:
    """Ignore a block time that cannot be; one too far back only completes less."""
    if is_time(block.time, now):
        return block
    log.warning("block_time_impossible", height=block.height, time=block.time.isoformat())
    return None


def forget_if_gone(chain: Chain, run: Run) -> None:
    """Clear the completeness of days if a reorganisation removed the block that proved it."""
    state = LedgerState.load()
    if state.settled_height is None or chain.has(state.settled_height, state.settled_hash):
        return
    with ledger.writing() as state:
        run.guard()
        state.settled_height, state.settled_hash, state.settled_at = None, "", None
        state.save(update_fields=["settled_height", "settled_hash", "settled_at"])
