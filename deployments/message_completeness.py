"""Refuse a read of all app messages that cannot hold them all (docs/metrics.md#apps-by-their-messages)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, OuterRef

from deployments.models import MessageFact
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.errors import UpstreamError
from ops.jobs.runs import one_line
from revenue.models import Payment

log = structlog.get_logger(__name__)

HANDFUL = 20  # messages that a reorganisation may take; as few paid hashes prove nothing
INDEX_DIFFERS = 0.01  # of its messages: two nodes differ in 0.13 % of 71,000 (2026-09)
PAID_LEAST = 0.25  # share of the paid hashes with a message: nearly all have one
LONG_AGO = timedelta(days=1)  # messages become known hours after their payment


class Short(UpstreamError):
    """All app messages were asked for, and the answer lacks many. What came is stored."""

    code = "short"


def check(registry: AppRegistry, read: Collection[bytes], rows: int, now: datetime) -> None:
    """Raise Short where these hashes, of so many rows, are not all there are. They are stored by now."""
    reason = _unusable(read, rows) or _fewer_than_stored(read) or _fewer_than_paid(now) or _not_indexed(registry, read)
    if reason:
        raise Short(registry.host, registry.where("/permanentmessages"), reason)


def _unusable(read: Collection[bytes], rows: int) -> str | None:
    return f"none of {rows:,} rows is usable" if rows and not read else None


def _fewer_than_stored(read: Collection[bytes]) -> str | None:
    """Permanent messages stay: an answer with fewer than are known is cut."""
    stored = MessageFact.objects.count()
    return f"only {len(read):,} of {stored:,} known messages" if stored - len(read) > HANDFUL else None


def _fewer_than_paid(now: datetime) -> str | None:
    """Compare with the ledger. Two queries."""
    paid = Payment.objects.filter(kind=Payment.Kind.APP, paid_at__lt=now - LONG_AGO).exclude(message_hash="")
    hashes = paid.order_by().values("message_hash").distinct()
    total = hashes.count()
    if total <= HANDFUL:
        return None
    known = hashes.filter(Exists(MessageFact.objects.filter(hash=OuterRef("message_hash")))).count()
    return f"messages of only {known:,} of {total:,} paid hashes" if known <= total * PAID_LEAST else None


def _not_indexed(registry: AppRegistry, read: Collection[bytes]) -> str | None:
    """Compare with the index of hashes; where it cannot be read, nothing is proved."""
    total = missing = 0
    try:
        for message_hash in registry.hashes_with_message():
            total += 1
            missing += bytes.fromhex(message_hash) not in read
    except UpstreamError as error:
        log.info("hashes_later", reason=one_line(error))
        return None
    is_short = missing > max(HANDFUL, total * INDEX_DIFFERS)
    return f"{missing:,} of {total:,} messages in the index of hashes are missing" if is_short else None
