"""Report how the ledger compares with the chain, from the last sync's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from django.conf import settings
from django.db.models import Q, Sum
from django.utils import timezone

from fluxtracker.money import flux
from fluxtracker.periods import is_ahead, is_fresh
from fluxtracker.timestamps import iso
from ops import leases
from ops.api.serializers import SyncHealth
from ops.models import ALERT_AFTER, TaskState
from ops.registry import Gauge, States, gauges, health_check
from ops.schedule_rows import is_scheduled
from ops.status import OK, PUBLIC, Part, Status, words
from revenue.models import TIP_STANDS, Cursor, DailyTotal, LedgerState
from revenue.selectors import open_totals

TASK, BEAT_TASK = "sync_revenue", "revenue.tasks.sync_revenue"
LAG = "sync-lag"  # key of its alert
COMPLETED_LATE = timedelta(minutes=30)  # six syncs missed


@health_check("sync")
def sync_part(now: datetime | None, states: States | None = None) -> Part:
    """Return the `sync` part of `/api/health`. `now` None: no database, nothing is known."""
    if now is None:
        reason = words(Status("database_unreachable"), timezone.now())
        return Part(dict.fromkeys(SyncHealth().fields) | {"healthy": False, "reason": reason})
    ledger, state = LedgerState.known(), TaskState.of(TASK, states)
    block, tip = last_sync_block(), ledger.counted_tip
    status = sync_status(ledger, state, now)
    report = {
        "healthy": status.is_ok,
        "lastSyncBlock": block,
        "currentBlock": tip,
        "lagBlocks": None if block is None or tip is None else max(tip - block, 0),
        "lagSeconds": _lag(ledger.read_until, now),
        "minConfirmations": settings.MIN_CONFIRMATIONS,
        "consecutiveFailures": state.consecutive_failures,
        "lastCompleted": iso(ledger.completed_at),
        "completeThrough": _last_day(ledger.complete_until, now),
        "quarantine": ledger.quarantined,
        "failedSources": (state.last_report or {}).get("failedSources", []),
        "unprovedSince": ledger.unproved_height,
        "unprovedAt": iso(ledger.unproved_at),
        "reason": words(status, now) or None,
    }
    retrying = [Status("sync_retrying")] if 0 < state.consecutive_failures < ALERT_AFTER else []
    return Part(report, [status, *retrying, *_failed_sources(state.last_report or {})])


def sync_status(ledger: LedgerState, state: TaskState, now: datetime) -> Status:
    """Return problems of the sync, worst first."""
    if ledger.unproved_height is not None:
        return unproved(ledger)
    return state.failing if state.alerting else lag_status(ledger, now, TIP_STANDS)


def unproved(ledger: LedgerState) -> Status:
    """Return the problem of a source that contradicts settled blocks when no second one could be asked."""
    return Status("sync_unproved", since=ledger.unproved_at, facts={"height": ledger.unproved_height}, key="unproved")


def lag_status(ledger: LedgerState, now: datetime, patience: timedelta) -> Status:
    """Return why the ledger is behind the chain. `patience`: how long the tip may stay unchanged."""
    since = ledger.completed_at
    if since is None:
        return Status("sync_never", key=LAG)
    if is_ahead(since, now):
        return Status("sync_in_future", since=since, key=LAG)
    if not is_fresh(since, now, COMPLETED_LATE):
        return Status("sync_late", since=since, facts={"length": now - since}, key=LAG)
    unmoved = since - ledger.tip_changed_at if ledger.tip_changed_at else timedelta()
    if unmoved > patience:
        facts = {"height": ledger.tip_height, "length": unmoved}
        return Status("sync_tip_unmoved", since=ledger.tip_changed_at, facts=facts, key=LAG)
    return OK


def _failed_sources(report: Mapping[str, Any]) -> list[Status]:
    """Return the sources that failed in the last sync."""
    pairs = zip_longest(report.get("failedSources", ()), report.get("failedCodes", ()))
    codes = ((f"chain_{code}", error) for error, code in pairs)
    return [Status(code if code in PUBLIC else "chain_failed", facts={"error": error}) for code, error in codes]


def status(now: datetime) -> dict[str, Any]:
    """Return the answer of `/api/admin/revenue-status`."""
    report, state, syncing = sync_part(now).report, TaskState.of(TASK), is_syncing()
    return {
        "isSchedulerRunning": is_scheduled(BEAT_TASK, now),
        "isSyncInProgress": syncing,
        "isSyncing": syncing,
        "lastRun": iso(state.last_started_at),
        "lastCompleted": report["lastCompleted"],
        "consecutiveFailures": state.consecutive_failures,
        "isHealthy": report["healthy"],
        "transactionCount": open_totals().sum_of("payments"),
        "lastSyncBlock": report["lastSyncBlock"],
        "currentBlock": report["currentBlock"],
        "unprovedSince": report["unprovedSince"],
    }


def last_sync_block() -> int | None:
    """Return the block up to which every tracked address was read, None if one never was."""
    cursors = Cursor.by_address()
    tracked = [row.address for row in settings.REVENUE_ADDRESSES]
    return min(cursors[address].height for address in tracked) if cursors.keys() >= set(tracked) else None


def is_syncing() -> bool:
    return leases.holder_of(TASK) is not None


def _lag(read_until: datetime | None, now: datetime) -> int | None:
    """Return the lag in seconds, None before the first sync or if the last one is in the future."""
    is_known = read_until is not None and not is_ahead(read_until, now)
    return max(int((now - read_until).total_seconds()), 0) if read_until and is_known else None


def _last_day(until: datetime | None, now: datetime) -> str | None:
    """Return the last day that has ended by then and by now."""
    return None if until is None else (min(until, now).date() - timedelta(days=1)).isoformat()


@gauges
def revenue_gauges(now: datetime) -> Iterator[Gauge]:
    """Yield today's revenue so far and total revenue. Two queries."""
    today = Q(day=now.date())
    sums = DailyTotal.objects.aggregate(
        today_sat=Sum("revenue_sat", filter=today), today_payments=Sum("payments", filter=today),
        all_sat=Sum("revenue_sat"), all_payments=Sum("payments"),
    )  # fmt: skip
    none = 0 if LedgerState.known().knows(now.date()) else None
    sat, payments = (none if sums[f"today_{name}"] is None else sums[f"today_{name}"] for name in ("sat", "payments"))
    yield Gauge("revenue_today_flux", "Revenue of the UTC day so far.", _flux(sat))
    yield Gauge("revenue_today_payments", "Payments of the UTC day so far.", payments)
    yield Gauge("revenue_all_flux", "Revenue of all days in the ledger.", _flux(sums["all_sat"]))
    yield Gauge("revenue_all_payments", "Payments of all days in the ledger.", sums["all_payments"])


def _flux(sat: int | None) -> float | None:
    return None if sat is None else flux(sat)
