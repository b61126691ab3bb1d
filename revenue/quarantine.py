"""Trying again what could not be read: uncounted until it can be, never forgotten, never in the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models import F

from fluxtracker.upstream.errors import NotFound, UpstreamError
from fluxtracker.upstream.records import Tip
from ops.runs import Run
from revenue import ledger, windows
from revenue.classify import SenderUnknown
from revenue.models import Quarantined
from revenue.reading import Reader
from revenue.windows import Applied, Reading

log = structlog.get_logger(__name__)

TRIES_A_SYNC = 40
GIVE_UP_AFTER = 5  # times that the chain itself says it knows no such transaction


def retry(reader: Reader, tip: Tip, now: datetime, run: Run, count: Callable[[Applied], None]) -> None:
    """Ask again for the transactions whose pause is over; not for those that this very sync put aside."""
    for row in Quarantined.objects.due(now).filter(first_seen_at__lt=now)[:TRIES_A_SYNC]:
        try:
            reading = _read(reader, row, tip)
        except NotFound as error:
            _not_in_chain(row, error, now)
        except (SenderUnknown, UpstreamError) as error:
            _wait(row, str(error), now)
        else:
            with ledger.writing() as state:
                run.guard()
                difference = windows.compare(reading, state.closed_through)
                count(windows.apply(reading, difference, now))
            log.info("quarantine_resolved", txid=row.txid, outputs=len(reading.outputs))


def _read(reader: Reader, row: Quarantined, tip: Tip) -> Reading:
    """The transaction as a reading of its own block. UpstreamError while it is not confirmed enough."""
    tx = reader.source.transaction(row.txid)
    confirmed = tip.height - tx.height + 1
    if tx.height <= 0 or confirmed < settings.MIN_CONFIRMATIONS:
        raise UpstreamError(reader.source.host, f"tx/{row.txid}", "is not confirmed yet")
    outputs = tuple(reader.outputs(tx, row.address))
    return Reading(row.address, 1, 0, reader.source.name, outputs, frozenset([tx.txid]))


def _not_in_chain(row: Quarantined, error: NotFound, now: datetime) -> None:
    """A reorganisation may have removed it; believed after several sources' or days' worth of the same answer."""
    if row.attempts >= GIVE_UP_AFTER:
        log.warning("quarantine_gone", txid=row.txid, attempts=row.attempts, error=str(error))
        row.delete()
    else:
        _wait(row, str(error), now)


def _wait(row: Quarantined, detail: str, now: datetime) -> None:
    Quarantined.objects.filter(pk=row.pk).update(
        attempts=F("attempts") + 1, detail=detail[:300], next_attempt_at=now + windows.pause(row.attempts)
    )
