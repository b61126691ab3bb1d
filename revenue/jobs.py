"""Run the ledger's jobs for commands, tasks, admin and API: open a run, build clients, return the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import structlog
from django.utils import timezone
from rest_framework import serializers

from fluxtracker.api.fields import Confirmation, DaysForm, PastDay, TrueOrFalse, Whole
from fluxtracker.api.report_serializers import as_report, described
from fluxtracker.batches import garbage_kept
from fluxtracker.upstream.clients import app_registry, chain_sources
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.trusted_price import Days
from ops import leases
from ops.audit_log import actor_of
from ops.jobs import runs
from ops.jobs.runs import Run
from ops.registry import JobGroup, changed, job
from revenue import chain_audit, ledger, naming, pending, pricing
from revenue.models import Payment
from revenue.sync import engine

log = structlog.get_logger(__name__)

Report = dict[str, Any]

UNCOUNTED = ("failedSources", "failedCodes")
RECENT = timedelta(days=30)
RECENT_ROWS = 100  # names and prices looked up after each sync, beyond the payments it added


@job(
    "revenue-sync",
    report=engine.SyncReport,
    help="Read new payments from the chain; full: from the first height, deletes nothing.",
    params={"full": TrueOrFalse(default=False, help_text="From the first height; deletes nothing.")},
    also={"requests": serializers.IntegerField(), "seconds": serializers.FloatField()},
)
def sync_revenue(run: Run, *, full: bool = False) -> Report:
    """Sync the ledger, then look up names and USD values of new payments."""
    http = Http.from_settings()
    done = engine.sync_revenue(sources=chain_sources(http), now=timezone.now(), run=run, full=full)
    effort, report = http.effort, as_report(done)
    log.info("revenue_synced", **{key: value for key, value in report.items() if key not in UNCOUNTED}, **effort)
    run.changed, run.after = True, lambda: _names_and_usd(http, run, done.added) | http.effort
    return report | {"ledgerSeconds": effort["seconds"]}


@garbage_kept()
def _names_and_usd(http: Http, run: Run, added: int) -> Report:
    """Name and price payments. A failure is recorded separately and does not undo the sync."""
    within = None if added else RECENT
    report: Report = {"named": None, "priced": None}
    try:
        with runs.run("backfill_app_names", trigger=run.trigger, progress=run.progress) as naming_run:
            names = naming.resolve_names(
                registry=app_registry(http), now=timezone.now(), limit=RECENT_ROWS, within=within, fill_dump=True
            )
            report["named"] = names.updated
            naming_run.report = {"updated": names.updated, "remaining": names.remaining}
    except (UpstreamError, leases.LeaseHeld) as error:
        log.info("names_later", reason=str(error))
    try:
        with runs.run("backfill_usd", trigger=run.trigger, progress=run.progress) as pricing_run:
            priced = pricing.price_payments(http=http, now=timezone.now(), limit=added + RECENT_ROWS, within=within)
            report["priced"] = priced.updated
            pricing_run.report = as_report(priced)
    except (UpstreamError, leases.LeaseHeld) as error:
        log.info("usd_later", reason=str(error))
    return report


@dataclass(frozen=True, slots=True)
class ResetReport:
    last_sync_block: int | None = None


@job(
    "reset-revenue-sync",
    report=ResetReport,
    help="Restart the sync from the first block; keeps all data.",
    lease="sync_revenue",
    group=JobGroup.DANGER,
)
def reset_revenue_sync(run: Run) -> ResetReport:
    ledger.reset_sync(run=run)
    run.changed = True
    return ResetReport()


@dataclass(frozen=True, slots=True)
class ClearReport:
    deleted: int = field(metadata=described("Payments."))


@job(
    "clear-revenue-data",
    report=ClearReport,
    help="Delete payments, daily totals, cursors and quarantine.",
    lease="sync_revenue",
    params={"confirm": Confirmation("clear", "this deletes the ledger", help_text='Type "clear" to confirm.')},
    group=JobGroup.DANGER,
    deletes=ledger.clearable,
)
def clear_revenue_data(run: Run) -> ClearReport:
    """Delete the ledger's data. Callers ask for confirmation first."""
    done = ClearReport(ledger.clear(run=run))
    run.changed = True
    return done


