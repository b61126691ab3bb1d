"""Prices that cannot be true, are old or were never traded, as the commands and the API meet them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone

from fluxtracker.upstream.price_feeds import DAY
from ops.models import AuditEntry
from revenue import ledger
from revenue.models import App, DailyPrice, DailyTotal, LedgerState, LivePrice, Payment
from tests.revenue.ledger_checks import assert_sums_hold
from tests.simnet.control import Kind

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

GECKO_NOW, GECKO_DAYS = "^/coingecko/simple", "^/coingecko/coins"
OTHERS = "^/(binance|explorer|cryptocompare)"
TRUE_PRICE = (Decimal("0.05"), Decimal("0.25"))  # what the simulated market never leaves


def assert_priced_truly(world) -> None:
    """Every payment has a true price, and that of its day's close where the day has one."""
    assert Payment.objects.exists()
    for day, price in Payment.objects.values_list("day", "price_usd").distinct():
        assert TRUE_PRICE[0] < price < TRUE_PRICE[1], (day, price)
    closes = dict(DailyPrice.objects.values_list("day", "price_usd"))
    over = Payment.objects.filter(day__lt=timezone.now().date()).values_list("day", "price_usd").distinct()
    assert all(
        price == closes[day] == pytest.approx(Decimal(world.day_price(day)), abs=Decimal("6e-5")) for day, price in over
    )
    assert_sums_hold()


def metrics(client):
    answer = client.get("/api/metrics/current").json()
    return answer["revenue"]["fluxPriceUsd"], answer["sources"]["price"]


def test_one_absurd_answer_gives_way_to_the_next_source(sim, in_process, client):
    sim.faults.add(Kind.ABSURD_PRICE, GECKO_NOW, times=1)
    assert in_process("collect_metrics").code == 0
    price, source = metrics(client)
    assert (price, source["status"]) == (pytest.approx(sim.world.live_price(), rel=1e-3), "ok")


def test_an_absurd_price_without_a_second_source_prices_nothing_and_leaves_the_last_one_stale(sim, in_process, client):
    assert in_process("collect_metrics").code == 0
    before, read_at = metrics(client)[0], LivePrice.objects.get().read_at
    sim.faults.add(Kind.HTTP_500, f"{OTHERS}|{GECKO_DAYS}")
    absurd = sim.faults.add(Kind.ABSURD_PRICE, GECKO_NOW)
    sim.world.mine(1, [sim.world.payment(sat=2_593_000_000)])
    sim.world.mine(10)
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        report = in_process("collect_metrics", "--json").report
        price, source = metrics(client)
        assert in_process("sync_revenue", "--json").report["priced"] is None
        daily = client.get("/api/revenue/daily?days=2").json()["data"]
    assert (report["sources"]["price"], source["status"], price) == ("stale", "stale", before)
    assert "2.5 times off" in source["error"]
    assert (absurd.hits > 0, LivePrice.objects.get().read_at) == (True, read_at)
    assert not Payment.objects.exclude(usd_micro=None).exists()
    assert [row["daily_revenue_usd"] for row in daily if row["payments"]] == [None] * sum(
        row["payments"] > 0 for row in daily
    )
    sim.faults.clear()
    assert in_process("sync_revenue").code == 0
    assert in_process("backfill_usd", "--json").report["remaining"] == 0
    assert_priced_truly(sim.world)


@pytest.mark.parametrize("kind", [Kind.OLD_CANDLE, Kind.NO_TRADES])
def test_a_candle_that_is_old_or_was_not_traded_is_no_price_of_now(sim, in_process, client, kind):
    sim.faults.add(kind, "^/binance")
    sim.faults.add(Kind.HTTP_500, "^/(coingecko|explorer|cryptocompare)")
    assert in_process("collect_metrics", "--json").report["sources"]["price"] == "failed"
    price, source = metrics(client)
    assert (price, source["status"]) == (None, "failed")


def test_a_price_that_coingecko_keeps_for_200_days_is_none_of_now(sim, in_process, client):
    sim.faults.add(Kind.OLD_CANDLE, GECKO_NOW)
    sim.faults.add(Kind.ABSURD_PRICE, GECKO_NOW)
    assert in_process("collect_metrics").code == 0
    assert metrics(client)[1]["coverage"] == {"from": "explorer"}


