"""Is the chain still the one that was read? Where not, from which block on must it be read again?

A cursor keeps the tip it was read at. A chain that still has that block has every block below it unchanged.
Where it has not, the stored payments' own block hashes tell how far down the two chains differ: only rows
(and blocks between rows) above the highest row whose block is still there can be wrong.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from fluxtracker.upstream.errors import BadAnswer, NotFound
from fluxtracker.upstream.records import Tip
from revenue.models import Cursor, Payment
from revenue.sources import ChainSource
from revenue.windows import Reading

log = structlog.get_logger(__name__)


class Chain:
    """One source's chain during one pass; each block hash is asked for once."""

    def __init__(self, source: ChainSource, tip: Tip) -> None:
        self.source = source
        self.tip = tip
        self._hashes: dict[int, str | None] = {tip.height: tip.hash}

    def hash_at(self, height: int) -> str | None:
        """The block's hash, None past the source's tip."""
        if height not in self._hashes:
            try:
                self._hashes[height] = self.source.block_hash(height)
            except NotFound:
                self._hashes[height] = None
        return self._hashes[height]

    def has(self, height: int, block_hash: str) -> bool:
        return self.hash_at(height) == block_hash

    def still_holds(self, cursor: Cursor) -> bool:
        """Whether everything up to the cursor is as it was when it was read.

        A source whose tip lies a few blocks below the cursor's (its neighbour was read before) is asked
        for nothing: it cannot know.
        """
        return cursor.tip_height > self.tip.height or self.has(cursor.tip_height, cursor.tip_hash)

    def last_common_height(self, cursor: Cursor) -> int:
        """The block of the highest payment that is still in the chain, else the block before the first."""
        rows = (
            Payment.objects.filter(address=cursor.address, vout__isnull=False)
            .exclude(block_hash="")
            .order_by("-height")
        )
        blocks = rows.values_list("height", "block_hash").distinct()
        step = 0
        while True:
            found = list(blocks[step : step + 1])
            if not found:
                return cursor.first_height - 1
            if self.has(*found[0]):
                log.info("chain_reorganised", address=cursor.address, common_height=found[0][0])
                return int(found[0][0])
            step = step * 2 + 1


def confirm_vanished(chain: Chain, reading: Reading, vanished: Collection[Payment]) -> None:
    """Raise BadAnswer for a row whose block is still in the chain, which the listing lacks: it is not whole.

    An output that is listed and is no revenue, because of who sent it, lacks nothing.
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
