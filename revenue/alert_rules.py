"""Raise alerts about the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from fluxtracker.formatting import short
from ops.alert_rules import installed_at
from ops.models import TaskState
from ops.registry import alert_rule
from ops.status import Status
from revenue import labels, pricing
from revenue.models import LedgerState, Quarantined
from revenue.status import COMPLETED_LATE, lag_status, unproved

FIRST_LATE = timedelta(days=1)
QUARANTINE_LATE = timedelta(days=1)


@alert_rule
def of_sync(now: datetime) -> Iterator[Status]:
    """Yield a problem if the ledger is over 30 minutes behind, or a day during the first sync."""
    ledger = LedgerState.known()
    if ledger.completed_at is not None or now - installed_at(now) > FIRST_LATE:
        yield lag_status(ledger, now, COMPLETED_LATE)


@alert_rule
def of_proof(_: datetime) -> Iterator[Status]:
    """Yield a problem while a source contradicts settled blocks and no second one could be asked."""
    ledger = LedgerState.known()
    if ledger.unproved_height is not None:
        yield unproved(ledger)


@alert_rule
def of_audit(_: datetime) -> Iterator[Status]:
    """Yield a problem if rows differed from the chain in the last audit."""
    report = TaskState.of("audit_revenue").last_report or {}
    rows = sum(report.get(key, 0) for key in ("missing", "extra", "different")) - report.get("fixed", 0)
    if rows > 0:
        yield Status("ledger_differs", facts={"rows": rows}, key="ledger-differs")


@alert_rule
def of_prices(_: datetime) -> Iterator[Status]:
    """Yield a problem if payments wait for USD because their day's price is not trusted."""
    days = list(pricing.doubted())
    if days:
        facts = {"days": len(days), "day": days[0].day, "doubt": days[0].doubt}
        yield Status("price_doubted", facts=facts, key="price-doubted")


@alert_rule
def of_quarantine(now: datetime) -> Iterator[Status]:
    """Yield a problem if transactions could not be read for a day."""
    if rows := Quarantined.objects.filter(first_seen_at__lte=now - QUARANTINE_LATE).count():
        yield Status("quarantine_old", facts={"rows": rows}, key="quarantine")


@alert_rule
def of_senders(now: datetime) -> Iterator[Status]:
    """Yield the largest unlabelled sender with over 5 % of a month's revenue."""
    if sender := labels.unlabelled(now.date()):
        facts = {"sender": short(sender.address), "percent": sender.percent, "month": sender.month}
        yield Status("sender_unlabelled", facts=facts, key="sender-unlabelled")
