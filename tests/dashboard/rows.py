"""Rows for the tests of the pages: a ledger that is in order now, and payments in it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from ops.models import WorkerSeen
from revenue.ledger import recompute_apps, recompute_days, writing
from revenue.models import App, Cursor, LedgerState, LivePrice, Payment
from tests.factories import MAIN, TIP, AppFactory, PaymentFactory

NOW = datetime(2026, 11, 18, 14, 5, tzinfo=UTC)  # a Wednesday
ADDRESS = MAIN
SENDER = "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"
FLUX = 100_000_000
PRICE = Decimal("0.0744")


def synced(at: datetime = NOW) -> None:
    """Everything was read up to the tip, a worker lives, a price is known."""
    for tracked in settings.REVENUE_ADDRESSES:
        heights = {"first_height": tracked.first_height, "height": TIP - 7, "tip_height": TIP, "tip_hash": "ab" * 32}
        Cursor.objects.update_or_create(address=tracked.address, defaults=heights)
    state = LedgerState.load()
    state.tip_height, state.tip_hash, state.tip_changed_at = TIP, "ab" * 32, at
    state.completed_at = at
    state.save()
    WorkerSeen.objects.update_or_create(hostname="worker@test", defaults={"seen_at": at})
    LivePrice.objects.update_or_create(id=1, defaults={"price_usd": PRICE, "source": "coingecko", "read_at": at})


def pay(amount_sat: int = FLUX, *, at: datetime = NOW, app: str = "", priced: bool = True, **more: Any) -> Payment:
    """One payment with its totals."""
    of_app = AppFactory(name=app) if app else None
    row = made(Payment.objects.count(), at, of_app, amount_sat=amount_sat, price_usd=PRICE if priced else None, **more)
    store([row])
    return row


def many(count: int, app: App | None = None) -> None:
    """So many payments of 1 FLUX, a minute apart, newest first."""
    start = Payment.objects.count()
    store([made(number, NOW - timedelta(minutes=number), app) for number in range(start, start + count)])


def made(number: int, at: datetime, app: App | None, **more: Any) -> Payment:
    """A payment that is not stored yet; it says nothing of an app unless it has one."""
    values = {
        "txid": hashlib.sha256(str(number).encode()).hexdigest(),
        "from_address": SENDER,
        "amount_sat": FLUX,
        "price_usd": PRICE,
        "kind": "app" if app else "plain",
        "message_hash": "",
    }
    return PaymentFactory.build(paid_at=at, app=app, **values | more)


def store(payments: list[Payment]) -> None:
    """The payments, and the totals that belong to them."""
    with writing():
        Payment.objects.bulk_create(payments)
        recompute_days({(row.day, row.address) for row in payments})
        recompute_apps({row.app_id for row in payments if row.app_id})
