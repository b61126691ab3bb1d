"""Retry transactions that could not be read: never counted before, never forgotten, never blocking."""

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
GIVE_UP_AFTER = 5  # consecutive times that the source reports no such transaction
GIVE_UP_BLOCKLESS = timedelta(days=1)  # and for this long, if its block is not known


def retry(reader: Reader, proof: Proof, now: datetime, run: Run, count: Callable[[Applied], None]) -> None:
    """Retry transactions whose pause is over, except those quarantined by this sync."""
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
    """Return a reading of the transaction's block. UpstreamError until it has enough confirmations."""
    confirmed = tip.counted - tx.height + 1
    if tx.height <= 0 or confirmed < settings.MIN_CONFIRMATIONS:
        raise UpstreamError(reader.source.host, f"tx/{row.txid}", "is not confirmed yet")
    outputs = tuple(reader.outputs(tx, row.address))
    return Reading(row.address, 1, 0, reader.source.name, outputs, frozenset([tx.txid]))


def _absent(reader: Reader, proof: Proof, row: Quarantined, error: NotFound, now: datetime) -> None:
    """Note an absence, perhaps after a reorganisation. Accepted after repeated answers, if its block lacks it too."""
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
    """Return whether the address's list of its block lacks it too. BadAnswer if the source contradicts itself.

    For a settled block this counts only if a second source has the same block.
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
