"""What an ETag over the ledger is made of."""

from __future__ import annotations

from datetime import date, datetime

from revenue.models import LedgerState

Stamp = tuple[int, datetime | None, int | None, date | None]


def ledger_stamp() -> Stamp | None:
    """Changes with every change of the ledger, and with every completed sync. One small query."""
    return LedgerState.objects.values_list("version", "completed_at", "tip_height", "closed_through").first()
