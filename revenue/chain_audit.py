"""Compare the ledger with the chain, block by block, and report differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.conf import settings

from fluxtracker.api.report_serializers import UNDESCRIBED
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from fluxtracker.upstream.records import ChainSource, Listing
from ops.jobs.runs import Run
from revenue import ledger
from revenue.models import Cursor, LedgerState
from revenue.sync import writer
from revenue.sync.completeness import Proof, every_source_failed
from revenue.sync.reorg import Chain, confirm_vanished
from revenue.sync.writer import Reader

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AuditReport:
    """Ledger rows compared with the chain: `extra` are those that the chain does not have."""

    checked: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    fixed: int = field(default=0, metadata=UNDESCRIBED)

    @property
    def open(self) -> int:
        """Return the number of rows that still differ."""
        return max(self.missing + self.extra + self.different - self.fixed, 0)


def audit_revenue(
    *, sources: Sequence[ChainSource], now: datetime, run: Run, blocks: int, fix: bool = False
) -> AuditReport:
    """Check the last `blocks` settled blocks of each address; with `fix`, correct differences.

    Differences are checked twice, as a sync may have run in between. They count only if a second source has the
    same block; otherwise the source may be wrong, not the ledger.
    """
    errors: list[UpstreamError] = []
    for source in sources:
        try:
            report = _audit(source, sources, now, run, blocks, fix)
            return _audit(source, sources, now, run, blocks, fix) if report.open and not fix else report
        except UpstreamError as error:
            errors.append(error)
    raise every_source_failed(errors)


def _audit(
    source: ChainSource, sources: Sequence[ChainSource], now: datetime, run: Run, blocks: int, fix: bool
) -> AuditReport:
    proof = Proof.begin(Chain(source, source.tip()), sources)
    report = AuditReport()
    for cursor in Cursor.objects.filter(address__in=[tracked.address for tracked in settings.REVENUE_ADDRESSES]):
        high = min(cursor.height, proof.chain.settled)
        low = max(cursor.first_height, high - blocks + 1, 1)
        while low <= high:
            listing = source.listing(cursor.address, low, high)
            reader = Reader.of(source)  # look-ups are limited per window, as an audit may cover the whole chain
            _compare_window(listing, high, reader, proof, report, now, run, fix)
            run.progress(f"{cursor.address}: checked to block {min(listing.high, high):,} of {high:,}")
            low = min(listing.high, high) + 1
    return report


def _compare_window(
    listing: Listing, high: int, reader: Reader, proof: Proof, report: AuditReport, now: datetime, run: Run, fix: bool
) -> None:
    reading = reader.window(listing, high)
    difference = writer.compare(reading, LedgerState.load().closed_through)
    report.checked += len(reading.outputs)
    if not (difference.added or difference.vanished or difference.changed):
        return
    heights = difference.heights()
    proof.refuse_mixture(difference)
    proof.require(min(max(heights), high), since=min(heights))
    report.missing += len(difference.added)
    report.extra += len(difference.vanished)
    report.different += len(difference.changed)
    log.warning(
        "ledger_differs", address=reading.address, low=reading.low, high=reading.high,
        missing=[f"{out.txid}:{out.vout}" for out in difference.added[:5]],
        extra=[str(row) for row in difference.vanished[:5]],
        different=[str(row) for row, _ in difference.changed[:5]],
    )  # fmt: skip
    if reading.unread:
        first = reading.unread[0]
        log.warning(
            "ledger_not_checked", address=reading.address, low=reading.low, high=reading.high,
            transactions=len(reading.unread), first=first.txid, why=first.detail,
        )  # fmt: skip
    if fix:
        confirm_vanished(proof.chain, reading, difference.vanished)
        _require_followed(proof, reading.address)
        proof.chain.require_still()
        with ledger.writing():
            run.guard()
            applied = writer.apply(reading, difference, now)
        report.fixed += applied.added + applied.removed + applied.changed


def _require_followed(proof: Proof, address: str) -> None:
    """Raise Unavailable on a branch that no sync has followed: a fix would hide how deep it goes."""
    chain, cursor = proof.chain, proof.cursors[address]
    if cursor.tip_height <= chain.tip.height and not chain.has(cursor.tip_height, cursor.tip_hash):
        detail = f"lacks block {cursor.tip_height}, which the last sync read: the next sync follows that first"
        raise Unavailable(chain.source.host, "chain", detail)
