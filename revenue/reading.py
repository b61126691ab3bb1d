"""From a source's listing to what it says of revenue: classify, learn senders, put the rest aside."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from fluxtracker.upstream.errors import NotFound, UpstreamError
from fluxtracker.upstream.records import ChainTx, Listing, Unreadable
from revenue.classify import Output, SenderUnknown, outputs_from, revenue_outputs
from revenue.models import Quarantined
from revenue.sources import ChainSource
from revenue.windows import Reading, Unread

LOOKUPS_OF_DAEMON = 500  # it costs a request a transaction anyway, and often does not tell senders
LOOKUPS_A_SYNC = 50  # single transactions asked for in one sync, so that a strange listing cannot flood a source


@dataclass(slots=True)
class Reader:
    """Reads one source's transactions for the ledger. Counts what it fetched and what it may still look up."""

    source: ChainSource
    tracked: Collection[str]
    fetched: int = 0
    lookups_left: int = LOOKUPS_A_SYNC
    pending: list[datetime] = field(default_factory=list)
    """Times of the blocks of what was listed and has not enough confirmations yet."""
    _at_hand: tuple[ChainTx, ...] = ()

    def __post_init__(self) -> None:
        if self.source.name == "daemon":
            self.lookups_left = LOOKUPS_OF_DAEMON

    def window(self, listing: Listing, high: int) -> Reading:
        """What the listing says up to block `high`; what lies above has not enough confirmations yet."""
        settled = [tx for tx in listing.transactions if 0 < tx.height <= high]
        self.pending += [tx.block_time for tx in listing.transactions if tx.height > high]
        self.fetched += len(settled) + len(listing.unreadable)
        self._at_hand = listing.transactions
        outputs: list[Output] = []
        unread: list[Unread] = []
        for tx in settled:
            outputs += self._outputs(tx, listing.address, unread)
        for row in listing.unreadable:
            if row.height is None or row.height <= high:
                outputs += self._again(row, listing, high, unread)
        told = {tx.txid for tx in settled}
        told |= {row.txid for row in listing.unreadable if row.height is None or row.height <= high}
        txids = frozenset(told - {one.txid for one in unread})
        received = {(tx.txid, out.n) for tx in settled for out in tx.outputs if out.address == listing.address}
        return Reading(
            listing.address, listing.low, min(listing.high, high), self.source.name,
            tuple(outputs), txids, frozenset(received), tuple(unread),
        )  # fmt: skip

    def _outputs(self, tx: ChainTx, address: str, unread: list[Unread]) -> list[Output]:
        try:
            return self.outputs(tx, address)
        except (SenderUnknown, UpstreamError) as error:
            asked = self.lookups_left >= 0
            unread.append(Unread(tx.txid, tx.height, Quarantined.Reason.SENDER.value, str(error), asked, tx.block_time))
            return []

    def _again(self, row: Unreadable, listing: Listing, high: int, unread: list[Unread]) -> list[Output]:
        """A row of the listing was unreadable: ask for the transaction by itself, once."""
        detail = row.detail
        try:
            if self._may_look_up():
                tx = self.source.transaction(row.txid)
                if listing.low <= tx.height <= high:
                    return self.outputs(tx, listing.address)
                if tx.height > high:
                    return []
        except (SenderUnknown, UpstreamError) as error:
            detail = str(error)
        unread.append(Unread(row.txid, row.height, Quarantined.Reason.UNREADABLE.value, detail, paid_at=row.time))
        return []

    def outputs(self, tx: ChainTx, address: str) -> list[Output]:
        """The revenue outputs; a sender that is not told is learned from the previous output."""
        try:
            return revenue_outputs(tx, address, self.tracked)
        except SenderUnknown as unknown:
            previous = self._previous(unknown)
            spent = [output for output in previous.outputs if output.n == unknown.spends.previous_vout]
            if not spent:
                raise NotFound(
                    self.source.host, f"tx/{previous.txid}", f"has no output {unknown.spends.previous_vout}"
                ) from None
            return outputs_from(tx, address, spent[0].address, self.tracked)

    def _previous(self, unknown: SenderUnknown) -> ChainTx:
        """The transaction that is spent. Payers often spend the change of their last payment, which is at hand."""
        txid = unknown.spends.previous_txid
        found = next((tx for tx in self._at_hand if tx.txid == txid), None)
        if found:
            return found
        if not txid or not self._may_look_up():
            raise unknown
        return self.source.transaction(txid)

    def _may_look_up(self) -> bool:
        self.lookups_left -= 1
        return self.lookups_left >= 0
