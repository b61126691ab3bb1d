"""GET /api/revenue/daily and the longer periods: what was earned, and what is still unknown."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from revenue.models import Payment
from tests.api.conftest import NOW
from tests.factories import SECOND, pay, settle

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]

FRIDAY = date(2026, 11, 20)


def on(day, hour=12):
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def by_date(answer):
    return {row["date"]: row for row in answer["data"]}


def test_every_day_of_the_range_is_there_oldest_first(get):
    pay(at=on(FRIDAY))
    settle()
    answer = get("revenue/daily", days=10)
    expected = [str(FRIDAY - timedelta(days=back)) for back in range(9, -1, -1)]
    assert [row["date"] for row in answer["data"]] == expected
    assert answer["count"] == 10


def test_thirty_days_unless_asked_otherwise(get):
    assert get("revenue/daily")["count"] == 30


def test_a_day_is_the_sum_of_its_payments_over_all_addresses(get):
    pay("25.93", at=on(FRIDAY))
    pay("0.07", at=on(FRIDAY), address=SECOND)
    settle()
    assert get("revenue/daily", days=1)["data"] == [
        {
            "date": "2026-11-20",
            "daily_revenue": 26.0,
            "daily_revenue_usd": 1.95,
            "usdMissing": 0,
            "payments": 2,
            "complete": False,
        }
    ]


def test_a_day_without_payments_is_zero_once_a_sync_has_looked(get):
    settle()
    row = by_date(get("revenue/daily", days=3))["2026-11-19"]
    assert (row["daily_revenue"], row["daily_revenue_usd"], row["payments"], row["complete"]) == (0, 0, 0, True)


def test_before_the_first_sync_nothing_is_known_but_what_is_there(get):
    pay("1", at=on(FRIDAY - timedelta(days=1)))
    settle(completed_at=None)
    rows = by_date(get("revenue/daily", days=3))
    assert [rows[day]["daily_revenue"] for day in rows] == [None, 1.0, None]
    assert [rows[day]["payments"] for day in rows] == [None, 1, None]
    assert not any(row["complete"] for row in rows.values())


def test_days_after_the_last_completed_sync_are_unknown(get):
    settle(completed_at=on(date(2026, 11, 18)))
    rows = by_date(get("revenue/daily", days=4))
    assert [row["daily_revenue"] for row in rows.values()] == [0, 0, None, None]
    assert [row["complete"] for row in rows.values()] == [True, False, False, False]


@pytest.mark.parametrize(
    ("settled_at", "complete"),
    [
        (datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 20, tzinfo=UTC), True),
        (None, False),
    ],
)
def test_a_day_is_complete_when_a_settled_block_is_of_the_next_one(get, settled_at, complete):
    settle(completed_at=NOW, settled_at=settled_at)
    assert by_date(get("revenue/daily", days=2))["2026-11-19"]["complete"] is complete


def test_today_is_never_complete(get):
    settle(completed_at=NOW + timedelta(days=2))
    assert by_date(get("revenue/daily", days=1))["2026-11-20"]["complete"] is False


def test_a_closed_day_keeps_its_total_and_stays_complete(get):
    day = date(2026, 11, 1)
    pay("5", at=on(day))
    settle()
    settle(completed_at=None, closed_through=day, change=lambda: Payment.objects.filter(day__lte=day).delete())
    rows = by_date(get("revenue/daily", days=30))
    assert (rows["2026-11-01"]["daily_revenue"], rows["2026-11-01"]["complete"]) == (5.0, True)
    assert (rows["2026-10-31"]["daily_revenue"], rows["2026-11-02"]["daily_revenue"]) == (0, None)


def test_usd_is_the_sum_of_the_priced_payments_and_says_how_many_are_not(get):
    pay("10", at=on(FRIDAY))
    pay("10", at=on(FRIDAY), price_usd=None)
    settle()
    row = get("revenue/daily", days=1)["data"][0]
    assert (row["daily_revenue_usd"], row["usdMissing"]) == (0.75, 1)


def test_usd_is_null_when_no_payment_has_a_price(get):
    pay("10", at=on(FRIDAY), price_usd=None)
    settle()
    answer = get("revenue/daily", days=1)
    assert answer["data"][0]["daily_revenue_usd"] is None
    assert (answer["usd"]["amount"], answer["usd"]["usdMissing"]) == (None, 1)


@pytest.mark.parametrize("days", ["0", "-3", "3651", "x", "1.5", ""])
def test_days_out_of_range_are_refused_and_not_cut(refused, days):
    assert "days: expected a whole number from 1 to 3650" in refused("revenue/daily", days=days)


def test_ten_years_are_no_trouble(get):
    assert get("revenue/daily", days=3650)["count"] == 3650


@pytest.mark.parametrize(
    ("period", "start", "previous_start", "previous_end"),
    [
        ("daily", "2026-11-20", "2026-11-19", "2026-11-19"),
        ("weekly", "2026-11-16", "2026-11-09", "2026-11-15"),
        ("monthly", "2026-11-01", "2026-10-01", "2026-10-31"),
        ("quarterly", "2026-10-01", "2026-07-01", "2026-09-30"),
        ("yearly", "2026-01-01", "2025-01-01", "2025-12-31"),
    ],
)
def test_a_calendar_period_so_far_stands_against_the_whole_one_before(get, period, start, previous_start, previous_end):
    first, before, last = map(date.fromisoformat, (start, previous_start, previous_end))
    for amount, day in (("100", before), ("50", last), ("1000", before - timedelta(days=1)), ("99", first)):
        pay(amount, at=on(day))
    pay("126", at=on(FRIDAY, hour=21))
    settle()
    answer = get(f"revenue/{period}")
    assert answer["period"] == period
    assert (answer["current"]["start"], answer["current"]["end"]) == (start, "2026-11-20")
    assert (answer["previous"]["start"], answer["previous"]["end"]) == (previous_start, previous_end)
    assert answer["previous"]["revenue"] == answer["flux"]["previous"] == 150.0
    assert answer["current"]["revenue"] == answer["flux"]["amount"] == 225.0
    assert answer["timestamp"] == int(NOW.timestamp() * 1000)


def test_twenty_days_are_also_compared_with_as_many_of_the_month_before(get):
    pay("10", at=on(date(2026, 10, 5)))
    pay("20", at=on(date(2026, 10, 20), hour=21))
    pay("40", at=on(date(2026, 10, 20), hour=22))  # at the cut: no longer in
    pay("80", at=on(date(2026, 10, 31)))
    pay("60", at=on(date(2026, 11, 3)))
    settle()
    answer = get("revenue/monthly")
    assert (answer["flux"]["previous"], answer["flux"]["change"]) == (150.0, -60.0)
    like = answer["toDate"]
    assert like["flux"] == {"amount": 60.0, "previous": 30.0, "change": 100.0, "trend": "up"}
    assert (like["payments"]["count"], like["payments"]["previous"], like["usd"]["previous"]) == (1, 2, 2.25)
    assert (like["current"]["start"], like["current"]["end"]) == ("2026-11-01T00:00:00Z", "2026-11-20T22:00:00Z")
    assert (like["previous"]["start"], like["previous"]["end"]) == ("2026-10-01T00:00:00Z", "2026-10-20T22:00:00Z")
    assert like["wholeDays"] is False


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly", "quarterly", "yearly"])
def test_what_is_compared_like_for_like_goes_with_the_clock(client, clock, period):
    settle()
    path = f"/api/revenue/{period}"
    etag = client.get(path).headers["ETag"]
    clock.shift(30)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    clock.shift(30)
    moved = client.get(path, headers={"If-None-Match": etag})
    assert (moved.status_code, moved.json()["toDate"]["current"]["end"]) == (200, "2026-11-20T22:01:00Z")


@pytest.mark.parametrize(
    ("settled_at", "complete"),
    [(datetime(2026, 11, 16, 0, 0, 5, tzinfo=UTC), True), (datetime(2026, 11, 15, 23, 55, tzinfo=UTC), False)],
)
def test_the_period_before_says_whether_all_of_it_is_in(get, settled_at, complete):
    settle(completed_at=NOW, settled_at=settled_at)
    answer = get("revenue/weekly")
    assert (answer["current"]["complete"], answer["previous"]["complete"]) == (False, complete)


def test_changes_are_percent_and_only_that_of_the_payments_is_absolute(get):
    pay("100", at=on(date(2026, 11, 10)))
    for _ in range(3):
        pay("50", at=on(date(2026, 11, 17)), price_usd=Decimal("0.1"))
    settle()
    answer = get("revenue/weekly")
    assert answer["comparison"] == {"change": 50.0, "trend": "up"}
    assert answer["flux"] == {"amount": 150.0, "previous": 100.0, "change": 50.0, "trend": "up"}
    assert answer["usd"] == {
        "amount": 15.0, "previous": 7.5, "change": 100.0, "trend": "up", "usdMissing": 0, "usdMissingPrevious": 0,
    }  # fmt: skip
    assert answer["payments"] == {"count": 3, "previous": 1, "change": 2, "percentage": 200.0, "trend": "up"}


def test_there_is_no_percentage_of_nothing(get):
    pay("1", at=on(FRIDAY))
    settle()
    answer = get("revenue/yearly")
    assert (answer["flux"]["previous"], answer["flux"]["change"], answer["flux"]["trend"]) == (0, None, "up")


def test_an_unknown_period_is_null_throughout(get):
    answer = get("revenue/monthly")
    assert answer["current"]["revenue"] is None
    assert answer["flux"] == {"amount": None, "previous": None, "change": None, "trend": None}
    assert (answer["payments"]["count"], answer["payments"]["change"]) == (None, None)
    assert (answer["asOf"], answer["stale"]) == (None, True)


def test_the_answer_says_how_old_it_is(get):
    settle(completed_at=NOW - timedelta(minutes=10))
    answer = get("revenue/weekly")
    assert (answer["asOf"], answer["stale"]) == ("2026-11-20T21:50:00Z", False)
    settle(completed_at=NOW - timedelta(minutes=31))
    assert get("revenue/weekly")["stale"] is True


def test_there_is_no_hourly_revenue(client):
    assert client.get("/api/revenue/hourly").status_code == 404
