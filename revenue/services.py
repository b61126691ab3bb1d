"""The one door to each verb of this room: commands, tasks, admin and API all come through here.

Each opens a run (lease, record, alert), makes the clients from the settings, calls the verb, and answers the
report with the keys of the contract.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import structlog
from django.utils import timezone

from fluxtracker.upstream.clients import app_registry, chain_sources
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.prices import Days
from ops import leases, runs
from ops.audit import actor_of
from ops.registry import changed
from revenue import audit, ledger, naming, pricing
from revenue.models import Payment
from revenue.sync import engine

log = structlog.get_logger(__name__)

Report = dict[str, Any]
Progress = Callable[[str], None]

RECENT = timedelta(days=30)
RECENT_ROWS = 100  # names and prices looked for after each sync, beyond what the sync added


def sync_revenue(*, trigger: str, wait: float = 0, full: bool = False, progress: Progress | None = None) -> Report:
    """Sync the ledger, then look for the names and the USD of what came."""
    started, http = time.monotonic(), Http.from_settings()
    with runs.run("sync_revenue", trigger=trigger, wait=wait, progress=progress) as run:
        run.report = _unknown("fetched", "added", "removed", "lastSyncBlock", "requests", "seconds")
        done = engine.sync_revenue(sources=chain_sources(http), now=timezone.now(), run=run, full=full)
        run.report = {
            "fetched": done.fetched,
            "added": done.added,
            "removed": done.removed,
            "changed": done.changed,
            "lastSyncBlock": done.last_sync_block,
            "failedSources": done.failed_sources,
        }
        seconds = time.monotonic() - started
        log.info("revenue_synced", **_counts(run.report), requests=http.requests, seconds=round(seconds, 3))
        run.report["ledgerSeconds"] = round(seconds, 3)
    report = run.report | _names_and_usd(http, trigger, done.added, progress)
    changed()
    return report | {"requests": http.requests, "seconds": round(time.monotonic() - started, 3)}


def _unknown(*keys: str) -> Report:
    """What a run reports that ends before it knows."""
    return dict.fromkeys(keys)


def _counts(report: Report) -> Report:
    return {key: value for key, value in report.items() if key != "failedSources"}


def _names_and_usd(http: Http, trigger: str, added: int, progress: Progress | None) -> Report:
    """Both are tried; what fails is told by its own record and does not undo the sync."""
    within = None if added else RECENT
    report: Report = {"named": None, "priced": None}
    try:
        with runs.run("backfill_app_names", trigger=trigger, progress=progress) as run:
            names = naming.resolve_names(
                registry=app_registry(http), now=timezone.now(), limit=RECENT_ROWS, within=within, fill_dump=True
            )
            report["named"] = names.updated
            run.report = {"updated": names.updated, "remaining": names.remaining}
    except (UpstreamError, leases.LeaseHeld) as error:
        log.info("names_later", reason=str(error))
    try:
        with runs.run("backfill_usd", trigger=trigger, progress=progress) as run:
            priced = pricing.price_payments(http=http, now=timezone.now(), limit=added + RECENT_ROWS, within=within)
            report["priced"] = priced.updated
            run.report = {"updated": priced.updated, "remaining": priced.remaining}
    except (UpstreamError, leases.LeaseHeld) as error:
        log.info("usd_later", reason=str(error))
    return report


def backfill_app_names(
    *, trigger: str, wait: float = 0, batch_size: int = 500, everything: bool = False, progress: Progress | None = None
) -> Report:
    """Look for app names of up to `batch_size` payments; `everything` goes on to the last, whatever the pauses."""
    http = Http.from_settings()
    with runs.run("backfill_app_names", trigger=trigger, wait=wait, progress=progress) as run:
        run.report = _unknown("processed", "updated", "noHash", "notFound", "remaining")
        done = naming.resolve_names(
            registry=app_registry(http), now=timezone.now(), limit=batch_size, everything=everything
        )
        run.report = {
            "processed": done.processed,
            "updated": done.updated,
            "noHash": done.no_hash,
            "notFound": done.not_found,
            "remaining": done.remaining,
        }
    if done.updated:
        changed()
    return run.report


def backfill_app_types(*, trigger: str, wait: float = 0) -> Report:
    http = Http.from_settings()
    with runs.run("backfill_app_types", trigger=trigger, wait=wait) as run:
        run.report = _unknown("updated", "unknown")
        done = naming.retype_apps(registry=app_registry(http), now=timezone.now())
        run.report = {"updated": done.updated, "unknown": done.unknown}
    if done.updated:
        changed()
    return run.report


def backfill_usd(
    *,
    trigger: str,
    wait: float = 0,
    first: date | str | None = None,
    last: date | str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Price every payment of these days that has no USD value yet, as far as a trusted price is to be had.

    `force` prices all of them again, and puts each day that changes into the audit log. Days may be ISO dates.
    """
    http, first, last = Http.from_settings(), _day(first), _day(last)
    with runs.run("backfill_usd", trigger=trigger, wait=wait, progress=progress) as run:
        run.report = _unknown("updated", "remaining")
        if force:
            actor = pricing.Actor(actor_of(trigger))
            done = pricing.price_again(http=http, now=timezone.now(), first=first, last=last, run=run, actor=actor)
        else:
            done = pricing.price_payments(http=http, now=timezone.now(), first=first, last=last)
        run.report = {"updated": done.updated, "remaining": done.remaining}
        if force:
            run.report["closedDays"] = done.closed
    if done.updated:
        changed()
    return run.report


