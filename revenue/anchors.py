"""Is the chain still the one that was read? Where not, from which block on must it be read again?

A cursor keeps the tip it was read at. A chain that still has that block has every block below it unchanged.
Where it has not, the stored payments' own block hashes tell how far down the two chains differ: only rows
(and blocks between rows) above the highest row whose block is still there can be wrong.
"""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.db.models import QuerySet

from fluxtracker.upstream.errors import BadAnswer, NotFound
from fluxtracker.upstream.records import Tip
from revenue.models import Payment
from revenue.sources import ChainSource
from revenue.windows import Reading


def settled_height(tip: int) -> int:
    """Return the highest block with enough confirmations: tip - height + 1 reaches MIN_CONFIRMATIONS."""
    height: int = tip - settings.MIN_CONFIRMATIONS + 1
    return height


class Chain:
    """One source's chain during one pass; each block hash is asked for once."""

    def __init__(self, source: ChainSource, tip: Tip) -> None:
        self.source = source
        self.tip = tip
        self._hashes: dict[int, str | None] = {tip.height: tip.hash}

    def hash_at(self, height: int) -> str | None:
        """The block's hash, None past the source's tip."""
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
        """Return height and hash of the blocks of the ledger's payments to the addresses, the highest first."""
        rows = Payment.objects.filter(address__in=addresses, vout__isnull=False).exclude(block_hash="")
        return rows.order_by("-height").values_list("height", "block_hash").distinct()

    def last_common_height(self, addresses: Collection[str], floor: int) -> int:
        """Return the block of the highest payment to the addresses that is still in the chain, else `floor`."""
        blocks = self.known_blocks(addresses)

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
