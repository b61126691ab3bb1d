"""Show the payments that were seen and do not count yet, apart from the list of those that do."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from typing import Any

from django.http import QueryDict

from dashboard.panels.base import Panel
from dashboard.panels.payments.rows import unnamed
from revenue import pending
from revenue.selectors import ledger_stamp, transaction_url

SHOWN = 10  # the API lists all
ON_A_WALL = 3  # css/live.css hides the others there


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    found = pending.pending(now)
    payments = found.payments or []
    rows = [
        row | {"url": transaction_url(row["txid"]), "why": None if row["app"] else unnamed(row["kind"], 0)}
        for row in payments[:SHOWN]
    ]
    return {
        "pending": found, "rows": rows, "more": len(payments) - len(rows), "beyond": max(len(payments) - ON_A_WALL, 0),
    }  # fmt: skip


def stamp(query: QueryDict, now: datetime) -> Hashable:
    return ledger_stamp(), pending.stamp(now)


PENDING = Panel("pending", "Pending payments", "parts/pending.html", read, stamp)
