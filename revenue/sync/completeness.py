"""Check that a listing is complete, and prove changes to settled blocks by a second source (docs/contract.md#proof).

An empty answer looks like success, so no single source is trusted. Blockbook's count of an address must grow by the
length of a complete listing; otherwise the daemon's index decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import structlog
from django.conf import settings

from fluxtracker.upstream.http.errors import BadAnswer, NotFound, Unavailable, UpstreamError
from fluxtracker.upstream.parsing import MAX_HEIGHT
from fluxtracker.upstream.records import ChainSource, Listing, TxidIndex
from revenue.models import Cursor, LedgerState
from revenue.sync.reorg import Chain, settled_height
from revenue.sync.writer import Difference

log = structlog.get_logger(__name__)

OVERLAP = 25  # blocks that every sync reads again (docs/upstream.md#reorganisations)
Block = tuple[int, str]  # height and hash


class Unproved(UpstreamError):
    """A source contradicts the ledger in settled blocks, and no other one confirms or denies it."""

    def __init__(self, source: str, since: int) -> None:
        detail = f"contradicts the ledger from block {since:,} on, and no second source confirms or denies it"
        super().__init__(source, f"block-index/{since}", detail, code="astray")
        self.since = since


def every_source_failed(errors: Sequence[UpstreamError]) -> UpstreamError:
    """Return the error to raise: the only source's own, or one that names all sources."""
    if len(errors) == 1:
        return errors[0]
    return Unavailable("every source", "of the chain", "; ".join(map(str, errors)) or "none is configured")


@dataclass(slots=True)
class Proof:
    """The other sources' evidence about one source's chain, in one pass."""

    chain: Chain
    witnesses: Sequence[ChainSource]
    state: LedgerState
    cursors: Mapping[str, Cursor]
    """Both as of the start of the pass."""
    proved: int = 0
    """The highest block confirmed by a second source, which proves every block below."""
    disowned: bool = False
    """No source has the last tip: it was wrong, as are cursors read up to it."""

    @classmethod
    def begin(cls, chain: Chain, sources: Sequence[ChainSource]) -> Self:
        witnesses = [source for source in sources if source is not chain.source]
        return cls(chain, witnesses, LedgerState.load(), Cursor.by_address())

    @property
    def settled(self) -> int:
        """Return the ledger's highest settled block."""
        read = [cursor.height for cursor in self.cursors.values()]
        known = [] if self.state.tip_height is None else [settled_height(self.state.tip_height)]
        return max([*read, *known], default=0) - OVERLAP - 1

    @property
    def known(self) -> list[Block]:
        """Return the blocks stored by the ledger, including those without payments, oldest first."""
        return [(height, block_hash) for height, block_hash in self.state.known_blocks or ()]

    @property
    def decisive(self) -> int:
        """Return the height to prove: above a deep fork, and old enough for every witness."""
        return min(self.settled, settled_height(self.chain.tip.height))

    def leaves_ledger(self) -> bool:
        """Return whether the chain lacks the ledger's newest settled block."""
        known = [block for block in self.known if block[0] <= self.decisive]
        known += self.chain.known_blocks(_tracked()).filter(height__lte=self.decisive)[:1]
        return bool(known) and not self.chain.has(*max(known))

    def known_after(self) -> list[Block]:
        """Return the blocks to store after this pass: the tip, one settled, and none that the chain lacks."""
        tip, known = self.chain.tip, self.known
        if known and known[-1] == (tip.height, tip.hash):
            return known
        settled = settled_height(tip.height) - OVERLAP - 1
        try:
            while known and not self.chain.has(*known[-1]):
                known.pop()
            known.append((tip.height, tip.hash))
            while len(known) > 1 and known[1][0] <= settled:
                known.pop(0)
            if known[0][0] > settled > 0 and (block_hash := self.chain.hash_at(settled)):
                known.insert(0, (settled, block_hash))
        except UpstreamError as error:  # the sync is complete; the next one can store more
            log.info("no_block_hash", source=self.chain.source.host, error=str(error))
        return known

    def check(self, difference: Difference, *, anchored: bool) -> None:
        """Require proof if the difference reaches settled blocks.

        An `anchored` chain is the one the ledger was read from, so its additions and corrections are no other branch.
        """
        if min(difference.heights(), default=self.settled + 1) <= self.settled:
            self.refuse_mixture(difference)
        heights = difference.moved_heights() if anchored else difference.heights()
        if heights and min(heights) <= self.settled:
            self.require(self.decisive, min(heights))

    def refuse_mixture(self, difference: Difference) -> None:
        """Raise BadAnswer if a load balancer mixes lists and hashes of different nodes."""
        outputs = [*difference.added, *(out for _, out in difference.changed)]
        listed = [(out.height, out.block_hash) for out in outputs if out.block_hash and out.height <= self.decisive]
        if listed and not self.chain.has(*max(listed)):
            source, height = self.chain.source, max(listed)[0]
            raise BadAnswer(source.host, f"block-index/{height}", "is not the block that it lists payments of")

    def require(self, height: int, since: int | None = None) -> None:
        """Raise unless at least one source confirms this chain's block at the height, and more do than deny it.

        BadAnswer if others contradict it, Unproved if none can tell: from block `since` on, by default the lowest known
        one that the chain lacks.
        """
        if height <= self.proved:
            return
        source = self.chain.source
        ours = self.chain.hash_at(height)
        if ours is None:
            raise BadAnswer(source.host, f"block-index/{height}", "is not known, though its tip is higher")
        same, others = self._ask(height, ours)
        if same and len(same) + 1 > len(others):
            log.info("branch_proved", source=source.host, height=height, by=same)
            self.proved = height
            return
        if others:
            detail = f"is on another branch than {', '.join(others)}"
            raise BadAnswer(source.host, f"block-index/{height}", detail, code="astray")
        raise Unproved(source.host, since or self._first_lacked())

    def _ask(self, height: int, ours: str) -> tuple[list[str], list[str]]:
        """Return the hosts of witnesses that confirm this block, and of those with another one."""
        same: list[str] = []
        others: list[str] = []
        for witness in self.witnesses:
            try:
                (same if self._confirms(witness, height, ours) else others).append(witness.host)
            except UpstreamError as error:
                log.info("no_witness", source=witness.host, error=str(error))
            if same and len(same) + 1 > len(self.witnesses) - len(same):
                break
        return same, others

    def _confirms(self, witness: ChainSource, height: int, ours: str) -> bool:
        """Return whether the witness has the same block or, if it is behind, the same lower block above the fork."""
        try:
            return witness.block_hash(height) == ours
        except NotFound:
            lower = settled_height(witness.tip().height)
            if not self._first_lacked() <= lower < height:
                raise
            return witness.block_hash(lower) == self.chain.hash_at(lower)

    def _first_lacked(self) -> int:
        common = self.chain.last_common_height(_tracked(), 0)
        lacked = [*self.chain.known_blocks(_tracked()).filter(height__gt=common).reverse()[:1]]
        lacked += [block for block in self.known if not self.chain.has(*block)]
        return min(lacked, default=(self.decisive, ""))[0]

    def denies(self, other: TxidIndex) -> bool:
        """Return whether the other source follows another branch, so that its lists prove nothing here."""
        try:
            height = min(settled_height(self.chain.tip.height) - OVERLAP - 1, other.tip().height)
            return other.block_hash(height) != self.chain.hash_at(height)
        except UpstreamError:
            return False


