import hashlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker import money
from fluxtracker.upstream import trusted_price
from fluxtracker.upstream.http.errors import Unavailable
from revenue import alert_rules, ledger
from revenue.models import App, DailyPrice, DailyTotal, LedgerState, LivePrice, Payment
from revenue.pricing import UsdReport, price_payments, refresh_live_price
from tests.revenue.fake_prices import FakePrices
from tests.revenue.ledger_checks import assert_sums_hold

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TODAY = NOW.date()
ADDRESS = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"
DAY = timedelta(days=1)


@pytest.fixture
def market(monkeypatch):
    market = FakePrices()
    monkeypatch.setattr(trusted_price, "live_price", market.live_price)
    monkeypatch.setattr(trusted_price, "daily_prices", market.daily_prices)
    return market


@pytest.fixture(autouse=True)
def _state():
    LedgerState.load()


def pay(age, sat=1_000_000_000, address=ADDRESS, app=None):
    paid_at = NOW - age
    txid = hashlib.sha256(f"{age} {sat} {address} {Payment.objects.count()}".encode()).hexdigest()
    payment = Payment.objects.create(
        txid=txid,
        vout=0,
        address=address,
        from_address="t1sender",
        amount_sat=sat,
        height=10,
        paid_at=paid_at,
        day=paid_at.date(),
        app=app,
    )
    with ledger.writing():
        ledger.recompute_days({(payment.day, payment.address)})
        ledger.recompute_apps([app.pk] if app else [])
    return payment


def run(now=NOW, **how):
    report = price_payments(http=None, now=now, **how)
    assert_sums_hold()
    return report


def usd(payment):
    payment.refresh_from_db()
    return payment.usd_micro


def test_a_payment_of_today_takes_the_live_price(market):
    payment = pay(timedelta(hours=11, minutes=59))
    assert (run().updated, run().remaining) == (1, 0)
    assert usd(payment) == 800_000
    assert payment.price_usd == Decimal("0.08")
    assert market.spans == []


def test_a_payment_of_the_last_24_hours_takes_the_live_price_while_its_day_has_no_close(market):
    payment = pay(timedelta(hours=23, minutes=59))
    assert (run().updated, run().remaining) == (1, 0)
    assert (usd(payment), market.spans) == (800_000, [(TODAY - DAY, TODAY - DAY)])


def test_a_payment_of_the_last_24_hours_takes_the_close_of_its_day_when_that_is_known(market):
    payment = pay(timedelta(hours=13))
    market.by_day = {TODAY - DAY: Decimal("0.05")}
    run()
    assert (usd(payment), market.live_asked) == (500_000, 0)


def test_a_live_price_gives_way_to_the_close_of_the_day(market):
    app = App.objects.create(name="one")
    payment, other = pay(timedelta(hours=1), app=app), pay(timedelta(hours=2))
    run()
    market.by_day = {TODAY: Decimal("0.05")}
    run(NOW + timedelta(hours=11))
    assert usd(payment) == 800_000
    assert run(NOW + timedelta(hours=13)).updated == 2
    assert (usd(payment), usd(other)) == (500_000, 500_000)
    app.refresh_from_db()
    assert (app.usd_micro, app.priced) == (500_000, 1)
    asked = len(market.spans)
    assert run(NOW + timedelta(hours=14)).updated == 0
    assert len(market.spans) == asked


def test_a_live_price_stays_while_no_close_can_be_trusted_and_is_asked_for_with_pauses(market):
    payment = pay(timedelta(hours=1))
    run()
    market.by_day, market.doubted = {TODAY: Decimal("74.4")}, {TODAY}
    for minutes in (0, 5, 59, 61):
        run(NOW + timedelta(hours=13, minutes=minutes))
    row = DailyPrice.objects.get(day=TODAY)
    assert (row.price_usd, row.doubt, row.attempts, len(market.spans)) == (None, "binance: 74.4", 2, 2)
    assert usd(payment) == 800_000
    market.doubted = set()
    market.by_day = {TODAY: Decimal("0.05")}
    run(NOW + timedelta(hours=17))
    row.refresh_from_db()
    assert (usd(payment), row.price_usd, row.doubt) == (500_000, Decimal("0.05"), "")


