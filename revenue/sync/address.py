"""Read one address in one pass: where to start, how wide the windows are, and what to do with each."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from fluxtracker.env import TrackedAddress
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from fluxtracker.upstream.records import Listing
from ops.jobs.runs import Run
from revenue import ledger
from revenue.models import Cursor, DailyTotal, LedgerState
from revenue.sync import writer
from revenue.sync.completeness import OVERLAP, Judge, Proof, listed_between, listed_ids, short_id
from revenue.sync.reorg import Chain, confirm_vanished, forget_if_gone
from revenue.sync.writer import Applied, Difference, Reader, Reading

log = structlog.get_logger(__name__)

FALLBACK_ROWS = 500  # transactions per sync through a source that needs a request for each
ROWS_A_WINDOW = 800  # rows a window should hold: one page of a source


@dataclass(slots=True)
class AddressPass:
    """Reads one address up to the pass's tip: `prepare` only reads, `read` writes."""

    tracked: TrackedAddress
    reader: Reader
    chain: Chain
    proof: Proof
    judge: Judge
    run: Run
    now: datetime
    count: Callable[[Applied], None]
    total_at_tip: int | None = None
    """Transactions counted by the source for the address up to the tip, over its whole history."""
    known_total: int | None = None
    """The count known from earlier; it can only grow."""
    seen: set[int] = field(default_factory=set)
    listed: int | None = None
    """Transactions listed from the first height on, including earlier syncs of the same read."""
    counted_to: int = 0
    unsettled: int = 0
    """Transactions listed above the settled blocks, up to the tip."""
    cursor: Cursor | None = None
    branch: list[Reading] | None = None
    """Readings from the fork to the tip, if the source left the chain that the ledger was read from."""
    listed_to: int = 0
    """The block up to which windows were listed: the tip, unless the last window was too full."""
    cut_at: int | None = None
    """The block at which a source with a request per transaction has been read enough for one sync."""

    @property
    def high(self) -> int:
        return self.chain.settled

    def prepare(self) -> None:
        """Check whether the chain is still the one that was read, and read ahead if not.

        Raise before any address is written to if the change is not proved as required.
        """
        self.cursor, state = self.proof.cursors.get(self.tracked.address), self.proof.state
        height, block_hash = state.tip_height, state.tip_hash
        if self.cursor:
            height, block_hash = self.cursor.tip_height, self.cursor.tip_hash
        if height is None or self.high < self.tracked.first_height:
            return
        knows = height <= self.chain.tip.height  # otherwise a neighbour was read before and is some blocks ahead
        if knows and self.chain.has(height, block_hash):
            return
        leaves = self.proof.leaves_ledger()
        if leaves:
            self.proof.require(self.proof.decisive)
        elif not knows and not self.proof.disowned:
            return
        if self.cursor and self.cursor.first_height <= self.tracked.first_height:
            self._read_ahead(self.cursor, shorter=leaves and not knows)

    def read(self, *, full: bool) -> None:
        """Read new blocks, or everything without a cursor, with `full`, or if the new blocks do not add up."""
        cursor = self.cursor
        if self.high < self.tracked.first_height:
            return
        if cursor is None:
            self._log_closed_days()
        if cursor is None or cursor.first_height > self.tracked.first_height:
            self._read_all(keep=None)
        elif self.branch is not None:
            forget_if_gone(self.chain, self.run)
            for reading in self.branch:
                self._write(reading, keep=None)
            self._stop_if_cut()
        elif full:
            self._read_all(keep=cursor)
        elif cursor.height <= self.high:
            self._read_new_blocks(cursor)

    def _log_closed_days(self) -> None:
        """Log that payments on closed days are left out for an address tracked only after a prune."""
        closed = LedgerState.load().closed_through
        if closed and not DailyTotal.objects.filter(address=self.tracked.address).exists():
            log.warning("address_without_closed_days", address=self.tracked.address, closed_through=closed.isoformat())

    def _at_least_first(self, height: int) -> int:
        return max(height, self.tracked.first_height)

    def _read_new_blocks(self, cursor: Cursor) -> None:
        """Read the overlap and the blocks since the cursor, checked against the growth of the address's count."""
        if cursor.listed_total is None and cursor.listed is not None:
            self._resume(cursor)
            return
        low = self._at_least_first(cursor.height - OVERLAP + 1)
        self.known_total = cursor.listed_total
        listing = self._listing(low, self.chain.tip.height)
        whole = listing.high == self.chain.tip.height
        if listing.total is None and not whole:  # the daemon reads part of a long history per sync
            self._read_windows(low, keep=cursor)
            return
        if listing.total is not None and (cursor.listed_total is None or not whole):
            # After a kill, a read by the daemon or a long pause, no count shows what is missing.
            self._read_all(keep=cursor)
            return
        if self.judge.is_short(listing, cursor):
            listing = self._listing(low, self.reader.source.tip().height)  # new blocks may have arrived
        if self.judge.is_short(listing, cursor):
            self.judge.second_opinion(listing)
            self._read_all(keep=cursor)
            log.warning("ledger_read_again", address=self.tracked.address, reason="more was counted than listed")
            return
        self._note_total(listing)
        self._store(listing, keep=cursor)

    def _resume(self, cursor: Cursor) -> None:
        """Continue a first read that was cut short by a kill or the clock; read all again if it does not add up."""
        self.listed, self.counted_to = cursor.listed, cursor.height
        self._read_windows(self._at_least_first(cursor.height - OVERLAP + 1), keep=cursor)
        read = (self.listed or 0) + self.unsettled
        if self.total_at_tip is not None and read < self.total_at_tip - self._earlier(read):
            self._read_all(keep=cursor)
            log.warning("ledger_read_again", address=self.tracked.address, reason="more was counted than listed")

    def _read_ahead(self, cursor: Cursor, *, shorter: bool) -> None:
        """Read what a reorganisation may have changed. The count proves nothing here, as payments may have vanished."""
        common = self.chain.last_common_height([cursor.address], cursor.first_height - 1, cursor.height)
        log.info("chain_reorganised", address=cursor.address, common_height=common)
        low = self._at_least_first(common - OVERLAP + 1)
        self.branch = []
        with closing(self._windows(low)) as listings:
            for listing in listings:
                reading = self.reader.window(listing, self.high)
                self.branch.append(replace(reading, ends_chain=shorter and reading.high >= self.high))
                self._difference(self.branch[-1], LedgerState.load())
        self.judge.second_opinion(self._empty_listing(low), listed=self.seen, must_answer=False)

    def _read_all(self, keep: Cursor | None) -> None:
        """Read every window from the first height, then prove that nothing is missing."""
        self.seen.clear()
        self.listed, self.counted_to = 0, 0
        self._read_windows(self.tracked.first_height, keep=keep)
        read = len(self.seen)
        if self.total_at_tip is not None and read < (expected := self.total_at_tip - self._earlier(read)):
            self._complete(expected)

    def _empty_listing(self, low: int) -> Listing:
        """Return an empty listing to replace everything listed from `low` on."""
        return Listing(self.tracked.address, low, self.listed_to, (), (), None)

    def _complete(self, counted: int) -> None:
        """Compare everything listed with the daemon's index; start again if that has more.

        No transaction at all, where the source itself has `counted` some, needs no second opinion.
        """
        whole = self._empty_listing(self.tracked.first_height)
        try:
            if not self.seen:
                raise self.judge.contradiction(whole, f"lists nothing where it counts {counted} transactions")
            self.judge.second_opinion(whole, listed=self.seen)
        except BadAnswer:
            Cursor.objects.filter(address=self.tracked.address).delete()  # the next pass starts over; rows stay
            raise

    def _earlier(self, read: int) -> int:
        """Return the number of transactions below the first height; asked if more are counted than listed."""
        first = self.tracked.first_height
        if first == 1 or read >= (self.total_at_tip or 0):
            return 0
        return len(listed_ids(self._listing(1, first - 1)))

    def _read_windows(self, low: int, keep: Cursor | None) -> None:
        """Read and store the windows from `low` to the tip."""
        with closing(self._windows(low)) as listings:
            for listing in listings:
                self._count(listing)
                self._store(listing, keep=keep)
        self._stop_if_cut()

    def _windows(self, low: int) -> Generator[Listing]:
        """Yield the windows from `low` to the tip, fetching the next while one is processed."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="window") as ahead:
            coming = self._fetch(ahead, low, self._first_width(low))
            while coming:
                listing = coming.result()
                self.listed_to = listing.high
                low = min(listing.high, self.high) + 1
                width = next_width(listing.high - listing.low + 1, len(listed_ids(listing)))
                self.cut_at = low - 1 if self._is_enough_for_now(low) else None
                coming = None if self.cut_at else self._fetch(ahead, low, width)
                self._note_total(listing)
                yield listing
                self.run.progress(f"{self.tracked.address}: block {low - 1:,} of {self.high:,}")

    def _stop_if_cut(self) -> None:
        if self.cut_at:
            detail = f"read {len(self.seen)} transactions up to block {self.cut_at}; the next sync continues from there"
            raise Unavailable(self.reader.source.host, f"address/{self.tracked.address}", detail)

    def _fetch(self, ahead: ThreadPoolExecutor, low: int, width: int) -> Future[Listing] | None:
        """Start fetching the window of `width` blocks from `low`; the last one ends at the tip."""
        if low > self.high:
            return None
        high = low + width - 1
        return ahead.submit(self._listing, low, self.chain.tip.height if high >= self.high else high)

    def _is_enough_for_now(self, low: int) -> bool:
        """Return whether to stop here: a source that needs a request per transaction is only a stopgap."""
        return self.reader.source.name == "daemon" and len(self.seen) >= FALLBACK_ROWS and low <= self.high

    def _listing(self, low: int, high: int) -> Listing:
        listing = self.reader.source.listing(self.tracked.address, low, high)
        self.judge.check_empty(listing, self.known_total)
        self.seen.update(map(short_id, listed_ids(listing)))
        return listing

    def _first_width(self, low: int) -> int:
        """Return a width of about one page, from the address's count over its whole history."""
        span = self.chain.tip.height - low + 1
        if span <= 10_000:
            return span
        total = self.reader.source.total(self.tracked.address)
        self.known_total = total or None  # that there is nothing at all is reported, not proved
        return span if total is None else max(span * ROWS_A_WINDOW // max(total, ROWS_A_WINDOW), 100)

    def _count(self, listing: Listing) -> None:
        if self.listed is not None:
            self.listed += listed_between(listing, self.counted_to, self.high)
            self.unsettled = listed_between(listing, self.high, self.chain.tip.height)

    def _note_total(self, listing: Listing) -> None:
        """Store the address's count at the pass's tip, excluding later blocks."""
        since = listed_between(listing, self.chain.tip.height)
        self.total_at_tip = None if listing.total is None else listing.total - since

    def _store(self, listing: Listing, keep: Cursor | None) -> None:
        """Commit the listing's settled part."""
        self._write(self.reader.window(listing, self.high), keep)

    def _write(self, reading: Reading, keep: Cursor | None) -> None:
        """Commit rows, totals, quarantine and cursor in one transaction."""
        before = LedgerState.load()
        difference = self._difference(reading, before)
        if difference.heights():
            self.chain.require_still()
        with ledger.writing() as state:
            self.run.guard()
            if state.closed_through != before.closed_through:  # days were pruned in between
                difference = writer.compare(reading, state.closed_through)
            self.count(writer.apply(reading, difference, self.now, self._cursor(reading.high, keep)))

    def _difference(self, reading: Reading, state: LedgerState) -> Difference:
        """Return the changes to the ledger. Raise if the source may not be trusted with them."""
        difference = writer.compare(reading, state.closed_through)
        confirm_vanished(self.chain, reading, difference.vanished)
        self.proof.check(difference, anchored=self.branch is None)
        return difference

    def _cursor(self, high: int, keep: Cursor | None) -> Cursor:
        tip = self.chain.tip
        height = max(high, min(keep.height, self.high)) if keep else high  # blocks above belong to a longer chain
        return Cursor(
            address=self.tracked.address,
            first_height=self.tracked.first_height,
            height=height,
            tip_height=tip.height,
            tip_hash=tip.hash,
            listed_total=self.total_at_tip if high >= self.high else (keep.listed_total if keep else None),
            listed=self.listed if keep is None or height == high else keep.listed,
        )


def next_width(width: int, rows: int) -> int:
    """Return the next window's width, from the rows in the last one of `width` blocks."""
    if rows == 0:
        return width * 4
    return min(max(width * ROWS_A_WINDOW // rows, 1), width * 4)
