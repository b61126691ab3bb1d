"""Sync the ledger with the chain: incremental, complete, and correct after a reorganisation.

A pass reads one source. Per address it checks that the chain is still the one that was read (`reorg`), reads windows
of blocks from there, always rereading the last 25 (`address`), checks that they are complete and that settled blocks
change only with proof by a second source (`completeness`), and commits each window's rows, totals and cursor
together (`writer`). A kill loses at most the current window.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DataError
from django.utils import timezone

from fluxtracker.api.report_serializers import UNDESCRIBED
from fluxtracker.batches import garbage_kept
from fluxtracker.periods import is_ahead
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable, UpstreamError
from fluxtracker.upstream.records import ChainSource, TxidIndex
from ops.jobs.runs import Run, one_line
from revenue import ledger
from revenue.models import TIP_STANDS, LedgerState
from revenue.status import last_sync_block
from revenue.sync import quarantine, reorg
from revenue.sync.address import AddressPass
from revenue.sync.completeness import Judge, Proof, Unproved, every_source_failed
from revenue.sync.reorg import Chain, ChainMoved
from revenue.sync.writer import Applied, Reader

log = structlog.get_logger(__name__)

PASSES = 3  # a chain reorganised while it is read is read again
NEIGHBOUR_LAG = 20  # blocks by which another source may be behind the last one and still be trusted
LEAP = 120  # blocks, an hour: a tip this far above the last one is verified by its block
INDEX_LAG = 30  # blocks; a source whose index lags its own node by more lacks the last quarter of an hour


@dataclass(slots=True)
class SyncReport:
    """Result of a sync. `fetched` counts transactions read, the others ledger rows."""

    fetched: int = 0
    added: int = 0
    removed: int = 0
    changed: int = field(default=0, metadata=UNDESCRIBED)
    last_sync_block: int | None = None
    failed_sources: list[str] = field(default_factory=list, metadata=UNDESCRIBED)
    """Problems of the sources asked before the one with valid answers."""
    failed_codes: list[str] = field(default_factory=list, metadata=UNDESCRIBED)

    def count(self, applied: Applied) -> None:
        self.added += applied.added
        self.removed += applied.removed
        self.changed += applied.changed


@garbage_kept()
def sync_revenue(*, sources: Sequence[ChainSource], now: datetime, run: Run, full: bool = False) -> SyncReport:
    """Read new blocks from the first source with valid answers. UpstreamError if none has.

    If all sources that answer contradict the ledger without proof, note from which block on.
    """
    report = SyncReport()
    errors: list[UpstreamError] = []
    for source in sources:
        try:
            SourceSync(source, sources, now, run, report).read(full=full)
        except UpstreamError as error:
            errors.append(error)
            continue
        except DataError as error:  # last resort: numbers too large for a column, such as a day's sum of false amounts
            errors.append(BadAnswer(source.host, "chain", f"tells what cannot be stored ({one_line(error)})"))
            continue
        for failed in errors:
            log.warning("source_failed", source=failed.source, error=str(failed), used_instead=source.host)
            report.failed_sources.append(str(failed)[:300])
            report.failed_codes.append(failed.code)
        report.last_sync_block = last_sync_block()
        return report
    unproved = [error.since for error in errors if isinstance(error, Unproved)]
    if unproved:
        _note_unproved(min(unproved), now, run)
    raise every_source_failed(errors)


@dataclass(slots=True)
class SourceSync:
    """A sync through one source."""

    source: ChainSource
    sources: Sequence[ChainSource]
    now: datetime
    run: Run
    report: SyncReport

    def read(self, *, full: bool) -> None:
        """Read until the chain stays unchanged from the tip to the last window."""
        for _ in range(PASSES):
            try:
                self._read_once(full=full)
                return
            except ChainMoved as moved:
                log.info("chain_moved_while_read", source=moved.source, error=str(moved))
        raise Unavailable(self.source.host, "chain", f"was reorganised {PASSES} times while it was read")

    def _read_once(self, *, full: bool) -> None:
        proof = Proof.begin(Chain(self.source, self.source.tip()), self.sources)
        self._refuse_leap(proof)
        self._refuse_backwards(proof)
        self._refuse_stuck(proof)
        if not full and _is_current(proof):
            quarantine.retry(Reader.of(self.source), proof, self.now, self.run, self.report.count)
            self._finish(proof, proof.state, [proof.state.settled_at] if proof.state.settled_at else ())
        else:
            pending = self._read_addresses(proof, full=full)
            self._finish(proof, LedgerState.load(), pending)

    def _read_addresses(self, proof: Proof, *, full: bool) -> Sequence[datetime]:
        """Read every address. Return the times of payments that are not settled yet."""
        reader = Reader.of(self.source)
        others = (other for other in self.sources if other is not self.source and isinstance(other, TxidIndex))
        judge = Judge(self.source, next(others, None), proof)
        works = [
            AddressPass(tracked, reader, proof.chain, proof, judge, self.run, self.now, self.report.count)
            for tracked in settings.REVENUE_ADDRESSES
        ]
        try:
            for work in works:
                work.prepare()
                if work.cut_at:  # its `read` ends the pass
                    break
            for work in works:
                work.read(full=full)
        finally:
            self.report.fetched += reader.fetched
        quarantine.retry(reader, proof, self.now, self.run, self.report.count)
        return reader.pending

    def _refuse_leap(self, proof: Proof) -> None:
        """Raise for a tip far above the last one if the source does not have that block."""
        is_far = proof.chain.tip.height - (proof.state.tip_height or 0) > LEAP
        if is_far and not proof.chain.still_has_tip():
            raise ChainMoved(proof.chain)

    def _refuse_backwards(self, proof: Proof) -> None:
        """Raise for a tip below the last one: some nodes lag (docs/upstream.md#daemon). Other sources may lag a little.

        A shorter branch, or a lower tip after a wrong one was trusted, is accepted if a second source proves it.
        """
        tip, state = proof.chain.tip, proof.state
        if state.tip_height is None or tip.height >= state.tip_height:
            return
        neighbour = self.source.name == "daemon" or self.source.host != state.tip_source
        if neighbour and state.tip_height - tip.height <= NEIGHBOUR_LAG:
            return
        proof.disowned = self._is_disowned(proof)
        if proof.disowned or proof.leaves_ledger():
            proof.require(proof.decisive)
            return
        words = f"the height went backwards from {state.tip_height} to {tip.height}"
        raise BadAnswer(
            self.source.host, "tip", f"{words} (for another chain, run clear_revenue_data first)", code="behind"
        )

    def _is_disowned(self, proof: Proof) -> bool:
        """Return whether the last tip has long been unchanged and no source that answers is near it."""
        state = proof.state
        if state.tip_height is None or state.tip_changed_at is None or self.now - state.tip_changed_at <= TIP_STANDS:
            return False
        heights = []
        for witness in proof.witnesses:
            with suppress(UpstreamError):
                heights.append(witness.tip().height)
        return 0 < max(heights, default=0) < state.tip_height - NEIGHBOUR_LAG

    def _refuse_stuck(self, proof: Proof) -> None:
        """Raise Unavailable for a stuck tip if another source is ahead."""
        tip, state = proof.chain.tip, proof.state
        stood = self.now - state.tip_changed_at if state.tip_changed_at else timedelta()
        stands = (tip.height, tip.hash) == (state.tip_height, state.tip_hash) and stood > TIP_STANDS
        if not stands and tip.behind <= INDEX_LAG:
            return
        place = next(n for n, one in enumerate(self.sources) if one is self.source)
        for other in self.sources[place + 1 :]:
            try:
                height = other.tip().height
            except UpstreamError:
                continue
            if height > tip.height + NEIGHBOUR_LAG:
                detail = f"stands at block {tip.height}, {other.host} is at {height}"
                raise Unavailable(self.source.host, "tip", detail, code="behind")

    def _finish(self, proof: Proof, state: LedgerState, pending: Sequence[datetime]) -> None:
        """Store the tip, when it was first seen and, unless the source lags, that the ledger is complete up to it."""
        now, tip, read = timezone.now(), proof.chain.tip, proof.state.tip_height
        is_news = read is None or tip.height >= read or proof.proved > 0
        known_blocks = proof.known_after() if is_news else None
        settled = reorg.newer_block(self.source, state, proof.chain.settled, pending, now)
        with ledger.writing() as current:
            self.run.guard()
            current.unproved_height = current.unproved_at = None
            if is_news:
                current.known_blocks = known_blocks
                is_moved = (current.tip_height, current.tip_hash) != (tip.height, tip.hash)
                if is_moved or is_ahead(current.tip_changed_at, now):
                    current.tip_changed_at = now
                current.tip_height, current.tip_hash, current.tip_source = tip.height, tip.hash, tip.source
                current.tip_ahead = tip.ahead
            if tip.behind <= INDEX_LAG:
                current.completed_at = now
            if settled:
                current.settled_height, current.settled_hash = settled.height, settled.hash
                current.settled_at = settled.time
            current.save()


def _is_current(proof: Proof) -> bool:
    """Return whether every tracked address was read up to this exact tip."""
    tip, state, cursors = proof.chain.tip, proof.state, proof.cursors
    if (state.tip_height, state.tip_hash) != (tip.height, tip.hash) or state.completed_at is None:
        return False
    if all(cursor.listed_total == 0 for cursor in cursors.values()):
        return False  # no payments at all: look again, as an overloaded source reports the same
    high = proof.chain.settled
    return all(
        tracked.address in cursors
        and cursors[tracked.address].first_height <= tracked.first_height
        and (cursors[tracked.address].height >= high or tracked.first_height > high)
        and cursors[tracked.address].tip_hash == tip.hash
        for tracked in settings.REVENUE_ADDRESSES
    )


def _note_unproved(since: int, now: datetime, run: Run) -> None:
    if LedgerState.load().unproved_height == since:
        return
    with ledger.writing() as state:
        run.guard()
        state.unproved_height, state.unproved_at = since, state.unproved_at or now
        state.save(update_fields=["unproved_height", "unproved_at"])
