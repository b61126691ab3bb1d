"""What is an alert about the ledger (ops.alert_rules)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from fluxtracker import figures
from fluxtracker.fresh import is_ahead, is_fresh
from ops.alert_rules import installed_at
from ops.alerts import Trouble
from ops.models import TaskState
from revenue import day_prices
from revenue.models import LedgerState, Quarantined
from revenue.standing import COMPLETED_LATE, minutes

FIRST_LATE = timedelta(days=1)
QUARANTINE_LATE = timedelta(days=1)


def troubles(now: datetime) -> Iterator[Trouble]:
    yield from of_sync(now)
    yield from of_proof()
    yield from of_quarantine(now)
    yield from of_audit()
    yield from of_prices()


def of_sync(now: datetime) -> Iterator[Trouble]:
    """The ledger is over 30 minutes behind. A first sync has a day; one that breaks is told by its failures."""
    ledger = LedgerState.objects.filter(id=1).first() or LedgerState(id=1)
    if ledger.completed_at is None:
        if now - installed_at(now) > FIRST_LATE:
            yield Trouble("sync-lag", "No sync has completed since the installation over a day ago.")
    elif is_ahead(ledger.completed_at, now):
        yield Trouble("sync-lag", "The last sync lies in the future: the clock was set back. Payments may be missing.")
    elif not is_fresh(ledger.completed_at, now, COMPLETED_LATE):
        lag = minutes(now - ledger.completed_at)
        yield Trouble("sync-lag", f"No sync has completed for {lag}: payments may be missing.")
    elif ledger.tip_changed_at and now - ledger.tip_changed_at > COMPLETED_LATE:
        lag = minutes(now - ledger.tip_changed_at)
        yield Trouble(
            "sync-lag", f"The chain's source has stood at block {ledger.tip_height} for {lag}: payments may be missing."
        )


def of_proof() -> Iterator[Trouble]:
    """Yield an alert while a source contradicts settled blocks and no second one could be asked: until a proof."""
    height = LedgerState.objects.filter(id=1).values_list("unproved_height", flat=True).first()
    if height is not None:
        yield Trouble(
            "unproved",
            f"From block {figures.whole(height)} on a source contradicts the ledger, and no second one confirms or"
            " denies it: payments stay as they are, and newer ones are missing.",
        )


def of_audit() -> Iterator[Trouble]:
    """The last audit found rows that are not as the chain has them. The next one without any closes it."""
    report = TaskState.objects.filter(name="audit_revenue").values_list("last_report", flat=True).first() or {}
    rows = sum(report.get(key, 0) for key in ("missing", "extra", "different")) - report.get("fixed", 0)
    if rows > 0:
        yield Trouble(
            "ledger-differs",
            f"The last audit found {figures.plural(rows, 'payment')} that the ledger has not as the chain does:"
            " revenue may be off by them.",
        )


def of_prices() -> Iterator[Trouble]:
    """Days whose payments wait for dollars because the price that came is not trusted."""
    days = list(day_prices.doubted())
    if days:
        newest = days[0]
        yield Trouble(
            "price-doubted",
            f"The price of {figures.plural(len(days), 'day')} is doubted, of {newest.day} for one ({newest.doubt}):"
            " it needs a second source. Payments of these days have no final dollars yet.",
        )


def of_quarantine(now: datetime) -> Iterator[Trouble]:
    """Transactions that could not be read for a day."""
    old = Quarantined.objects.filter(first_seen_at__lte=now - QUARANTINE_LATE)
    if number := old.count():
        yield Trouble(
            "quarantine", f"{figures.plural(number, 'transaction')} could not be read for over a day: not counted yet."
        )
