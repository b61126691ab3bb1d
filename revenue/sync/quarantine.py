"""Trying again what could not be read: uncounted until it can be, never forgotten, never in the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import F

from fluxtracker.batches import backoff
from fluxtracker.upstream.http.errors import BadAnswer, NotFound, UpstreamError
from fluxtracker.upstream.records import ChainTx, Tip
from ops.jobs.runs import Run
from revenue import ledger
from revenue.models import LedgerState, Quarantined
from revenue.sync import writer
from revenue.sync.classify import SenderUnknown
from revenue.sync.completeness import Proof, listed_ids
from revenue.sync.writer import FIRST_PAUSE, Applied, Reader, Reading

log = structlog.get_logger(__name__)

TRIES_A_SYNC = 40
LONGEST_PAUSE = timedelta(hours=12)
GIVE_UP_AFTER = 5  # times in a row that the source says it knows no such transaction
GIVE_UP_BLOCKLESS = timedelta(days=1)  # and for so long, where no block is known that could be looked into


def retry(reader: Reader, proof: Proof, now: datetime, run: Run, count: Callable[[Applied], None]) -> None:
    """Ask again for the transactions whose pause is over; not for those that this very sync put aside."""
    for row in Quarantined.objects.due(now).filter(first_seen_at__lt=now)[:TRIES_A_SYNC]:
        try:
            tx = reader.source.transaction(row.txid)
        except NotFound as error:
            _absent(reader, proof, row, error, now)
            continue
        except UpstreamError as error:
            _wait(row, str(error), now)
            continue
        try:
            reading = _read(reader, row, tx, proof.chain.tip)
            difference = writer.compare(reading, LedgerState.load().closed_through)
            proof.check(difference, anchored=True)
        except (SenderUnknown, UpstreamError) as error:
            _wait(row, str(error), now)
            continue
        proof.chain.require_still()
        with ledger.writing() as state:
            run.guard()
            difference = writer.compare(reading, state.closed_through)
            count(writer.apply(reading, difference, now))
        log.info("quarantine_resolved", txid=row.txid, outputs=len(reading.outputs))


def _read(reader: Reader, row: Quarantined, tx: ChainTx, tip: Tip) -> Reading:
    """Return the transaction as a reading of its own block. UpstreamError while it is not confirmed enough."""
    confirmed = tip.height - tx.height + 1
    if tx.height <= 0 or confirmed < settings.MIN_CONFIRMATIONS:
        raise UpstreamError(reader.source.host, f"tx/{row.txid}", "is not confirmed yet")
    outputs = tuple(reader.outputs(tx, row.address))
    return Reading(row.address, 1, 0, reader.source.name, outputs, frozenset([tx.txid]))


def _absent(reader: Reader, proof: Proof, row: Quarantined, error: NotFound, now: datetime) -> None:
    """A reorganisation may have removed it. Believed after the same answer some times, if its block lacks it, too."""
    absences = row.absences + 1
    if absences >= GIVE_UP_AFTER:
        try:
            gone = _has_left(reader, proof, row, now)
        except UpstreamError as failed:
            _wait(row, str(failed), now, absences)
            return
        if gone:
            log.warning("quarantine_gone", txid=row.txid, absences=absences, error=str(error))
            row.delete()
            return
    _wait(row, str(error), now, absences)


def _has_left(reader: Reader, proof: Proof, row: Quarantined, now: datetime) -> bool:
    """Return whether the address's list of its block lacks it, too. A source that contradicts itself: BadAnswer.

    Of a settled block that is believed only where a second source has the same one.
    """
    if row.height is None:
        return now - row.first_seen_at >= GIVE_UP_BLOCKLESS
    listing = reader.source.listing(row.address, row.height, row.height)
    if row.txid in listed_ids(listing):
        raise BadAnswer(reader.source.host, f"tx/{row.txid}", f"is not found, but listed in block {row.height}")
    if row.height <= proof.settled:
        proof.require(row.height)
    return True


def _wait(row: Quarantined, detail: str, now: datetime, absences: int = 0) -> None:
    Quarantined.objects.filter(pk=row.pk).update(
        attempts=F("attempts") + 1,
        absences=absences,
        detail=detail[:300],
        next_attempt_at=now + backoff(FIRST_PAUSE, row.attempts + 1, LONGEST_PAUSE),
    )
