from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from fluxtracker.upstream import trusted_price
from ops import leases
from ops.models import AuditEntry, Lease
from revenue.models import DailyPrice, LedgerState, Payment
from tests.dashboard.rows import NOW, pay, synced
from tests.revenue.fake_prices import FakePrices
from tests.revenue.ledger_checks import assert_sums_hold

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

URL = "/admin/revenue/dailyprice/"
DAY = NOW.date() - timedelta(days=9)


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> FakePrices:
    """Sources that know the day's close, and a ledger that has an absurd one."""
    market = FakePrices()
    monkeypatch.setattr(trusted_price, "daily_prices", market.daily_prices)
    market.by_day = {DAY: Decimal("0.0747")}
    synced()
    pay(2_593_000_000, at=NOW - timedelta(days=9), app="one")
    Payment.objects.update(price_usd=Decimal("74.4"))
    DailyPrice.objects.create(day=DAY, price_usd=Decimal("74.4"), source="coingecko")
    return market


def choose(client: Client, **more: Any) -> Any:
    return client.post(URL, {"action": "price_again", "_selected_action": [DAY.isoformat()], **more}, follow=True)


def shown_prices(body: str) -> str:
    found = re.search(r'name="prices" value="([^"]+)"', body)
    assert found
    return found[1]


@pytest.mark.engine
def test_old_and_new_price_are_shown_first_and_stored_when_confirmed(olivia: Client, market: FakePrices) -> None:
    page = choose(olivia).content.decode()
    assert ("$74.40 (coingecko)" in page, "$0.07470 (binance)" in page) == (True, True)
    assert DailyPrice.objects.get().price_usd == Decimal("74.4")
    market.by_day = {DAY: Decimal("0.09")}  # what was shown counts
    answer = choose(olivia, prices=shown_prices(page)).content.decode()
    assert "1 day and 1 payment priced again." in answer
    assert (DailyPrice.objects.get().price_usd, len(market.spans)) == (Decimal("0.0747"), 1)
    payment = Payment.objects.get()
    assert (payment.price_usd, payment.usd_micro) == (Decimal("0.0747"), 1_936_971)
    assert_sums_hold()
    entry = AuditEntry.objects.get(action="price day again")
    assert (entry.actor, entry.address, entry.outcome) == ("olivia", "127.0.0.1", "done")
    assert entry.detail == {
        "day": DAY.isoformat(), "old": "74.4000000000", "new": "0.0747", "source": "binance", "payments": 1,
    }  # fmt: skip


def test_where_no_price_can_be_trusted_there_is_nothing_to_confirm(olivia: Client, market: FakePrices) -> None:
    market.doubted = {DAY}
    page = choose(olivia).content.decode()
    assert "No price can be trusted: the old one stays." in page
    assert 'name="prices"' not in page


def test_with_all_sources_away_nothing_changes(olivia: Client, market: FakePrices) -> None:
    market.by_day = None
    assert "No price was changed: prices by day: HTTP 500." in choose(olivia).content.decode()


@pytest.mark.parametrize("forged", ["", "x", '{"2026-11-09": ["1", "binance"]}'])
def test_prices_that_were_not_shown_are_refused(olivia: Client, market: FakePrices, forged: str) -> None:
    assert "No price was changed" in choose(olivia, prices=forged).content.decode()
    assert DailyPrice.objects.get().price_usd == Decimal("74.4")


def test_closed_days_are_left(olivia: Client, market: FakePrices) -> None:
    page = choose(olivia).content.decode()
    LedgerState.objects.update(closed_through=DAY)
    assert "these days are closed" in choose(olivia).content.decode()
    choose(olivia, prices=shown_prices(page))
    assert DailyPrice.objects.get().price_usd == Decimal("74.4")


def test_while_another_is_pricing_nothing_changes(
    olivia: Client, market: FakePrices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("revenue.admin.LEASE_WAIT_S", 0)
    page = choose(olivia).content.decode()
    Lease.objects.update_or_create(
        name="backfill_usd",
        defaults={"holder": "elsewhere:1:1.00:x", "expires_at": leases.database_now() + timedelta(minutes=1)},
    )
    assert "No price was changed: " in choose(olivia, prices=shown_prices(page)).content.decode()
    assert DailyPrice.objects.get().price_usd == Decimal("74.4")


def test_who_may_only_look_cannot_price(victor: Client, market: FakePrices) -> None:
    choose(victor)
    assert market.spans == []
    assert "Price this day again" not in victor.get(URL).content.decode()
    victor_user = AuditEntry._meta.apps.get_model("auth", "User").objects.get(username="victor")
    victor_user.user_permissions.add(Permission.objects.get(codename="change_dailyprice"))
    assert "Price this day again" in victor.get(URL).content.decode()
