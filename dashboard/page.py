"""Everything the first page shows, read once: few small queries, no upstream."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashboard import earnings, payments, standing
from dashboard.earnings import Earnings
from dashboard.payments import Row
from dashboard.standing import Standing
from ops import health
from revenue.models import LedgerState, LivePrice


class NoDatabase(Exception):
    """The database cannot be reached, or is not migrated; the text is the health report's."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page's content without the time it is shown at: equal content is not sent twice."""

    standing: Standing
    earnings: Earnings
    payments: tuple[Row, ...]
    quarantined: int
    price_usd: Decimal | None
    price_source: str
    price_at: datetime | None

    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:24]


def read(now: datetime) -> Page:
    """NoDatabase or DatabaseError when there is nothing to read from."""
    report: dict[str, Any] = health.report(now)
    if report["db"]["status"] != "ok":
        raise NoDatabase(report["db"]["error"])
    completed_at = LedgerState.objects.values_list("completed_at", flat=True).first()
    price = LivePrice.objects.first()
    return Page(
        standing=standing.read(report, completed_at, now),
        earnings=earnings.read(now, completed_at),
        payments=tuple(payments.newest()),
        quarantined=report["quarantine"],
        price_usd=price.price_usd if price else None,
        price_source=price.source if price else "",
        price_at=price.read_at if price else None,
    )
