"""Refresh the live price and the pending payments, and replace the closes of days."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from fluxtracker.api.report_serializers import as_report
from fluxtracker.upstream.clients import chain_sources
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.trusted_price import Days
from ops.jobs import runs
from ops.registry import changed
from revenue import pending, pricing
from revenue.models import Payment

Report = dict[str, Any]


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