def replace_day_prices(*, closes: Days, actor: pricing.Actor, trigger: str, wait: float = 0) -> Report:
    """Put these closes in the place of those that are stored, and price the payments of their days with them."""
    with runs.run("backfill_usd", trigger=trigger, wait=wait) as run:
        updated = pricing.replace(closes, run=run, actor=actor)
        run.report = {"updated": updated, "remaining": Payment.objects.unpriced().count()}
    changed()
    return run.report


def _day(value: date | str | None) -> date | None:
    """Jobs keep their parameters as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def refresh_price(*, trigger: str, wait: float = 0) -> Report:
    """Ask for the live price."""
    http = Http.from_settings()
    with runs.run("refresh_price", trigger=trigger, wait=wait) as run:
        quote = pricing.refresh_live_price(http=http, now=timezone.now())
        run.report = {"priceUsd": float(quote.price), "source": quote.source}
    return run.report


def audit_revenue(
    *, trigger: str, wait: float = 0, blocks: int = 4320, fix: bool = False, progress: Progress | None = None
) -> Report:
    """Check the ledger's last blocks against the chain. A fix writes, so it keeps syncs out meanwhile."""
    http = Http.from_settings()
    lease = "sync_revenue" if fix else "audit_revenue"
    with runs.run("audit_revenue", lease=lease, trigger=trigger, wait=wait, progress=progress) as run:
        run.report = _unknown("checked", "missing", "extra", "different")
        done = audit.audit_revenue(sources=chain_sources(http), now=timezone.now(), run=run, blocks=blocks, fix=fix)
        run.report = {
            "checked": done.checked,
            "missing": done.missing,
            "extra": done.extra,
            "different": done.different,
            "fixed": done.fixed,
        }
    if done.fixed:
        changed()
    return run.report


def prune(*, trigger: str, wait: float = 0, progress: Progress | None = None) -> Report:
    """Apply the retention policy. `checks` are the service checks deleted."""
    with runs.run("prune", trigger=trigger, wait=wait, progress=progress) as run:
        done = ledger.prune(now=timezone.now(), run=run)
        run.report = {
            "transactions": done.transactions,
            "checks": done.checks,
            "runs": done.runs,
            "closedThrough": done.closed_through and done.closed_through.isoformat(),
        }
    if done.closed_through:
        changed()
    return run.report


def reset_revenue_sync(*, trigger: str, wait: float = 0) -> Report:
    """Let the next sync read everything again."""
    with runs.run("reset_revenue_sync", lease="sync_revenue", trigger=trigger, wait=wait) as run:
        ledger.reset_sync(run=run)
        run.report = {"lastSyncBlock": None}
    changed()
    return run.report


def clear_revenue_data(*, trigger: str, wait: float = 0) -> Report:
    """Delete the ledger's data. The caller has asked for confirmation."""
    with runs.run("clear_revenue_data", lease="sync_revenue", trigger=trigger, wait=wait) as run:
        run.report = {"deleted": ledger.clear(run=run)}
    changed()
    return run.report
