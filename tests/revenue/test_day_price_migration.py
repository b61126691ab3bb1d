"""What the upgrade makes of prices that stood for the day after the one that they closed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from fluxtracker import money
from revenue import ledger
from revenue.models import App, DailyPrice, DailyTotal, LedgerState, Payment
from tests.dashboard.rows import pay
from tests.revenue.ledger_checks import assert_sums_hold

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAYS = [NOON.date() + timedelta(days=n) for n in range(6)]
NAME = "0007_day_prices_are_closes"


def migrate():
    """Run the step with the tables as that migration knows them."""
    apps = MigrationLoader(connection).project_state(("revenue", NAME)).apps
    module = import_module(f"revenue.migrations.{NAME}")
    module.price_by_closes(apps, SimpleNamespace(connection=connection))


def store(day, price, source="coingecko"):
    DailyPrice.objects.create(day=day, price_usd=price and Decimal(price), source=source)


def paid(day, price, **options):
    payment = pay(1_234_567_890, at=NOON + (day - DAYS[0]), priced=False, **options)
    if price:
        payment.price_usd = Decimal(price)
        payment.usd_micro = money.usd_micro(payment.amount_sat, payment.price_usd)
        payment.save()
        with ledger.writing():
            ledger.recompute_days({(payment.day, payment.address)})
            ledger.recompute_apps(App.objects.values_list("id", flat=True))
    return payment


@pytest.fixture(autouse=True)
def _state():
    LedgerState.load()


def stored_prices():
    return {
        day: price and f"{price.normalize():f}"
        for day, price in Payment.objects.order_by("paid_at").values_list("day", "price_usd")
    }


def test_coingeckos_prices_move_to_the_day_they_closed_and_payments_follow(capsys):
    for day, price in zip(DAYS[:4], ("0.081", "0.08", "0.079", "0.078"), strict=True):
        store(day, price)
        paid(day, price, app="one")
    version = LedgerState.load().version
    migrate()
    closes = {
        day: price and f"{price.normalize():f}" for day, price in DailyPrice.objects.values_list("day", "price_usd")
    }
    expected = dict(zip(DAYS[:4], ("0.08", "0.079", "0.078", None), strict=True))
    assert closes == expected
    assert stored_prices() == expected
    assert LedgerState.load().version > version
    assert_sums_hold()
    told = capsys.readouterr().out
    assert "3 moved to their closes, 1 to be asked for again" in told
    assert "3 priced again, 1 wait for a price" in told


def test_a_day_before_another_source_is_asked_for_again_and_the_other_source_stays():
    store(DAYS[0], "0.081")
    store(DAYS[1], "0.08", "binance")
    paid(DAYS[0], "0.081")
    paid(DAYS[1], "0.08")
    migrate()
    assert stored_prices() == {DAYS[0]: None, DAYS[1]: "0.08"}
    assert DailyPrice.objects.get(day=DAYS[0]).source == ""


def test_live_prices_give_way_to_the_close_where_that_is_known_and_stay_where_not():
    store(DAYS[0], "0.081")
    store(DAYS[1], "0.08")
    paid(DAYS[0], "0.0815")
    paid(DAYS[1], "0.0807")
    paid(DAYS[5], "0.07")
    migrate()
    assert stored_prices() == {DAYS[0]: "0.08", DAYS[1]: "0.0807", DAYS[5]: "0.07"}
    assert_sums_hold()


def test_closed_days_and_imported_values_stay_as_they_are(capsys):
    store(DAYS[0], "0.081")
    store(DAYS[1], "0.08")
    DailyTotal.objects.create(day=DAYS[0], address="t1closed", revenue_sat=5, payments=1, usd_micro=9, priced=1)
    LedgerState.objects.update(closed_through=DAYS[0])
    imported = paid(DAYS[1], None)
    Payment.objects.filter(pk=imported.pk).update(vout=None, source="import", usd_micro=7)
    with ledger.writing():
        ledger.recompute_days({(imported.day, imported.address)})
    migrate()
    assert DailyTotal.objects.get(day=DAYS[0]).usd_micro == 9
    assert Payment.objects.get().usd_micro == 7
    assert "Payments: 0 priced again, 0 wait" in capsys.readouterr().out


def test_an_empty_or_young_ledger_is_told_nothing(capsys):
    migrate()
    store(DAYS[0], "0.081", "binance")
    paid(DAYS[0], "0.081")
    migrate()
    assert capsys.readouterr().out == ""


def test_more_payments_of_a_day_than_one_statement_takes_are_priced():
    store(DAYS[0], "0.081")
    store(DAYS[1], "0.08")
    first = paid(DAYS[0], "0.081", app="one")
    price = Decimal("0.081")
    rows = [
        Payment(
            txid=f"{number:064x}", vout=1, address=first.address, height=number, app=first.app, day=first.day,
            paid_at=first.paid_at, amount_sat=10**9 + number, price_usd=price,
            usd_micro=money.usd_micro(10**9 + number, price),
        )
        for number in range(2_500)
    ]  # fmt: skip
    Payment.objects.bulk_create(rows)
    with ledger.writing():
        ledger.recompute_days({(first.day, first.address)})
        ledger.recompute_apps([first.app_id])
    migrate()
    assert_sums_hold()
    for payment in Payment.objects.all():
        assert payment.usd_micro == money.usd_micro(payment.amount_sat, Decimal("0.08"))
