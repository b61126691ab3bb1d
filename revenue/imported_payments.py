"""Import payments and prices from the previous tracker where the ledger has nothing better.

An imported payment is provisional: the window that reads its block replaces or removes it
(docs/contract.md#imported-rows). Blocks already read, or never to be read, are not imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from fluxtracker.batches import chunks
from revenue import ledger, pricing
from revenue.models import AppType, Cursor, DailyPrice, LedgerState, Payment, Quarantined
from revenue.sync.classify import FREE_CHANGE_SAT, FREE_CHANGE_SENDER

SOURCE = "import"
Guard = Callable[[], None]  # raises unless this process may still write


@dataclass(frozen=True, slots=True)
class OldPayment:
    """A payment as the old tracker stored it. None: not known."""

    txid: str
    address: str
    from_address: str | None
    amount_sat: int
    usd_micro: int | None
    height: int
    paid_at: datetime
    app: str | None
    app_type: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Number of rows imported, and of rows left out by reason."""

    rows: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Days on which the ledger takes no provisional rows."""

    first: Mapping[str, int]
    read: Mapping[str, range]
    closed_through: date | None
    waiting: frozenset[str]

    @classmethod
    def load(cls, state: LedgerState) -> Bounds:
        read = {row.address: range(row.first_height, row.height + 1) for row in Cursor.objects.all()}
        first = {tracked.address: tracked.first_height for tracked in settings.REVENUE_ADDRESSES}
        waiting = frozenset(Quarantined.objects.values_list("txid", flat=True))
        return cls(first, read, state.closed_through, waiting)

    def reason(self, old: OldPayment) -> str | None:
        """Return why the payment is left out, None if it is imported."""
        if old.address not in self.first:
            return "address not tracked"
        if old.height < self.first[old.address]:
            return "before the address's first height"
        if old.from_address in self.first:
            return "change"
        if old.from_address == FREE_CHANGE_SENDER and old.amount_sat == FREE_CHANGE_SAT:
            return "fee of a free change"
        if self.closed_through is not None and old.paid_at.date() <= self.closed_through:
            return "day is closed"
        if old.txid in self.waiting:
            return "in quarantine"
        if old.height in self.read.get(old.address, ()):
            return "not on the chain as it was read"
        return None


def import_payments(payments: Sequence[OldPayment], guard: Guard) -> Taken:
    """Import payments with a txid new to the ledger, and update totals and sums, in one transaction."""
    with ledger.writing() as state:
        guard()
        bounds, left_out = Bounds.load(state), Counter[str]()
        known = _known(payments)
        fresh: list[OldPayment] = []
        for old in payments:
            reason = "known already" if old.txid in known else bounds.reason(old)
            if reason is None:
                fresh.append(old)
                known.add(old.txid)
            else:
                left_out[reason] += 1
        _store(fresh)
    return Taken(len(fresh), left_out)


def _known(payments: Sequence[OldPayment]) -> set[str]:
    txids = sorted({old.txid for old in payments})
    return {
        txid for ids in chunks(txids) for txid in Payment.objects.filter(txid__in=ids).values_list("txid", flat=True)
    }


def _store(fresh: Sequence[OldPayment]) -> None:
    apps = ledger.app_ids({old.app for old in fresh if old.app})
    rows = [_row(old, apps) for old in fresh]
    Payment.objects.bulk_create(rows, batch_size=1_000)
    ledger.recompute_days({(row.day, row.address) for row in rows})
    ledger.recompute_apps({row.app_id for row in rows if row.app_id is not None})


def _row(old: OldPayment, apps: Mapping[str, int]) -> Payment:
    """Return a row without message hash: a payment whose message is unknown cannot be named."""
    return Payment(
        txid=old.txid, vout=None, address=old.address, from_address=old.from_address, amount_sat=old.amount_sat,
        height=old.height, paid_at=old.paid_at, day=old.paid_at.date(), usd_micro=old.usd_micro,
        kind=Payment.Kind.APP if old.app else Payment.Kind.PLAIN, app_id=apps[old.app] if old.app else None,
        app_type=old.app_type if old.app else AppType.UNKNOWN, source=Payment.Source.IMPORT,
    )  # fmt: skip


def import_prices(prices: Mapping[date, Decimal], today: date, guard: Guard) -> Taken:
    """Import prices of past days that have none, in one transaction."""
    with transaction.atomic():
        guard()
        known = set(DailyPrice.objects.exclude(price_usd=None).values_list("day", flat=True))
        new = {day: price for day, price in prices.items() if day < today and day not in known}
        # Replaces rows that only count failed attempts.
        pricing.save(DailyPrice(day=day, price_usd=price, source=SOURCE) for day, price in new.items())
    left_out = Counter("day is not over" if day >= today else "known already" for day in prices.keys() - new.keys())
    return Taken(len(new), left_out)
