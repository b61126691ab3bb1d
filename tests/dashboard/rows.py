"""Rows for the tests of the pages: a ledger that is in order now, and payments in it."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings

from carousel.models import Feed
from metrics.models import Source
from ops.models import WorkerSeen
from revenue.ledger import recompute_apps, recompute_days, writing
from revenue.models import App, Cursor, LedgerState, LivePrice, Payment, PendingPayments
from snapshots.models import Snapshot
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
    state.completed_at = state.settled_at = at
    state.settled_height = TIP - 7
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


CLOUD = {
    "total_cpu_cores": 54_451,
    "used_cpu_cores": 14_612.5,
    "total_ram_gb": 182_000.0,
    "used_ram_gb": 29_120.0,
    "total_storage_gb": 3_190_000.0,
    "used_storage_gb": 386_000.0,
}
NODES = {"node_cumulus": 3_378, "node_nimbus": 1_582, "node_stratus": 1_764, "node_total": 6_724}
APPS = {
    "total_apps": 12_480,
    "watchtower_count": 0,
    "gitapps_count": 1_857,
    "dockerapps_count": 10_623,
    "gaming_apps_total": 1_264,
    "crypto_nodes_total": 1_510,
    "wordpress_count": 763,
    "gaming_minecraft": 399,
    "gaming_valheim": 186,
    "gaming_palworld": 105,
    "gaming_fivem": 82,
    "gaming_rust": 12,
    "gaming_terraria": 3,
    "gaming_ark": 0,
    "crypto_presearch": 488,
    "crypto_kaspa": 12,
}
COUNTED = ("gaming_", "crypto_")


def network(at: datetime = NOW, **changed: Any) -> None:
    """Nodes, capacity and containers as last read."""
    for name, values in (("nodes", NODES), ("cloud", CLOUD), ("apps", APPS)):
        told = {key: changed.get(key, value) for key, value in values.items()}
        Source.objects.update_or_create(
            name=name, defaults={"values": told, "tried_at": at, "read_at": at, "error": ""}
        )
    Source.objects.update_or_create(name="specs", defaults={"tried_at": at, "read_at": at, "error": ""})


def tracked() -> None:
    """The apps that an installation begins with: a test of a browser leaves none of them."""
    import_module("metrics.migrations.0002_tracked_apps").seed(apps, None)


def snapshot(day: date, source: str = "taken", **changed: Any) -> Snapshot:
    """A day's row with the same figures as `network`, but for those that are changed."""
    values = NODES | CLOUD | APPS | changed
    tracked = {key for key in values if key.startswith(COUNTED) and not key.endswith("_total")}
    columns = {key: value for key, value in values.items() if key not in tracked}
    counts = {key: values[key] for key in tracked if values[key] is not None}
    return Snapshot.objects.create(day=day, source=source, made_at=NOW, counts=counts, **columns)


def feed(name: str, items: list[dict[str, Any]], at: datetime | None = NOW, **more: Any) -> None:
    """One of the rotating lists."""
    Feed.objects.update_or_create(name=name, defaults={"items": items, "read_at": at, "tried_at": at} | more)


def pending(*confirmations: int, at: datetime = NOW, **more: Any) -> None:
    """Payments of 3 FLUX that are not in the ledger, one with so many confirmations each."""
    payments = [
        {
            "txid": hashlib.sha256(f"pending {number}".encode()).hexdigest(),
            "vout": 0,
            "address": ADDRESS,
            "from_address": SENDER,
            "amount_sat": 3 * FLUX,
            "height": TIP - depth + 1 if depth else None,
            "confirmations": depth,
            "seen_at": at.isoformat(),
            "kind": "plain",
            "message_hash": "",
        }
        for number, depth in enumerate(confirmations)
    ]
    values = {"payments": payments, "source": "blockbook.test", "read_at": at, **more}
    PendingPayments.objects.update_or_create(id=1, defaults=values)