def _tracked() -> list[str]:
    return [tracked.address for tracked in settings.REVENUE_ADDRESSES]


def listed_ids(listing: Listing) -> set[str]:
    return {tx.txid for tx in listing.transactions} | {row.txid for row in listing.unreadable}


def short_id(txid: str) -> int:
    """Return the first 8 bytes of a txid: small, and enough to distinguish a million."""
    return int(txid[:16], 16)


def listed_between(listing: Listing, above: int, high: int = MAX_HEIGHT) -> int:
    """Count transactions above block `above` up to `high`, including those without a height."""
    return sum(above < tx.height <= high for tx in listing.transactions) + sum(
        row.height is None or above < row.height <= high for row in listing.unreadable
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides whether listings of `source` are complete, with the daemon as second opinion."""

    source: ChainSource
    daemon: TxidIndex | None
    proof: Proof

    def is_short(self, listing: Listing, cursor: Cursor) -> bool:
        """Return whether the address's count grew by more than was listed since the cursor's tip."""
        if listing.total is None or cursor.listed_total is None:
            return False
        return listing.total - cursor.listed_total > listed_between(listing, cursor.tip_height)

    def check_empty(self, listing: Listing, known_total: int | None) -> None:
        """Raise BadAnswer for an empty listing that cannot be true."""
        if listing.transactions or listing.unreadable or listing.total is None:
            return
        if known_total is not None and listing.total < known_total:
            raise self.contradiction(listing, f"counts {listing.total} transactions where it counted {known_total}")
        if known_total is None and listing.total == 0:
            self.second_opinion(listing, must_answer=False)

    def second_opinion(
        self, listing: Listing, *, listed: Collection[int] | None = None, must_answer: bool = True
    ) -> None:
        """Raise BadAnswer if the daemon lists transactions of these blocks that `listed` lacks.

        Its list of another branch does not count.
        """
        ours = set(map(short_id, listed_ids(listing))) if listed is None else listed
        try:
            theirs = self._daemons_ids(listing)
            lacking = [txid for txid in theirs if short_id(txid) not in ours]
            if lacking and self.daemon and self.proof.denies(self.daemon):
                raise Unavailable("daemon", f"address/{listing.address}", "it follows another branch")
        except UpstreamError as error:
            if must_answer:
                raise self.contradiction(listing, f"is not whole, and what it lacks is unknown ({error})") from error
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
        """Return the error to raise for a listing that cannot be complete."""
        where = f"address/{listing.address}"
        return BadAnswer(self.source.host, where, f"blocks {listing.low} to {listing.high}: {detail}")