@pytest.mark.parametrize("path", [GECKO_DAYS, "^/binance", f"{GECKO_DAYS}|^/binance"])
def test_an_absurd_point_of_a_history_is_not_stored(sim, in_process, path):
    sim.faults.add(Kind.ABSURD_PRICE, path)
    assert in_process("sync_revenue").code == 0
    stored = DailyPrice.objects.filter(price_usd__isnull=False).values_list("price_usd", flat=True)
    assert stored
    assert all(TRUE_PRICE[0] < price < TRUE_PRICE[1] for price in stored)
    waiting = Payment.objects.unpriced()
    assert set(waiting.values_list("day", flat=True)) <= set(
        DailyPrice.objects.exclude(doubt="").values_list("day", flat=True)
    )
    sim.faults.clear()
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert in_process("backfill_usd", "--json").report["remaining"] == 0
    assert_priced_truly(sim.world)


def test_days_without_trades_wait(sim, in_process):
    sim.faults.add(Kind.NO_TRADES, "^/(coingecko/coins|binance)")
    assert in_process("sync_revenue").code == 0
    yesterday = timezone.now().date() - DAY
    assert not DailyPrice.objects.filter(price_usd__isnull=False).exists()
    assert not Payment.objects.filter(day__lt=yesterday, usd_micro__isnull=False).exists()


def test_each_source_alone_gives_the_same_closes(build, in_process, settings):
    closes = {}
    for name in ("coingecko", "binance", "cryptocompare"):
        sim = build(payments=60, days=300, seed=7)
        settings.CRYPTOCOMPARE_API_KEY = "key"
        others = {"coingecko", "binance", "cryptocompare"} - {name}
        sim.faults.add(Kind.HTTP_500, f"^/({'|'.join(others)})/(coins|klines|v2)")
        assert in_process("sync_revenue").code == 0
        closes[name] = {
            day: round(price, 3)
            for day, price, source in DailyPrice.objects.exclude(price_usd=None).values_list(
                "day", "price_usd", "source"
            )
        }
        assert set(DailyPrice.objects.exclude(price_usd=None).values_list("source", flat=True)) == {name}
        assert in_process("clear_revenue_data", "--yes").code == 0
        DailyPrice.objects.all().delete()
    days = set.intersection(*(set(found) for found in closes.values()))
    assert len(days) > 30
    assert all(abs(closes[name][day] - closes["coingecko"][day]) <= Decimal("0.001") for name in closes for day in days)


# Pricing again


@pytest.fixture
def spoiled(sim, in_process) -> date:
    """A ledger in which one day was priced a thousand times too high. Answers the day."""
    assert in_process("sync_revenue").code == 0
    day = Payment.objects.filter(day__lt=timezone.now().date() - 30 * DAY).latest("paid_at").day
    with ledger.writing():
        DailyPrice.objects.filter(day=day).update(price_usd=Decimal("74.4"))
        for payment in Payment.objects.filter(day=day):
            Payment.objects.filter(pk=payment.pk).update(
                price_usd=Decimal("74.4"), usd_micro=payment.amount_sat * 744 // 1000
            )
        ledger.recompute_days(set(Payment.objects.filter(day=day).values_list("day", "address")))
        ledger.recompute_apps(App.objects.values_list("id", flat=True))
    assert_sums_hold()
    return day


def test_without_force_a_stored_price_stays(sim, spoiled, in_process):
    assert in_process("backfill_usd", "--json").report == {"updated": 0, "remaining": 0}
    assert set(Payment.objects.filter(day=spoiled).values_list("price_usd", flat=True)) == {Decimal("74.4")}


