"""How the ledger stands against the chain, from what the last sync wrote down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from fluxtracker.periods import is_ahead, is_fresh
from ops import leases
from ops.health import is_scheduled, iso
from ops.models import TaskState
from ops.registry import health_check
from ops.runs import ALERT_AFTER
from revenue.models import TIP_STANDS, Cursor, LedgerState, Quarantined
from revenue.selectors import OpenDays

TASK, BEAT_TASK = "sync_revenue", "revenue.tasks.sync_revenue"
COMPLETED_LATE = timedelta(minutes=30)  # six syncs missed

KEYS = (
    "healthy",
    "lastSyncBlock",
    "currentBlock",
    "lagBlocks",
    "lagSeconds",
    "minConfirmations",
    "consecutiveFailures",
    "lastCompleted",
    "completeThrough",
    "quarantine",
    "failedSources",
    "unprovedSince",
    "unprovedAt",
    "reason",
)


@health_check("sync")
def sync_report(now: datetime | None) -> dict[str, Any]:
    """Return the `sync` part of `/api/health`. Without a database (`now` None) nothing is known."""
    if now is None:
        return dict.fromkeys(KEYS) | {"healthy": False, "reason": "the database cannot be reached"}
    ledger = LedgerState.known()
    state = TaskState.objects.filter(name=TASK).first() or TaskState(name=TASK)
    block, tip = last_sync_block(), ledger.tip_height
    reason = why_unhealthy(ledger, state, now)
    return {
        "healthy": reason is None,
        "lastSyncBlock": block,
        "currentBlock": tip,
        "lagBlocks": None if block is None or tip is None else max(tip - block, 0),
        "lagSeconds": _lag(ledger.read_until, now),
        "minConfirmations": settings.MIN_CONFIRMATIONS,
        "consecutiveFailures": state.consecutive_failures,
        "lastCompleted": iso(ledger.completed_at),
        "completeThrough": _last_day(ledger.complete_until),
        "quarantine": Quarantined.objects.count(),
        "failedSources": (state.last_report or {}).get("failedSources", []),
        "unprovedSince": ledger.unproved_height,
        "unprovedAt": iso(ledger.unproved_at),
        "reason": reason,
    }


def why_unhealthy(ledger: LedgerState, state: TaskState, now: datetime) -> str | None:
    """Return what is wrong with the sync, in words; None when nothing is."""
    if ledger.unproved_height is not None:
        return unproved_reason(ledger.unproved_height)
    if state.consecutive_failures >= ALERT_AFTER:
        return f"it failed {state.consecutive_failures} times in a row ({state.last_error})"
    return lag_reason(ledger, now, TIP_STANDS)


def unproved_reason(height: int) -> str:
    return f"from block {height:,} on a source contradicts the ledger, and no second one confirms or denies it"


def lag_reason(ledger: LedgerState, now: datetime, patience: timedelta) -> str | None:
    """Return why the ledger is behind the chain, in words; None when it is not. `patience`: with a tip that stands."""
    if ledger.completed_at is None:
        return "no sync has completed yet"
    if is_ahead(ledger.completed_at, now):
        return "the last sync lies in the future: the clock was set back"
    if not is_fresh(ledger.completed_at, now, COMPLETED_LATE):
        return f"no sync has completed for {minutes(now - ledger.completed_at)}"
    stood = ledger.completed_at - ledger.tip_changed_at if ledger.tip_changed_at else timedelta()
    if stood > patience:
        return f"the source's tip has stood at block {ledger.tip_height} for {minutes(stood)}"
    return None


def status(now: datetime) -> dict[str, Any]:
    """`/api/admin/revenue-status`."""
    report, state = sync_report(now), TaskState.objects.filter(name=TASK).first() or TaskState(name=TASK)
    syncing = is_syncing()
    return {
        "isSchedulerRunning": is_scheduled(BEAT_TASK, now),
        "isSyncInProgress": syncing,
        "isSyncing": syncing,
        "lastRun": iso(state.last_started_at),
        "lastCompleted": report["lastCompleted"],
        "consecutiveFailures": state.consecutive_failures,
        "isHealthy": report["healthy"],
        "transactionCount": OpenDays.load().total,
        "lastSyncBlock": report["lastSyncBlock"],
        "currentBlock": report["currentBlock"],
        "unprovedSince": report["unprovedSince"],
    }


def last_sync_block() -> int | None:
    """Return the block up to which every tracked address was read; None when one never was."""
    heights = dict(Cursor.objects.values_list("address", "height"))
    tracked = [row.address for row in settings.REVENUE_ADDRESSES]
    return min(heights[address] for address in tracked) if heights.keys() >= set(tracked) else None


def is_syncing() -> bool:
    return leases.holder_of(TASK) is not None


def _lag(read_until: datetime | None, now: datetime) -> int | None:
    """Nobody knows it before the first sync, nor where the last one lies in the future."""
    return None if read_until is None or is_ahead(read_until, now) else seconds(now - read_until)


def _last_day(until: datetime | None) -> str | None:
    """Return the last day that ends by then."""
    return None if until is None else (until.date() - timedelta(days=1)).isoformat()


def seconds(span: timedelta) -> int:
    return max(int(span.total_seconds()), 0)


def minutes(span: timedelta) -> str:
    whole = seconds(span) // 60
    return f"{whole} minutes" if whole < 120 else f"{whole // 60} hours"
