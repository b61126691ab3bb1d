"""Read and report payments that are not in the ledger yet. They are never counted.

One small request per tracked address, from the block after the ledger's last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from fluxtracker.periods import is_fresh
from fluxtracker.timestamps import iso
from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.records import ChainTx
from ops.jobs.runs import Run
from revenue.models import AppType, Cursor, LedgerState, Message, Payment, PendingPayments
from revenue.sync.classify import Output, SenderUnknown, revenue_outputs
from revenue.sync.completeness import every_source_failed

log = structlog.get_logger(__name__)

LATE = timedelta(minutes=5)  # four missed readings: confirmations are wrong by then
OK, STALE, NEVER = "ok", "stale", "never"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PendingReport:
    """Number of pending payments. None: not asked during the ledger's first sync."""

    pending: int | None = None


def read_pending(*, sources: Sequence[object], now: datetime, run: Run) -> PendingReport:
    """Replace the pending payments with those of the first Blockbook that answers for every address.

    UpstreamError if none does; the last reading then stays, with its time. The daemon is not asked: it lists no
    mempool and costs a request per transaction.
    """
    cursors = Cursor.by_address()
    tracked = [row.address for row in settings.REVENUE_ADDRESSES]
    if LedgerState.known().completed_at is None or not cursors.keys() >= set(tracked):
        return PendingReport()
    errors: list[UpstreamError] = []
    for source in sources:
        if not isinstance(source, Blockbook):
            continue
        try:
            columns = _read(source, {address: cursors[address].height + 1 for address in tracked})
        except UpstreamError as error:
            errors.append(error)
            continue
        with transaction.atomic():
            run.guard()
            PendingPayments.objects.update_or_create(id=1, defaults={**columns, "source": source.host, "read_at": now})
        return PendingReport(len(columns["payments"]))
    raise every_source_failed(errors)


def _read(source: Blockbook, first: dict[str, int]) -> Row:
    """Return the columns of a reading: each address from its `first` block on."""
    rows: list[Row] = []
    unreadable, is_cut = 0, False
    for address, low in first.items():
        newest = source.newest(address, low)
        unreadable, is_cut = unreadable + newest.unreadable, is_cut or newest.is_cut
        for tx in newest.transactions:
            try:
                rows += [_row(output, tx) for output in revenue_outputs(tx, address, first)]
            except SenderUnknown:  # may be change
                unreadable += 1
    rows.sort(key=lambda row: (row["confirmations"], row["txid"], row["vout"]))
    return {"payments": rows, "unreadable": unreadable, "is_cut": is_cut}


def _row(output: Output, tx: ChainTx) -> Row:
    return {
        "txid": output.txid,
        "vout": output.vout,
        "address": output.address,
        "from_address": output.from_address,
        "amount_sat": output.amount_sat,
        "height": tx.height if tx.height > 0 else None,
        "confirmations": tx.confirmations if tx.height > 0 else 0,
        "seen_at": iso(output.paid_at),
        "kind": output.kind,
        "message_hash": output.message_hash,
    }


@dataclass(frozen=True, slots=True)
class Pending:
    """Pending payments. `payments` is None unless the state is `ok`: old confirmations are wrong."""

    state: str
    read_at: datetime | None = None
    payments: list[Row] | None = None
    truncated: bool = False
    unreadable: int = 0
    required: int = 0
    """Confirmations from which a payment counts."""


def pending(now: datetime) -> Pending:
    """Return payments not yet in the ledger, newest first. At most three queries."""
    required = settings.MIN_CONFIRMATIONS
    reading = PendingPayments.objects.filter(id=1).first()
    if reading is None:
        return Pending(NEVER, required=required)
    if not is_fresh(reading.read_at, now, LATE):
        return Pending(STALE, reading.read_at, required=required)
    rows = _named(_uncounted(reading.payments))
    return Pending(OK, reading.read_at, rows, reading.is_cut, reading.unreadable, required)


def _uncounted(rows: list[Row]) -> list[Row]:
    """Leave out payments now in the ledger, and addresses no longer tracked."""
    tracked = {row.address for row in settings.REVENUE_ADDRESSES}
    counted = set(Payment.objects.filter(txid__in={row["txid"] for row in rows}).values_list("txid", "vout"))
    return [
        row
        for row in rows
        if row["address"] in tracked and not counted & {(row["txid"], row["vout"]), (row["txid"], None)}
    ]


def _named(rows: list[Row]) -> list[Row]:
    """Add each payment's app where its message is known."""
    hashes = {row["message_hash"] for row in rows} - {""}
    messages = Message.objects.filter(hash__in=hashes, app__isnull=False)
    known = {key: columns for key, *columns in messages.values_list("hash", "app__name", "app_type")} if hashes else {}
    named = []
    for row in rows:
        app, app_type = known.get(row["message_hash"], (None, AppType.UNKNOWN.value))
        named.append(row | {"app": app, "app_type": app_type, "seen_at": datetime.fromisoformat(row["seen_at"])})
    return named


def stamp(now: datetime) -> tuple[datetime | None, bool]:
    """Return a stamp that changes with each reading, and when the last one gets old. One query."""
    read_at = PendingPayments.objects.values_list("read_at", flat=True).first()
    return read_at, is_fresh(read_at, now, LATE)
