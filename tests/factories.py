"""Make rows for tests. `settle()` updates totals and sums, as a sync does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import connection, models
from factory.django import DjangoModelFactory

from fluxtracker import money
from revenue import ledger
from revenue.models import App, Cursor, Payment

MAIN = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"
SECOND = "t3aGJvdtd8NR6GrnqnRuVEzH6MbrXuJFLUX"
THIRD = "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"
SENDER = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TIP = 2_996_915
AS_COMPLETED = datetime.min.replace(tzinfo=UTC)


def digest(*words: object) -> str:
    return hashlib.sha256(":".join(map(str, words)).encode()).hexdigest()


class AppFactory(DjangoModelFactory):
    class Meta:
        model = App
        django_get_or_create = ("name",)

    name = factory.Sequence(lambda n: f"app{n}")


class PaymentFactory(DjangoModelFactory):
    """A priced payment of 25.93 FLUX on 2026-11-20, one minute after the one made before."""

    class Meta:
        model = Payment

    txid = factory.Sequence(lambda n: digest("tx", n))
    vout = 0
    address = MAIN
    from_address = SENDER
    amount_sat = 2_593_000_000
    height = factory.LazyAttribute(lambda row: TIP - 100 + int((row.paid_at - NOON) / timedelta(seconds=30)))
    block_hash = factory.LazyAttribute(lambda row: digest("block", row.height))
    paid_at = factory.Sequence(lambda n: NOON + timedelta(minutes=n % 600))
    day = factory.LazyAttribute(lambda row: row.paid_at.date())
    kind = Payment.Kind.APP
    message_hash = factory.LazyAttribute(lambda row: digest("message", row.txid))
    app_type = "docker"
    price_usd = Decimal("0.0750000000")
    usd_micro = factory.LazyAttribute(
        lambda row: None if row.price_usd is None else money.usd_micro(row.amount_sat, row.price_usd)
    )


def pay(flux: str = "25.93", *, app: str = "", at: datetime | None = None, **values: object) -> Payment:
    """A payment as people say it: an amount in FLUX, an app's name, an instant."""
    if at is not None:
        values["paid_at"] = at
    if app:
        values["app"] = AppFactory(name=app)
    return PaymentFactory(amount_sat=int(Decimal(flux) * money.SAT), **values)


def imported(**values: object) -> Payment:
    """A row of the tracker that was replaced: no vout."""
    return PaymentFactory(vout=None, source=Payment.Source.IMPORT, **values)


def settle(
    completed_at: datetime | None = NOON + timedelta(hours=10),
    *,
    settled_at: datetime | None = AS_COMPLETED,
    tip: int = TIP,
    closed_through: date | None = None,
    change: Callable[[], object] = lambda: None,
) -> None:
    """Bring totals and sums in line with the rows and say that a sync completed, with the chain's time as ours."""
    with ledger.writing() as state:
        change()
        ledger.recompute_days(set(Payment.objects.values_list("day", "address")))
        ledger.recompute_apps(App.objects.values_list("id", flat=True))
        state.completed_at = state.tip_changed_at = completed_at
        state.settled_at = completed_at if settled_at == AS_COMPLETED else settled_at
        state.settled_height = tip - settings.MIN_CONFIRMATIONS + 1
        state.tip_height, state.tip_hash, state.tip_source = tip, digest("block", tip), "blockbook.test"
        state.closed_through = closed_through
        state.save()
    for tracked in settings.REVENUE_ADDRESSES:
        Cursor.objects.update_or_create(
            address=tracked.address,
            defaults={
                "first_height": tracked.first_height,
                "height": tip - settings.MIN_CONFIRMATIONS + 1,
                "tip_height": tip,
                "tip_hash": digest("block", tip),
            },
        )


class Remembered:
    """Rows that one function makes: by the function the first time, copied into the tables after that.

    For a test that undoes what it wrote, on a database that is as it was before the first time.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        self.rows: dict[type[models.Model], list[models.Model]] | None = None
        self.result: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Fill the database; return what the function returned the first time."""
        if self.rows is not None:
            self._copy(self.rows)
            return self.result
        before = _every_row()
        self.result = self.make(*arguments)
        after = _every_row()
        self.rows = {model: rows for model, rows in after.items() if _values(rows) != _values(before[model])}
        return self.result

    def _copy(self, rows: dict[type[models.Model], list[models.Model]]) -> None:
        with connection.cursor() as cursor:
            for model in rows:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")
            for model, made in rows.items():
                _store(model, made)
            for statement in connection.ops.sequence_reset_sql(no_style(), list(rows)):
                cursor.execute(statement)


def _store(model: type[models.Model], rows: list[models.Model]) -> None:
    """As they are: `bulk_create` sets the times of a change again."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    size = connection.ops.bulk_batch_size(fields, rows)
    for start in range(0, len(rows), size):
        model._base_manager.all()._insert(rows[start : start + size], fields, raw=True, using=connection.alias)  # type: ignore[attr-defined]


def _every_row() -> dict[type[models.Model], list[models.Model]]:
    found = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    return {model: list(model._base_manager.all()) for model in found if not model._meta.proxy}


def _values(rows: list[models.Model]) -> list[dict[str, Any]]:
    return [{key: value for key, value in vars(row).items() if key != "_state"} for row in rows]
