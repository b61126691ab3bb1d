"""What apps and owners paid on any range of days, from months and years, is what their payments add up to."""

from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deployments import jobs
from deployments.jobs import update_economics
from deployments.models import DailySplit, PeriodSplit
from deployments.splits import daily, periods
from deployments.splits.breakdown import apps_between
from fluxtracker.periods import DAY, Bucket
from revenue import ledger
from revenue.models import ChangedDay, DailyTotal, Payment
from revenue.selectors import APP_ORDERS
from tests.factories import NOON, digest, pay, settle
from tests.marks import examples

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

APPS = ("Alpha", "beta", "b_ta", "Gamma1")
SPAN = 800  # days: over two turns of the year
FIRST = NOON.date() - timedelta(days=SPAN)
days = st.integers(0, SPAN)
payments = st.lists(
    st.tuples(days, st.sampled_from((*APPS, "")), st.integers(1, 9), st.booleans()), min_size=1, max_size=12
)
ranges = st.lists(st.tuples(days, days).map(sorted), min_size=1, max_size=4)


def added(first, last, search=""):
    """Return what payments add up to by app, with their first and last days."""
    found = {}
    for row in Payment.objects.exclude(app=None).filter(day__gte=first, day__lte=last).select_related("app"):
        if search.lower() in row.app.name.lower():
            sat, many, usd, priced, low, high = found.get(row.app.name, (0, 0, 0, 0, row.day, row.day))
            is_priced = row.usd_micro is not None
            found[row.app.name] = (
                sat + row.amount_sat, many + 1, usd + (row.usd_micro or 0), priced + is_priced,
                min(low, row.day), max(high, row.day),
            )  # fmt: skip
    return found


def by_name(first, last, search=""):
    return {app.name: tuple(app[1:]) for app in apps_between(first, last, search, "-flux").apps}


def at(day):
    return NOON - timedelta(days=SPAN - day)


class Killed(Exception):
    """The process ends here."""


def update(most, kill_after=None):
    """Bring the splits up to date, `most` payments in a transaction; a kill comes after so many of them."""
    done = count(1)

    def recompute(days):
        if kill_after is not None and next(done) > kill_after:
            raise Killed
        real(days)

    real = daily.recompute
    small, mortal = patch.object(jobs, "MOST_PAYMENTS", most), patch.object(daily, "recompute", recompute)
    with small, mortal, suppress(Killed):
        jobs.update_economics(trigger="command")


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    payments, payments, st.sets(st.integers(0, 11)), ranges, st.booleans(), st.sampled_from((1, 3, 20_000)),
    st.none() | st.integers(0, 3),
)  # fmt: skip
@example([(0, "Alpha", 1, True)], [(SPAN, "Alpha", 1, True)], set(), [[0, SPAN]], False, 20_000, None)
def test_any_range_is_what_its_payments_add_up_to(before, later, gone, asked, waits, most, kill_after):
    for model in (Payment, DailyTotal, ChangedDay, DailySplit, PeriodSplit):
        model.objects.all().delete()
    settle()
    for some in (before, later):
        for day, app, flux, is_priced in some:
            pay(str(flux), app=app, at=at(day), **({} if is_priced else {"price_usd": None}))
        settle()
        update(most, kill_after)
        update(most)
    removed = [row for place, row in enumerate(Payment.objects.order_by("pk")) if place in gone]
    for row in removed:
        row.delete()
    ChangedDay.mark(row.day for row in removed)
    settle(change=lambda: ledger.recompute_days({(row.day, row.address) for row in removed}))
    if not waits:
        update(most, kill_after)

    for low, high in asked:
        first, last = FIRST + DAY * low, FIRST + DAY * high
        assert by_name(first, last) == added(first, last)
        assert by_name(first, last, "_T") == added(first, last, "_T")
        assert by_name(None, last) == added(date.min, last)
        assert by_name(first, None) == added(first, date.max)
    whole = apps_between(None, None, "", "-flux")
    for sort in APP_ORDERS:
        every = apps_between(None, None, "", sort).apps
        assert len(every) == whole.total == len(added(date.min, date.max))
        for start in range(0, 6, 2):
            page = apps_between(None, None, "", sort, shown=(start, 2))
            assert (page.apps, page.total) == (every[start : start + 2], whole.total)


def test_periods_follow_a_day_that_loses_its_last_payment():
    first, last = pay("3", app="web", at=at(5)), pay("4", app="web", at=at(6))
    settle()
    update_economics(trigger="command")
    assert set(PeriodSplit.objects.values_list("bucket", "revenue_sat")) == {("month", 7 * 10**8), ("year", 7 * 10**8)}
    Payment.objects.all().delete()
    ChangedDay.mark([first.day, last.day])
    settle(change=lambda: ledger.recompute_days({(day.day, day.address) for day in (first, last)}))
    update_economics(trigger="command")
    assert not PeriodSplit.objects.exists()


def test_a_range_is_covered_by_its_years_months_and_days():
    days, whole = periods.cover(date(2024, 11, 29), date(2026, 2, 3), ())
    assert days == [(date(2024, 11, 29), date(2024, 11, 30)), (date(2026, 2, 1), date(2026, 2, 3))]
    assert whole == {
        Bucket.MONTH: [date(2024, 12, 1), date(2026, 1, 1)],
        Bucket.YEAR: [date(2025, 1, 1)],
    }


def test_what_changed_is_in_no_period_of_a_range():
    days, whole = periods.cover(date(2025, 1, 1), date(2025, 3, 31), {date(2025, 2, 2)})
    assert days == [(date(2025, 2, 1), date(2025, 2, 1)), (date(2025, 2, 3), date(2025, 2, 28))]
    assert whole == {Bucket.MONTH: [date(2025, 1, 1), date(2025, 3, 1)]}


@pytest.mark.parametrize("sort", APP_ORDERS)
def test_the_order_is_the_same_with_and_without_days_that_wait(sort):
    for app, flux, day, price in (("b", 1, 1, 1), ("a", 1, 2, None), ("C", 2, 3, 1), ("d", 5, 4, 2)):
        usd = {"price_usd": None} if price is None else {"usd_micro": price}
        pay(str(flux), app=app, at=at(day), message_hash=digest(app), **usd)
    settle()
    update_economics(trigger="command")
    names = [app.name for app in apps_between(None, None, "", sort).apps]
    ChangedDay.mark([at(1).date()])
    assert [app.name for app in apps_between(None, None, "", sort).apps] == names
    assert len(names) == 4
    assert daily.pending_days(date.min, date.max)