def test_a_doubted_price_prices_nothing_and_is_an_alert_until_a_second_source_confirms_it(market):
    payment = pay(timedelta(days=3))
    market.by_day, market.doubted = {payment.day: Decimal("74.4")}, {payment.day}
    assert run().remaining == 1
    assert usd(payment) is None
    (trouble,) = alert_rules.of_prices(NOW)
    assert (trouble.key, "74.4" in trouble.facts["doubt"]) == ("price-doubted", True)
    market.doubted = set()
    run(NOW + timedelta(hours=2))
    assert usd(payment) == 744_000_000
    assert list(alert_rules.of_prices(NOW)) == []


def test_days_without_payments_and_closed_days_raise_no_alert_for_a_doubted_price(market):
    DailyPrice.objects.create(day=TODAY - 3 * DAY, doubt="binance: 74.4")
    assert list(alert_rules.of_prices(NOW)) == []
    pay(timedelta(days=3))
    assert len(list(alert_rules.of_prices(NOW))) == 1
    LedgerState.objects.update(closed_through=TODAY - 3 * DAY)
    assert list(alert_rules.of_prices(NOW)) == []


def test_an_imported_worth_is_left_until_it_is_priced_again_on_purpose(market):
    payment = pay(timedelta(days=3))
    Payment.objects.update(vout=None, source="import", usd_micro=7)
    with ledger.writing():
        ledger.recompute_days({(payment.day, payment.address)})
    market.by_day = {payment.day: Decimal("0.05")}
    run()
    assert usd(payment) == 7


def test_only_the_days_asked_for_are_priced(market):
    days = [pay(timedelta(days=n)).day for n in (5, 4, 3)]
    market.by_day = dict.fromkeys(days, Decimal("0.05"))
    assert run(first=days[1], last=days[1]) == UsdReport(updated=1, remaining=0)
    assert run(first=days[2]) == UsdReport(updated=1, remaining=0)
    assert run(last=days[0], first=None).updated == 1


def test_an_older_payment_takes_the_price_of_its_day(market):
    payment = pay(timedelta(hours=24))
    market.by_day = {payment.day: Decimal("0.05"), payment.day - DAY: Decimal("0.04")}
    run()
    assert usd(payment) == 500_000
    assert market.live_asked == 0


def test_the_day_is_the_utc_day_of_the_block(market):
    late = pay(timedelta(days=2, hours=12, seconds=1))
    early = pay(timedelta(days=2, hours=12))
    assert (late.day, early.day) == (date(2026, 10, 29), date(2026, 10, 30))
    market.by_day = {date(2026, 10, 29): Decimal("0.01"), date(2026, 10, 30): Decimal("0.02")}
    run()
    assert (usd(late), usd(early)) == (100_000, 200_000)


def test_a_day_that_nobody_has_a_price_for_stays_unknown(market):
    payment = pay(timedelta(days=2000))
    report = run()
    assert (report.updated, report.remaining) == (0, 1)
    assert usd(payment) is None
    assert payment.price_usd is None


def test_a_day_without_price_is_asked_for_again_with_growing_pauses(market):
    pay(timedelta(days=2000))
    run(NOW)
    now, asked = NOW, len(market.spans)
    assert asked
    for hours in (1, 2, 4, 8, 16, 24, 24):
        now += timedelta(hours=hours)
        run(now - timedelta(seconds=1))
        assert len(market.spans) == asked, hours
        run(now)
        assert len(market.spans) > asked, hours
        asked = len(market.spans)


