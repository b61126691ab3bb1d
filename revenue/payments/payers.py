"""Find what one sender has paid, including pruned payments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Count, Max, Min, Sum

from fluxtracker.api.fields import Page
from revenue.labels import Senders
from revenue.models import Payment, PrunedPayment
from revenue.selectors import pruned_details_note, read_until


@dataclass(frozen=True, slots=True)
class Payer:
    """A sender: its current class and name, and everything it has paid."""

    address: str
    category: str
    words: str
    revenue_sat: int
    payments: int
    usd_micro: int
    priced: int
    first: date
    last: date
    kept: int
    """Number of payments that are not pruned."""
    as_of: datetime | None
    pruned_details_note: str = ""
    """Sentence about what may be missing."""

    @property
    def usd(self) -> int | None:
        return self.usd_micro if self.priced else None

    @property
    def usd_missing(self) -> int:
        return self.payments - self.priced

    @property
    def coverage(self) -> Mapping[str, float]:
        return {
            "kept_percent": round(self.kept * 100 / self.payments, 2),
            "priced_percent": round(self.priced * 100 / self.payments, 2),
        }

    @property
    def notes(self) -> Mapping[str, str]:
        notes = {} if self.priced else {"usd": "No payment has a price yet."}
        return notes | ({"totals": self.pruned_details_note} if self.pruned_details_note else {})


@dataclass(frozen=True, slots=True)
class PayerPage(Page):
    payer: Payer

    @property
    def apps(self) -> list[str]:
        return sorted({row["app__name"] for row in self.rows if row["app__name"]})


def find(address: str, today: date) -> Payer | None:
    """Return what the address has paid, None if nothing. Index-only at any number of payments."""
    kept = Payment.objects.filter(from_address=address).aggregate(
        sat=Sum("amount_sat"), rows=Count("id"), usd=Sum("usd_micro"), priced=Count("usd_micro"), **ENDS
    )
    pruned = PrunedPayment.objects.filter(from_address=address).aggregate(
        sat=Sum("amount_sat"), rows=Sum("payments"), usd=Sum("usd_micro"), priced=Sum("priced"), **ENDS
    )
    sides = [side for side in (kept, pruned) if side["rows"]]
    if not sides:
        return None
    senders = Senders.load()
    label = senders.label_of(address, today)
    sat, rows, usd, priced = (sum(side[name] or 0 for side in sides) for name in ("sat", "rows", "usd", "priced"))
    return Payer(
        address=address,
        category=senders.class_of(address, today),
        words=label.words if label else "",
        revenue_sat=sat,
        payments=rows,
        usd_micro=usd,
        priced=priced,
        first=min(side["first"] for side in sides),
        last=max(side["last"] for side in sides),
        kept=kept["rows"],
        as_of=read_until(),
        pruned_details_note=pruned_details_note(),
    )


ENDS = {"first": Min("day"), "last": Max("day")}
