"""Summarise freshness, price, size and problems at the top of the page, and every source at its foot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import QueryDict

from dashboard import status
from dashboard.panels.base import Panel
from dashboard.panels.figures import Change, change, percent_words
from fluxtracker import formatting
from fluxtracker.api.conditional import make_etag
from metrics.catalogue import Number
from metrics.models import Source
from metrics.selectors import Latest, metrics_stamp
from metrics.status import NAMES, source_status
from ops import health
from ops.status import words
from revenue.models import DailyPrice, LedgerState, LivePrice
from revenue.selectors import ledger_stamp
from revenue.status import sync_part
from snapshots.models import Snapshot


@dataclass(frozen=True, slots=True)
class Price:
    """The last price. `change`: against yesterday's; None where nobody knows that one."""

    usd: Decimal
    source: str
    read_at: datetime
    change: Change | None
    yesterday: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; `why` says why nobody knows, `note` that the number is old."""

    label: str
    value: Number | None
    why: str
    note: str


def read_strip(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Few small queries; never asks an upstream."""
    found = health.look(now)
    completed_at = LedgerState.objects.values_list("completed_at", flat=True).first()
    latest = Latest.load(now)
    return {
        "standing": status.read(found, completed_at, now),
        "price": _price(now),
        "counts": (
            _count("nodes", "node_total", Source.Name.NODES, latest, now),
            _count("app containers", "total_apps", Source.Name.APPS, latest, now),
        ),
        "snapshot": _snapshot(now.date()),
        "quarantined": found.report["quarantine"],
        "version": make_etag(ledger_stamp(), metrics_stamp())[3:15],
    }


def _price(now: datetime) -> Price | None:
    live = LivePrice.objects.first()
    if live is None:
        return None
    yesterday = (
        DailyPrice.objects.filter(day=now.date() - timedelta(days=1)).values_list("price_usd", flat=True).first()
    )
    return Price(live.price_usd, live.source, live.read_at, _since(yesterday, live.price_usd), _words(yesterday))


def _since(before: Decimal | None, now: Decimal) -> Change | None:
    """In percent: the difference of two prices below a dollar says little."""
    if before is None:
        return None
    percentage = float(round((now - before) * 100 / before, 1)) or 0.0
    return change(percentage, percent_words)


def _words(yesterday: Decimal | None) -> str:
    return "" if yesterday is None else f"yesterday's price was {formatting.price(yesterday)}"


def _count(label: str, metric: str, source: str, latest: Latest, now: datetime) -> Count:
    said = words(source_status(latest.sources[source]), now, public=True)
    value = latest.values.get(metric)
    return Count(label, value, said or "This source does not tell it." if value is None else "", said)


def _snapshot(today: date) -> str:
    """Return the last day that has a snapshot, in words; empty when there is none."""
    day = Snapshot.objects.exclude(source=Snapshot.Source.BACKFILLED).values_list("day", flat=True).first()
    if day is None:
        return ""
    return "today" if day == today else f"{day.day} {day:%b %Y}" if day.year != today.year else f"{day.day} {day:%b}"


STRIP = Panel("strip", "Freshness", "parts/strip.html", read_strip)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """`read_at` None: never read. `trouble` is empty when all is well."""

    name: str
    read_at: datetime | None
    trouble: str


def read_sources(query: QueryDict, now: datetime) -> dict[str, Any]:
    return {"sources": lines(now)}


def lines(now: datetime) -> list[SourceLine]:
    """Few small queries."""
    latest = Latest.load(now)
    views = [latest.sources[name] for name in NAMES]
    return [
        _chain(now),
        *(SourceLine(NAMES[view.name], view.read_at, words(source_status(view), now, public=True)) for view in views),
    ]


def _chain(now: datetime) -> SourceLine:
    completed_at = LedgerState.objects.values_list("completed_at", flat=True).first()
    problem = words(sync_part(now).problems[0], now, public=True) if completed_at else ""
    return SourceLine("Payments", completed_at, problem)


SOURCES = Panel("sources", "Sources", "parts/sources.html", read_sources)