def test_days_without_price_do_not_stand_in_the_way_of_others(market):
    for n in range(5):
        pay(timedelta(days=10 + n))
    wanted = pay(timedelta(days=100))
    run(limit=5)
    market.by_day = {wanted.day: Decimal("0.05")}
    run(limit=5)
    assert usd(wanted) == 500_000


def test_a_price_that_came_late_is_used(market):
    payment = pay(timedelta(days=10))
    run()
    market.by_day = {payment.day: Decimal("0.05")}
    run(NOW + timedelta(hours=1, seconds=1))
    assert usd(payment) == 500_000


def test_missing_days_are_asked_for_all_at_once(market):
    days = [pay(timedelta(days=n)).day for n in (2, 30, 300)]
    market.by_day = {days[2] + DAY * n: Decimal("0.05") for n in range(300)}
    assert run().updated == 3
    assert market.spans == [(days[2], TODAY - DAY)]


def test_days_without_payments_get_a_close_with_the_others(market):
    payment = pay(timedelta(days=9))
    market.by_day = {payment.day + DAY * n: Decimal("0.05") for n in range(9)}
    assert run().updated == 1
    assert set(DailyPrice.objects.values_list("day", flat=True)) == set(market.by_day)


def test_days_that_are_known_are_not_asked_for(market):
    payment = pay(timedelta(days=5))
    DailyPrice.objects.create(day=payment.day, price_usd=Decimal("0.03"), source="x")
    run()
    assert usd(payment) == 300_000
    assert market.spans == []


def test_a_price_that_is_stored_is_never_changed(market):
    known, unknown = pay(timedelta(days=5)), pay(timedelta(days=6))
    DailyPrice.objects.create(day=known.day, price_usd=Decimal("0.03"), source="x")
    market.by_day = {known.day: Decimal("0.99"), unknown.day: Decimal("0.05")}
    run()
    assert usd(known) == 300_000
    assert DailyPrice.objects.get(day=known.day).price_usd == Decimal("0.03")


def test_nothing_to_price_asks_nobody(market):
    pay(timedelta(hours=1))
    pay(timedelta(days=3))
    run()
    asked = (market.live_asked, len(market.spans))
    run()
    assert (market.live_asked, len(market.spans)) == asked


def test_the_live_price_is_good_for_ten_minutes(market):
    pay(timedelta(hours=1))
    refresh_live_price(http=None, now=NOW - timedelta(minutes=9))
    market.live = Decimal("0.5")
    run()
    assert Payment.objects.get().price_usd == Decimal("0.08")
    pay(timedelta(hours=2))
    run(NOW + timedelta(minutes=2))
    assert Payment.objects.filter(price_usd=Decimal("0.5")).count() == 1


def test_the_live_price_is_remembered(market):
    quote = refresh_live_price(http=None, now=NOW)
    refresh_live_price(http=None, now=NOW + timedelta(minutes=5))
    stored = LivePrice.objects.get()
    assert (stored.price_usd, stored.source, stored.read_at) == (quote.price, "coingecko", NOW + timedelta(minutes=5))


def test_a_live_price_that_fails_leaves_the_old_one(market):
    refresh_live_price(http=None, now=NOW)
    market.live = None
    with pytest.raises(Unavailable):
        refresh_live_price(http=None, now=NOW + timedelta(hours=1))
    assert LivePrice.objects.get().read_at == NOW


def test_a_live_price_that_fails_does_not_stop_older_payments(market):
    fresh, older = pay(timedelta(hours=1)), pay(timedelta(days=3))
    market.live, market.by_day = None, {older.day: Decimal("0.05")}
    with pytest.raises(Unavailable):
        run()
    assert (usd(fresh), usd(older)) == (None, 500_000)


