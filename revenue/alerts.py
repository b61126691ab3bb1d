"""What is an alert about the ledger (ops.alerts.services)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from fluxtracker import formatting
from ops.alerts.records import Trouble
from ops.alerts.services import installed_at
from ops.health import payments_missing
from ops.models import TaskState
from ops.registry import alert_rule
from revenue import pricing
from revenue.models import LedgerState, Quarantined
from revenue.status import COMPLETED_LATE, lag_reason, unproved_reason

FIRST_LATE = timedelta(days=1)
QUARANTINE_LATE = timedelta(days=1)


@alert_rule
def of_sync(now: datetime) -> Iterator[Trouble]:
    """Yield an alert when the ledger is over 30 minutes behind. A first sync has a day."""
    ledger = LedgerState.objects.filter(id=1).first() or LedgerState(id=1)
    is_first = ledger.completed_at is None and now - installed_at(now) <= FIRST_LATE
    reason = None if is_first else lag_reason(ledger, now, COMPLETED_LATE)
    if reason:
        yield Trouble("sync-lag", payments_missing(reason))


@alert_rule
def of_proof(_: datetime) -> Iterator[Trouble]:
    """Yield an alert while a source contradicts settled blocks and no second one could be asked: until a proof."""
    height = LedgerState.objects.filter(id=1).values_list("unproved_height", flat=True).first()
    if height is not None:
        yield Trouble("unproved", payments_missing(unproved_reason(height)))


@alert_rule
def of_audit(_: datetime) -> Iterator[Trouble]:
    """The last audit found rows that are not as the chain has them. The next one without any closes it."""
    report = TaskState.objects.filter(name="audit_revenue").values_list("last_report", flat=True).first() or {}
    rows = sum(report.get(key, 0) for key in ("missing", "extra", "different")) - report.get("fixed", 0)
    if rows > 0:
        yield Trouble(
            "ledger-differs",
            f"The last audit found {formatting.plural(rows, 'payment')} that the ledger has not as the chain does:"
            " revenue may be off by them.",
        )


@alert_rule
def of_prices(_: datetime) -> Iterator[Trouble]:
    """Days whose payments wait for dollars because the price that came is not trusted."""
    days = list(pricing.doubted())
    if days:
        newest = days[0]
        yield Trouble(
            "price-doubted",
            f"The price of {formatting.plural(len(days), 'day')} is doubted, of {newest.day} for one ({newest.doubt}):"
            " it needs a second source. Payments of these days have no final dollars yet.",
        )


@alert_rule
def of_quarantine(now: datetime) -> Iterator[Trouble]:
    """Transactions that could not be read for a day."""
    old = Quarantined.objects.filter(first_seen_at__lte=now - QUARANTINE_LATE)
    if number := old.count():
        yield Trouble(
            "quarantine",
            f"{formatting.plural(number, 'transaction')} could not be read for over a day: not counted yet.",
        )
