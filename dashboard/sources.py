"""The foot of the page: every source, how it is, and how old what it told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict

from dashboard.definitions import SENTENCES
from dashboard.panels import Panel
from dashboard.trouble import trouble
from fluxtracker import figures
from metrics.latest import Latest
from revenue.models import LedgerState
from revenue.reports import Ledger


@dataclass(frozen=True, slots=True)
class SourceLine:
    """`read_at` None: never read. `trouble` is empty when all is well."""

    name: str
    read_at: datetime | None
    trouble: str


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    return {"sources": lines(now)}


def lines(now: datetime) -> list[SourceLine]:
    """Three queries."""
    latest = Latest.load(now)
    views = [latest.sources[name] for name in SENTENCES]
    return [_chain(now), *(SourceLine(SENTENCES[view.name], view.read_at, trouble(view)) for view in views)]


def _chain(now: datetime) -> SourceLine:
    completed_at = LedgerState.objects.values_list("completed_at", flat=True).first()
    late = Ledger(completed_at, None).is_stale(now)
    said = f"Payments: no sync has completed since {figures.moment(completed_at)}." if completed_at and late else ""
    return SourceLine("Payments", completed_at, said)


SOURCES = Panel("sources", "Sources", "parts/sources.html", read)