def test_daily_prices_that_fail_leave_everything_as_it_was(market):
    fresh, known, unknown = pay(timedelta(hours=1)), pay(timedelta(days=3)), pay(timedelta(days=4))
    DailyPrice.objects.create(day=known.day, price_usd=Decimal("0.03"), source="x")
    market.by_day = None
    with pytest.raises(Unavailable):
        run()
    assert (usd(fresh), usd(known), usd(unknown)) == (800_000, 300_000, None)
    assert not DailyPrice.objects.filter(day=unknown.day).exists()


def test_the_limit_takes_the_newest(market):
    payments = [pay(timedelta(hours=n)) for n in (3, 1, 2)]
    report = run(limit=2)
    assert (report.updated, report.remaining) == (2, 1)
    assert [usd(payment) for payment in payments] == [None, 800_000, 800_000]


def test_only_recent_payments_are_priced_when_asked_to(market):
    recent, old = pay(timedelta(days=29)), pay(timedelta(days=31))
    market.by_day = {recent.day: Decimal("0.05"), old.day: Decimal("0.05")}
    run(within=timedelta(days=30))
    assert (usd(recent), usd(old)) == (500_000, None)


def test_totals_of_the_days_move_with_the_payments(market):
    pay(timedelta(hours=1))
    pay(timedelta(hours=2))
    pay(timedelta(hours=1), address="t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6")
    run()
    total = DailyTotal.objects.get(day=TODAY, address=ADDRESS)
    assert (total.usd_micro, total.priced, total.payments) == (1_600_000, 2, 2)


def test_a_price_once_given_stays(market):
    payment = pay(timedelta(hours=1))
    run()
    market.live = Decimal("0.5")
    run(NOW + timedelta(days=2))
    assert usd(payment) == 800_000


def test_thousands_are_priced_with_few_statements(market, django_assert_max_num_queries):
    stamps = [NOW - timedelta(minutes=30 * n) for n in range(2500)]
    Payment.objects.bulk_create(
        Payment(
            txid=hashlib.sha256(str(n).encode()).hexdigest(),
            vout=0,
            address=ADDRESS,
            amount_sat=10**9 + 7 * n,
            height=n,
            paid_at=at,
            day=at.date(),
        )
        for n, at in enumerate(stamps)
    )
    market.by_day = {TODAY - DAY * n: Decimal("0.07") + n * Decimal("0.0000012345") for n in range(60)}
    with django_assert_max_num_queries(80):
        assert price_payments(http=None, now=NOW).updated == 2500
    assert_sums_hold()
    for payment in Payment.objects.all():
        assert payment.usd_micro == money.usd_micro(payment.amount_sat, payment.price_usd)
    assert DailyTotal.objects.aggregate(sum=Sum("priced"))["sum"] == 2500


@given(
    st.integers(min_value=0, max_value=10**15),
    st.decimals(min_value=Decimal("0.0000000001"), max_value=100, places=10),
)
def test_a_worth_is_exact_to_the_micro_dollar(sat, price):
    """Against integers: 8 decimals of FLUX, 10 of the price, 6 of the dollar; half to even."""
    units = sat * int(price.scaleb(10))
    down, rest = divmod(units, 10**12)
    half = 10**12 // 2
    expected = down + (rest > half or (rest == half and down % 2 == 1))
    assert money.usd_micro(sat, price) == expected


def test_the_sums_of_an_app_grow_with_each_payment_that_is_priced(market):
    market.by_day = {TODAY - 3 * DAY: Decimal("0.05")}
    one, two = App.objects.create(name="one"), App.objects.create(name="two")
    for app in (one, one, two, None):
        pay(3 * DAY, app=app)
    pay(5 * DAY, app=one)
    run()
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.usd_micro, one.priced, one.payments) == (1_000_000, 2, 3)
    assert (two.usd_micro, two.priced, two.payments) == (500_000, 1, 1)

    market.by_day[TODAY - 5 * DAY] = Decimal("0.07")
    run(NOW + 2 * DAY)
    one.refresh_from_db()
    assert (one.usd_micro, one.priced) == (1_700_000, 3)