def test_with_force_a_day_is_priced_again_and_the_audit_log_says_what_changed(sim, spoiled, in_process):
    others = set(Payment.objects.exclude(day=spoiled).values_list("id", "price_usd", "usd_micro"))
    count = Payment.objects.filter(day=spoiled).count()
    report = in_process("backfill_usd", "--from", str(spoiled), "--to", str(spoiled), "--force", "--json").report
    assert report == {"updated": count, "remaining": 0, "closedDays": 0}
    assert_priced_truly(sim.world)
    assert set(Payment.objects.exclude(day=spoiled).values_list("id", "price_usd", "usd_micro")) == others
    command, day = AuditEntry.objects.all()[:2]
    new = DailyPrice.objects.get(day=spoiled)
    assert (command.action, command.detail) == ("backfill_usd", {
        "force": True, "from": str(spoiled), "to": str(spoiled), "updated": count, "remaining": 0, "closedDays": 0,
    })  # fmt: skip
    assert (day.actor, day.action, day.detail["day"]) == ("command", "price day again", str(spoiled))
    assert (Decimal(day.detail["old"]), Decimal(day.detail["new"])) == (Decimal("74.4"), new.price_usd)
    assert (day.detail["payments"], day.detail["source"]) == (count, new.source)


def test_without_days_force_prices_everything_again_and_changes_what_was_wrong(sim, spoiled, in_process):
    report = in_process("backfill_usd", "--force", "--json").report
    assert (report["updated"], report["remaining"]) == (Payment.objects.count(), 0)
    assert_priced_truly(sim.world)
    assert [entry.detail["day"] for entry in AuditEntry.objects.filter(action="price day again")] == [str(spoiled)]


def test_where_no_price_can_be_trusted_the_old_one_stays_and_is_counted(sim, spoiled, in_process):
    sim.faults.add(Kind.NO_TRADES, "^/(coingecko/coins|binance)")
    count = Payment.objects.filter(day=spoiled).count()
    report = in_process("backfill_usd", "--from", str(spoiled), "--to", str(spoiled), "--force", "--json").report
    assert (report["updated"], report["remaining"]) == (0, count)
    assert set(Payment.objects.filter(day=spoiled).values_list("price_usd", flat=True)) == {Decimal("74.4")}


def test_with_all_sources_away_force_changes_nothing_and_fails(sim, spoiled, in_process):
    sim.faults.add(Kind.HTTP_500, "^/(coingecko|binance|explorer)")
    before = set(Payment.objects.values_list("id", "price_usd"))
    outcome = in_process("backfill_usd", "--from", str(spoiled), "--force", "--json")
    assert (outcome.code, "binance" in outcome.reason) == (1, True)
    assert set(Payment.objects.values_list("id", "price_usd")) == before


def test_closed_days_keep_their_totals_and_are_told(sim, spoiled, in_process, settings):
    settings.RETENTION_DAYS = (timezone.now().date() - spoiled).days - 5
    assert in_process("prune").code == 0
    closed = LedgerState.load().closed_through
    assert spoiled <= closed
    totals = set(DailyTotal.objects.filter(day__lte=closed).values_list("day", "address", "usd_micro", "priced"))
    report = in_process("backfill_usd", "--force", "--json").report
    days = DailyTotal.objects.filter(day__lte=closed).values("day").distinct().count()
    assert (report["updated"], report["closedDays"]) == (Payment.objects.count(), days)
    assert (
        set(DailyTotal.objects.filter(day__lte=closed).values_list("day", "address", "usd_micro", "priced")) == totals
    )
    assert DailyPrice.objects.get(day=spoiled).price_usd == Decimal("74.4")


def test_todays_absurd_dollars_are_priced_again_at_the_price_of_now(sim, in_process):
    today = timezone.now().date()
    sim.world.mine(1, [sim.world.payment(sat=2_593_000_000)])
    sim.world.mine(10)
    assert in_process("sync_revenue").code == 0
    Payment.objects.filter(day__gte=today).update(price_usd=Decimal("74.4"), usd_micro=1_929_192_000)
    LivePrice.objects.update(price_usd=Decimal("74.4"))
    days = ("--from", str(today), "--to", str(today))
    assert (
        in_process("backfill_usd", *days, "--force", "--json").report["updated"]
        == Payment.objects.filter(day=today).count()
    )
    assert LivePrice.objects.get().price_usd < 1
    assert all(price < 1 for price in Payment.objects.filter(day=today).values_list("price_usd", flat=True))
