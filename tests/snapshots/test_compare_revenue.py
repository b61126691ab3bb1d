"""GET /api/analytics/comparison: revenue by calendar periods, whole and to date."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxtracker.periods import Bucket, Period
from revenue.models import DailyTotal, LedgerState, Payment
from revenue.period_totals import Sums, Totals, compare, cut, parts, periods, to_date
from tests.factories import MAIN, SECOND, pay, settle
from tests.marks import examples
from tests.snapshots.comparing import SPANS, ask, at

pytestmark = [pytest.mark.django_db]
DAY = timedelta(days=1)


def revenue(client, now: datetime, period: str):
    """The revenue of the answer at that instant, after a sync that has just completed."""
    settle(completed_at=now)
    with time_machine.travel(now, tick=False):
        return ask(client, period)["revenue"]


def ranges(block):
    return [(block[side]["start"], block[side]["end"]) for side in ("current", "previous")]


def pruned(client, now: datetime, period: str, *, through: date):
    """The same where the rows up to a day are pruned; their totals stay."""
    settle(completed_at=now)
    Payment.objects.filter(day__lte=through).delete()
    LedgerState.objects.update(closed_through=through)
    with time_machine.travel(now, tick=False):
        return ask(client, period)["revenue"]


# Which days and instants are compared


@pytest.mark.parametrize(
    ("now", "period", "current", "previous", "cut"),
    [
        ("2026-11-20T22:00:00", "D", ("2026-11-20", "2026-11-20"), ("2026-11-19", "2026-11-19"), "2026-11-19T22:00:00"),
        ("2026-11-20T22:00:00", "W", ("2026-11-16", "2026-11-20"), ("2026-11-09", "2026-11-15"), "2026-11-13T22:00:00"),
        ("2026-11-20T22:00:00", "M", ("2026-11-01", "2026-11-20"), ("2026-10-01", "2026-10-31"), "2026-10-20T22:00:00"),
        ("2026-11-20T22:00:00", "Q", ("2026-10-01", "2026-11-20"), ("2026-07-01", "2026-09-30"), "2026-08-20T22:00:00"),
        ("2026-11-20T22:00:00", "Y", ("2026-01-01", "2026-11-20"), ("2025-01-01", "2025-12-31"), "2025-11-20T22:00:00"),
        # the 29th, 30th and 31st against a shorter month: clamped to its end
        ("2026-03-29T12:00:00", "M", ("2026-03-01", "2026-03-29"), ("2026-02-01", "2026-02-28"), "2026-03-01T00:00:00"),
        ("2026-03-31T12:00:00", "M", ("2026-03-01", "2026-03-31"), ("2026-02-01", "2026-02-28"), "2026-03-01T00:00:00"),
        ("2028-03-29T12:00:00", "M", ("2028-03-01", "2028-03-29"), ("2028-02-01", "2028-02-29"), "2028-02-29T12:00:00"),
        ("2026-05-31T00:00:01", "M", ("2026-05-01", "2026-05-31"), ("2026-04-01", "2026-04-30"), "2026-05-01T00:00:00"),
        ("2026-02-28T23:59:59", "M", ("2026-02-01", "2026-02-28"), ("2026-01-01", "2026-01-31"), "2026-01-28T23:59:59"),
        # quarters of 92, 90 and 91 days
        ("2026-03-31T23:59:59", "Q", ("2026-01-01", "2026-03-31"), ("2025-10-01", "2025-12-31"), "2025-12-29T23:59:59"),
        ("2026-06-30T12:00:00", "Q", ("2026-04-01", "2026-06-30"), ("2026-01-01", "2026-03-31"), "2026-04-01T00:00:00"),
        # leap years: by elapsed time, not by date
        ("2028-03-01T12:00:00", "Y", ("2028-01-01", "2028-03-01"), ("2027-01-01", "2027-12-31"), "2027-03-02T12:00:00"),
        ("2029-03-01T12:00:00", "Y", ("2029-01-01", "2029-03-01"), ("2028-01-01", "2028-12-31"), "2028-02-29T12:00:00"),
        ("2028-12-31T12:00:00", "Y", ("2028-01-01", "2028-12-31"), ("2027-01-01", "2027-12-31"), "2028-01-01T00:00:00"),
        # the first days of a year
        ("2027-01-01T06:00:00", "D", ("2027-01-01", "2027-01-01"), ("2026-12-31", "2026-12-31"), "2026-12-31T06:00:00"),
        ("2027-01-01T06:00:00", "W", ("2026-12-28", "2027-01-01"), ("2026-12-21", "2026-12-27"), "2026-12-25T06:00:00"),
        ("2027-01-01T06:00:00", "M", ("2027-01-01", "2027-01-01"), ("2026-12-01", "2026-12-31"), "2026-12-01T06:00:00"),
        ("2027-01-01T06:00:00", "Q", ("2027-01-01", "2027-01-01"), ("2026-10-01", "2026-12-31"), "2026-10-01T06:00:00"),
        ("2027-01-01T06:00:00", "Y", ("2027-01-01", "2027-01-01"), ("2026-01-01", "2026-12-31"), "2026-01-01T06:00:00"),
        # exactly midnight: nothing has elapsed
        ("2026-11-16T00:00:00", "W", ("2026-11-16", "2026-11-16"), ("2026-11-09", "2026-11-15"), "2026-11-09T00:00:00"),
        ("2026-11-17T00:00:00", "W", ("2026-11-16", "2026-11-17"), ("2026-11-09", "2026-11-15"), "2026-11-10T00:00:00"),
    ],
)
def test_the_periods_and_the_cut(client, now, period, current, previous, cut):
    found = revenue(client, at(now), period)
    assert ranges(found) == [current, previous]
    whole = Period.containing(list(Bucket)[list(SPANS).index(period)], at(now))
    starts = [f"{start:%Y-%m-%dT%H:%M:%SZ}" for start in (whole.start, whole.previous().start)]
    assert ranges(found["toDate"]) == [(starts[0], f"{now}Z"), (starts[1], f"{cut}Z")]
    assert found["toDate"]["wholeDays"] is False


# What they add up to


@pytest.mark.engine
def test_this_week_so_far_against_the_whole_last_one_and_against_the_same_part_of_it(client):
    now = at("2026-11-20T22:00:00")  # Friday
    pay("30", at=at("2026-11-16T00:00:00"))
    pay("10", at=at("2026-11-20T21:00:00"), price_usd=None)
    pay("16", at=at("2026-11-09T00:00:00"))
    pay("4", at=at("2026-11-13T21:59:59"), address=SECOND)  # Friday before, just before the cut
    pay("5", at=at("2026-11-13T22:00:00"))  # at the cut: no longer in
    pay("25", at=at("2026-11-15T23:59:59"))
    pay("99", at=at("2026-11-08T23:59:59"))  # the week before
    found = revenue(client, now, "W")
    assert found["flux"] == {"amount": 40.0, "previous": 50.0, "change": -20.0, "trend": "down"}
    assert found["payments"] == {"count": 2, "previous": 4, "change": -2, "percentage": -50.0, "trend": "down"}
    assert found["usd"] == {
        "amount": 2.25, "previous": 3.75, "change": -40.0, "trend": "down", "usdMissing": 1, "usdMissingPrevious": 0,
    }  # fmt: skip
    to_date = found["toDate"]
    assert to_date["flux"] == {"amount": 40.0, "previous": 20.0, "change": 100.0, "trend": "up"}
    assert to_date["payments"] == {"count": 2, "previous": 2, "change": 0, "percentage": 0.0, "trend": "neutral"}
    assert (to_date["usd"]["amount"], to_date["usd"]["previous"], to_date["usd"]["usdMissing"]) == (2.25, 1.5, 1)


def test_it_says_what_the_reports_by_period_say(client):
    now = at("2026-11-20T22:00:00")
    for back in range(0, 800, 3):
        pay(str(10 + back % 7), at=now - timedelta(days=back, hours=5))
    for period, path in zip(SPANS, ("daily", "weekly", "monthly", "quarterly", "yearly"), strict=True):
        found = revenue(client, now, period)
        with time_machine.travel(now, tick=False):
            report = client.get(f"/api/revenue/{path}").json()
        for key in ("current", "previous", "flux", "usd", "payments", "toDate", "asOf", "stale"):
            assert found[key] == report[key], (period, key)


def test_previous_0_is_a_known_0_and_no_percentage(client):
    pay("10", at=at("2026-11-20T21:00:00"))
    found = revenue(client, at("2026-11-20T22:00:00"), "W")
    for block in (found, found["toDate"]):
        assert block["flux"] == {"amount": 10.0, "previous": 0.0, "change": None, "trend": "up"}
        assert block["payments"] == {"count": 1, "previous": 0, "change": 1, "percentage": None, "trend": "up"}
        assert block["usd"]["previous"] == 0.0


def test_dollars_nobody_knows_are_null_and_counted(client):
    pay("10", at=at("2026-11-13T21:00:00"), price_usd=None)
    pay("10", at=at("2026-11-20T21:00:00"))
    found = revenue(client, at("2026-11-20T22:00:00"), "W")
    for block in (found, found["toDate"]):
        assert block["usd"] == {
            "amount": 0.75, "previous": None, "change": None, "trend": None, "usdMissing": 0, "usdMissingPrevious": 1,
        }  # fmt: skip


def test_at_midnight_nothing_has_elapsed_and_nothing_was_earned_before(client):
    pay("10", at=at("2026-11-15T23:00:00"))
    pay("10", at=at("2026-11-09T00:00:00"))
    found = revenue(client, at("2026-11-16T00:00:00"), "W")
    assert found["flux"]["previous"] == 20.0
    assert found["toDate"]["flux"] == {"amount": 0.0, "previous": 0.0, "change": None, "trend": "neutral"}


def test_a_day_that_no_sync_has_looked_into_is_unknown(client):
    pay("10", at=at("2026-11-19T12:00:00"))
    settle(completed_at=at("2026-11-19T23:58:00"))
    with time_machine.travel(at("2026-11-20T00:02:00"), tick=False):
        found = ask(client, "D")["revenue"]
    for block in (found, found["toDate"]):
        assert (block["flux"]["amount"], block["payments"]["count"], block["usd"]["amount"]) == (None, None, None)
    assert (found["flux"]["previous"], found["toDate"]["flux"]["previous"]) == (10.0, 0.0)


# Where rows are pruned


@pytest.fixture
def year_ago():
    pay("7", at=at("2025-11-18T12:00:00"))
    pay("1", at=at("2025-11-20T12:00:00"))  # before the cut
    pay("2", at=at("2025-11-20T23:00:00"))  # after it, on its day
    pay("4", at=at("2025-11-21T12:00:00"))


@pytest.mark.engine
@pytest.mark.parametrize(
    ("closed_through", "previous", "end", "whole_days"),
    [
        (date(2025, 11, 19), 8.0, "2025-11-20T22:00:00Z", False),
        (date(2025, 11, 20), 10.0, "2025-11-21T00:00:00Z", True),
        (date(2025, 11, 21), 10.0, "2025-11-21T00:00:00Z", True),
    ],
)
def test_where_the_rows_of_the_cut_day_are_pruned_it_counts_whole(
    client, year_ago, closed_through, previous, end, whole_days
):
    found = pruned(client, at("2026-11-20T22:00:00"), "Y", through=closed_through)
    assert found["flux"]["previous"] == 14.0
    assert found["toDate"]["flux"]["previous"] == previous
    assert (found["toDate"]["previous"]["end"], found["toDate"]["wholeDays"]) == (end, whole_days)


def test_a_cut_at_midnight_needs_no_rows(client, year_ago):
    to_date = pruned(client, at("2026-11-21T00:00:00"), "Y", through=date(2025, 12, 31))["toDate"]
    assert (to_date["flux"]["previous"], to_date["wholeDays"]) == (10.0, False)


def test_no_elapsed_time_is_no_whole_day(client, year_ago):
    to_date = pruned(client, at("2026-01-01T00:00:00"), "Y", through=date(2025, 12, 31))["toDate"]
    assert (to_date["flux"]["previous"], to_date["wholeDays"]) == (0.0, False)


# Laws

moments = st.datetimes(datetime(2025, 1, 1), datetime(2029, 3, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


def brute(payments: Iterable[Payment], period: Period) -> tuple[int, int, int | None]:
    """Satoshi, payments, micro-dollars of the rows whose time lies in the period."""
    rows = [row for row in payments if period.start <= row.paid_at < period.end]
    priced = [row.usd_micro for row in rows if row.usd_micro is not None]
    return sum(row.amount_sat for row in rows), len(rows), sum(priced) if priced or not rows else None


def told(sums: Sums) -> tuple[int | None, int | None, int | None]:
    return sums.revenue_sat, sums.payments, sums.usd_micro


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), now=moments, bucket=st.sampled_from(list(Bucket)))
def test_sums_to_date_are_those_of_the_rows_in_the_ranges_that_are_named(data, now, bucket):
    Payment.objects.all().delete()
    DailyTotal.objects.all().delete()
    whole = Period.containing(bucket, now)
    span = int((now - whole.previous().start).total_seconds())
    near = int((now - whole.start).total_seconds())  # seconds after the previous period's start: the cut
    seconds = st.one_of(st.integers(-100, span - 1), st.integers(near - 90_000, near + 90_000)).filter(
        lambda second: second < span
    )
    for second in data.draw(st.lists(seconds, max_size=12)):
        amount = data.draw(st.integers(1, 10**10))
        price = data.draw(st.sampled_from(["0.075", None]))
        address = data.draw(st.sampled_from([MAIN, SECOND]))
        paid_at = whole.previous().start + timedelta(seconds=second)
        pay(
            str(amount / 10**8), at=paid_at, address=address, height=1, **({"price_usd": None} if price is None else {})
        )
    settle(completed_at=now)
    totals = Totals.load(whole.previous().first_day, now.date())
    one = cut(Period.containing(bucket, now), now, totals.ledger)
    found = to_date(one, totals, parts([one]))
    rows = list(Payment.objects.all())
    assert told(found.current.sums) == brute(rows, one.current)
    assert told(found.previous.sums) == brute(rows, one.previous)
    report = compare(totals, bucket, now)
    assert told(report.previous.sums) == brute(rows, report.previous.period)
    assert told(found.current.sums) == told(report.current.sums)


@given(now=moments, bucket=st.sampled_from(list(Bucket)), closed=st.none() | st.integers(0, 800))
def test_current_and_previous_never_overlap_and_never_leave_their_periods(now, bucket, closed):
    closed_through = None if closed is None else now.date() - timedelta(days=closed)
    ledger = LedgerState(completed_at=now, closed_through=closed_through)
    current, previous = periods(bucket, now)
    one = cut(Period.containing(bucket, now), now, ledger)
    assert previous.end == Period.containing(bucket, now).start == current.start
    assert previous.start == one.previous.start <= one.previous.end <= previous.end == one.current.start
    assert one.current.end == now < current.end
    elapsed = one.previous.end - one.previous.start
    if one.whole_days:
        assert now - current.start < elapsed < now - current.start + DAY
    else:
        assert elapsed == min(now - current.start, previous.end - previous.start)
