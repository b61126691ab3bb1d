"""Check that a listing holds everything.

An empty answer looks like success (docs/upstream.md#common-traps), so no source is believed alone.

Blockbook counts an address's transactions over the whole history with every listing. That count grows by
just what a complete listing brings; where it does not, or where nothing at all is listed, the daemon's own
index gives a second opinion.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from fluxtracker.upstream.errors import BadAnswer, Unavailable, UpstreamError
from fluxtracker.upstream.records import Listing
from revenue.models import Cursor
from revenue.proof import Proof
from revenue.sources import ChainSource, TxidIndex

log = structlog.get_logger(__name__)


def listed_ids(listing: Listing) -> set[str]:
    return {tx.txid for tx in listing.transactions} | {row.txid for row in listing.unreadable}


def short_id(txid: str) -> int:
    """The first 8 bytes of a txid: enough to tell a million apart, and small."""
    return int(txid[:16], 16)


def listed_above(listing: Listing, height: int) -> int:
    """How many transactions of the listing lie above the block (those without a height count)."""
    return sum(tx.height > height for tx in listing.transactions) + sum(
        row.height is None or row.height > height for row in listing.unreadable
    )


def listed_between(listing: Listing, above: int, high: int) -> int:
    """How many transactions lie above block `above` and not above `high` (those without a height count)."""
    return sum(above < tx.height <= high for tx in listing.transactions) + sum(
        row.height is None or above < row.height <= high for row in listing.unreadable
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides whether listings of `source` are whole, with the daemon as second opinion."""

    source: ChainSource
    daemon: TxidIndex | None
    proof: Proof

    def is_short(self, listing: Listing, cursor: Cursor) -> bool:
        """Whether the address's count grew by more than the listing shows since the cursor's tip."""
        if listing.total is None or cursor.listed_total is None:
            return False
        return listing.total - cursor.listed_total > listed_above(listing, cursor.tip_height)

    def check_empty(self, listing: Listing, known_total: int | None) -> None:
        """BadAnswer for an empty listing that cannot be true."""
        if listing.transactions or listing.unreadable or listing.total is None:
            return
        if known_total is not None and listing.total < known_total:
            raise self.contradiction(listing, f"counts {listing.total} transactions where it counted {known_total}")
        if known_total is None and listing.total == 0:
            self.second_opinion(listing, must_answer=False)

    def second_opinion(
        self, listing: Listing, *, listed: Collection[int] | None = None, must_answer: bool = True
    ) -> None:
        """BadAnswer when the daemon lists transactions in the same blocks that the listing (`listed`) lacks.

        What it lists of another branch is no opinion.
        """
        ours = set(map(short_id, listed_ids(listing))) if listed is None else listed
        try:
            theirs = self._daemons_ids(listing)
            lacking = [txid for txid in theirs if short_id(txid) not in ours]
            if lacking and self.daemon and self.proof.denies(self.daemon):
                raise Unavailable("daemon", f"address/{listing.address}", "it follows another branch")
        except UpstreamError as error:
            if must_answer:
                raise self.contradiction(
                    listing, f"is not whole, and nobody can say what it lacks ({error})"
                ) from error
            log.info("no_second_opinion", address=listing.address, error=str(error))
            return
        if lacking:
            raise self.contradiction(
                listing, f"lacks {len(lacking)} of {len(theirs)} transactions that the daemon lists"
            )

    def _daemons_ids(self, listing: Listing) -> set[str]:
        if self.daemon is None:
            return set()
        high = min(listing.high, self.daemon.tip().height)
        return set(self.daemon.txids(listing.address, listing.low, high)) if listing.low <= high else set()

    def contradiction(self, listing: Listing, detail: str) -> BadAnswer:
        """The error to raise for a listing that cannot be whole."""
        where = f"address/{listing.address}"
        return BadAnswer(self.source.host, where, f"blocks {listing.low} to {listing.high}: {detail}")
