"""The foot of the page: every source, how it is, and how old what it told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict

from dashboard.definitions import SENTENCES
from dashboard.panels import Panel
from dashboard.problems import payments
from dashboard.trouble import trouble
from metrics.latest import Latest
from revenue.models import LedgerState
from revenue.standing import sync_report


@dataclass(frozen=True, slots=True)
class SourceLine:
    """`read_at` None: never read. `trouble` is empty when all is well."""

    name: str
    read_at: datetime | None
    trouble: str


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    return {"sources": lines(now)}


def lines(now: datetime) -> list[SourceLine]:
    """Few small queries."""
    latest = Latest.load(now)
    views = [latest.sources[name] for name in SENTENCES]
    return [_chain(now), *(SourceLine(SENTENCES[view.name], view.read_at, trouble(view)) for view in views)]


def _chain(now: datetime) -> SourceLine:
    completed_at = LedgerState.objects.values_list("completed_at", flat=True).first()
    return SourceLine("Payments", completed_at, payments(sync_report(now)) if completed_at else "")


SOURCES = Panel("sources", "Sources", "parts/sources.html", read)