@job(
    "backfill-app-names",
    report=naming.NamesReport,
    help="Look up app names of payments that have none.",
    group=JobGroup.REPAIR,
    params={
        "batchSize": Whole(default=500, cut_to=2000, help_text="Payments per batch."),
        "all": TrueOrFalse(default=False, help_text="All batches, regardless of pauses."),
    },
    keywords={"batchSize": "batch_size", "all": "everything"},
)
def backfill_app_names(run: Run, *, batch_size: int = 500, everything: bool = False) -> naming.NamesReport:
    """Look up app names of up to `batch_size` payments, or of `everything` regardless of pauses."""
    registry = app_registry(Http.from_settings())
    done = naming.resolve_names(registry=registry, now=timezone.now(), limit=batch_size, everything=everything)
    run.changed = bool(done.updated)
    return done


@job(
    "backfill-app-types",
    report=naming.TypesReport,
    help="Look up which named payments are git and which are docker deployments.",
    group=JobGroup.REPAIR,
)
def backfill_app_types(run: Run) -> naming.TypesReport:
    done = naming.retype_apps(registry=app_registry(Http.from_settings()), now=timezone.now())
    run.changed = bool(done.updated)
    return done


@job(
    "backfill-usd",
    report=pricing.UsdReport,
    help="Price payments without a USD value; force: price all payments of these days again.",
    group=JobGroup.REPAIR,
    form=DaysForm,
    params={
        "from": PastDay(help_text="First UTC day; default: that of the first payment."),
        "to": PastDay(help_text="Last UTC day; default: today."),
        "force": TrueOrFalse(default=False, help_text="Price priced payments too; closed days stay as they are."),
    },
    keywords={"from": "first", "to": "last"},
)
def backfill_usd(
    run: Run, *, first: date | str | None = None, last: date | str | None = None, force: bool = False
) -> pricing.UsdReport:
    """Price the payments of these days that have no USD value, where a trusted price is available.

    `force` prices all of them again and logs each changed day in the audit log. Days may be ISO dates.
    """
    http, now, first, last = Http.from_settings(), timezone.now(), _day(first), _day(last)
    if force:
        actor = pricing.Actor(actor_of(run.trigger))
        done = pricing.price_again(http=http, now=now, first=first, last=last, run=run, actor=actor)
    else:
        done = pricing.price_payments(http=http, now=now, first=first, last=last)
    run.changed = bool(done.updated)
    return done


def _day(value: date | str | None) -> date | None:
    """Return the day; jobs store their parameters as text."""
    return date.fromisoformat(value) if isinstance(value, str) else value


@job(
    "audit-transactions",
    report=chain_audit.AuditReport,
    help="Check the ledger's last blocks against the chain; fix: correct differences.",
    group=JobGroup.REPAIR,
    writes_ledger="fix",
    params={
        "blocks": Whole(default=4320, cut_to=100_000_000, help_text="Number of blocks, at most the whole chain."),
        "fix": TrueOrFalse(default=False, help_text="Correct differences."),
    },
)
def audit_revenue(run: Run, *, blocks: int = 4320, fix: bool = False) -> chain_audit.AuditReport:
    """Check the ledger's last blocks against the chain. A fix blocks syncs while it writes."""
    sources = chain_sources(Http.from_settings())
    done = chain_audit.audit_revenue(sources=sources, now=timezone.now(), run=run, blocks=blocks, fix=fix)
    run.changed = bool(done.fixed)
    return done


@job(
    "prune",
    report=ledger.PruneReport,
    help="Apply the retention policy.",
    group=JobGroup.DANGER,
    deletes=ledger.prunable,
)
def prune(run: Run) -> ledger.PruneReport:
    """Apply the retention policy to the ledger, runs and service checks."""
    done = ledger.prune(now=timezone.now(), run=run)
    run.changed = bool(done.closed_through)
    return done


def replace_day_prices(*, closes: Days, actor: pricing.Actor, trigger: str, wait: float = 0) -> Report:
    """Replace the stored closes of these days and price their payments."""
    with runs.run("backfill_usd", trigger=trigger, wait=wait) as run:
        updated = pricing.replace(closes, run=run, actor=actor)
        run.report = {"updated": updated, "remaining": Payment.objects.unpriced().count()}
    changed()
    return run.report


def refresh_price(*, trigger: str, wait: float = 0) -> Report:
    """Fetch the live price."""
    http = Http.from_settings()
    with runs.run("refresh_price", trigger=trigger, wait=wait) as run:
        quote = pricing.refresh_live_price(http=http, now=timezone.now())
        run.report = {"priceUsd": float(quote.price), "source": quote.source}
    return run.report


def read_pending(*, trigger: str, wait: float = 0) -> Report:
    """Fetch payments without enough confirmations."""
    sources = chain_sources(Http.from_settings())
    with runs.run("read_pending", trigger=trigger, wait=wait) as run:
        run.report = as_report(pending.read_pending(sources=sources, now=timezone.now(), run=run))
    return run.report
