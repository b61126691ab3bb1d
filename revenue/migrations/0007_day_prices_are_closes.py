"""Prices of days are closes from now on: moves those of CoinGecko by a day, and prices payments again.

CoinGecko's point at 00:00 of a day, which stood for the day, is the close of the day before.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.db import migrations, models
from django.db.models import Count, F, Sum

from ops.data_migrations import MendRows

DAY = timedelta(days=1)
BATCH = 1_000  # rows of one statement
SET_USD = """
    UPDATE revenue_payment SET price_usd = told.column2, usd_micro = told.column3
    FROM (VALUES {rows}) AS told WHERE revenue_payment.id = told.column1
"""


def price_by_closes(apps: Any, schema_editor: Any) -> None:
    """Move the prices, then bring each payment with a price to the close of its day; without a close it waits again.

    One transaction, a day in memory at a time. Closed days have no payments left, and their totals stay.
    """
    connection = schema_editor.connection
    prices = apps.get_model("revenue", "DailyPrice").objects.using(connection.alias)
    state = apps.get_model("revenue", "LedgerState").objects.using(connection.alias).filter(id=1)
    list(state.select_for_update())  # one writer of the ledger at a time
    old = dict(prices.filter(source="coingecko", price_usd__isnull=False).values_list("day", "price_usd"))
    for day in old:
        close = old.get(day + DAY)
        prices.filter(day=day).update(price_usd=close, source="coingecko" if close else "")
    closes = dict(prices.filter(price_usd__isnull=False).values_list("day", "price_usd"))
    unknown = {day: price for day, price in old.items() if day not in closes}
    again, waiting = _price_payments(apps, connection, closes, unknown)
    state.update(version=F("version") + 1)
    if old or again:
        sys.stdout.write(
            f"\n    Prices of days: {len(old) - len(unknown)} moved to their closes, {len(unknown)} to be asked for again."
            f"\n    Payments: {again} priced again, {waiting} wait for a price.\n"
        )


def _price_payments(
    apps: Any, connection: Any, closes: dict[date, Decimal], unknown: dict[date, Decimal]
) -> tuple[int, int]:
    """Return how many payments got another price, and how many lost theirs."""
    payments = apps.get_model("revenue", "Payment").objects.using(connection.alias).order_by()
    again = waiting = 0
    worth: Counter[int] = Counter()
    priced: Counter[int] = Counter()
    for day in sorted({*closes, *unknown}):
        close = closes.get(day)
        rows = payments.filter(day=day, price_usd__isnull=False)
        rows = rows.exclude(price_usd=close) if close else rows.filter(price_usd=unknown[day])
        changes: list[tuple[int, Decimal | None, int | None]] = []
        for pk, amount_sat, app, before in rows.values_list("id", "amount_sat", "app_id", "usd_micro"):
            usd = _usd_micro(amount_sat, close) if close else None
            changes.append((pk, close, usd))
            worth[app] += (usd or 0) - before
            priced[app] -= usd is None
        _set_usd(connection, changes)
        if changes:
            _recompute_day(apps, connection, payments, day)
            again, waiting = (again + len(changes), waiting) if close else (again, waiting + len(changes))
    app_rows = apps.get_model("revenue", "App").objects.using(connection.alias)
    for app in worth:
        app_rows.filter(pk=app).update(usd_micro=F("usd_micro") + worth[app], priced=F("priced") + priced[app])
    return again, waiting


def _usd_micro(amount_sat: int, price: Decimal) -> int:
    return int((Decimal(amount_sat) * price * 1_000_000 / 100_000_000).quantize(Decimal(1), ROUND_HALF_EVEN))


def _set_usd(connection: Any, changes: list[tuple[int, Decimal | None, int | None]]) -> None:
    for start in range(0, len(changes), BATCH):
        some = changes[start : start + BATCH]
        values = [
            value
            for pk, price, usd in some
            for value in (pk, connection.ops.adapt_decimalfield_value(price, max_digits=20, decimal_places=10), usd)
        ]
        places = ", ".join(["(%s, CAST(%s AS numeric), CAST(%s AS bigint))"] * len(some))
        with connection.cursor() as cursor:
            cursor.execute(SET_USD.format(rows=places), values)


def _recompute_day(apps: Any, connection: Any, payments: Any, day: date) -> None:
    totals = apps.get_model("revenue", "DailyTotal").objects.using(connection.alias)
    sums = payments.filter(day=day).values("address").annotate(priced=Count("usd_micro"), worth=Sum("usd_micro"))
    for row in sums:
        totals.filter(day=day, address=row["address"]).update(usd_micro=row["worth"] or 0, priced=row["priced"])


class Migration(migrations.Migration):
    dependencies = [
        ("revenue", "0006_proof"),
    ]

    operations = [
        migrations.AddField(
            model_name="dailyprice",
            name="doubt",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The last price that came and was not trusted.",
                max_length=60,
            ),
        ),
        MendRows(price_by_closes),
    ]
