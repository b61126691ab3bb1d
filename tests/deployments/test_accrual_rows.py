from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import accrual
from deployments.accrual import apply_difference, recompute_cash
from deployments.models import DailyAccrual
from revenue import ledger
from tests.deployments.test_accrual import DAY, NOON, TODAY, Event, histories
from tests.factories import SECOND, pay, settle

pytestmark = [pytest.mark.django_db, pytest.mark.engine]
FLUX = 10**8


def rows():
    """The days that have anything: accrued, breakage, unassigned and cash, in satoshi."""
    columns = ("accrued_sat", "breakage_sat", "unassigned_sat", "cash_sat")
    found = {(day - TODAY).days: values for day, *values in DailyAccrual.objects.values_list("day", *columns)}
    return {day: tuple(values) for day, values in sorted(found.items()) if any(values)}


def test_the_rows_of_an_app_are_written_and_taken_back():
    events = [Event("new", NOON, NOON + 2 * DAY, 4 * FLUX, 400)]

    apply_difference([], [events])
    assert rows() == {0: (FLUX, 0, -4 * FLUX, 0), 1: (2 * FLUX, 0, 0, 0), 2: (FLUX, 0, 0, 0)}
    assert DailyAccrual.objects.get(day=TODAY + DAY).accrued_usd_micro == 200

    apply_difference([events], [])
    assert rows() == {}


def test_several_apps_share_the_rows_of_their_days():
    events = [Event("new", NOON, NOON + DAY, 2 * FLUX)]

    apply_difference([], [events, events])

    assert {day: accrued for day, (accrued, *_) in rows().items()} == {0: 2 * FLUX, 1: 2 * FLUX}


def test_cash_that_no_event_has_taken_is_unassigned():
    pay("3", at=NOON)
    pay("1", at=NOON, address=SECOND)
    settle()

    recompute_cash([TODAY])
    assert rows() == {0: (0, 0, 4 * FLUX, 4 * FLUX)}

    apply_difference([], [[Event("new", NOON, NOON + DAY, 3 * FLUX)]])
    assert rows() == {0: (15 * FLUX // 10, 0, FLUX, 4 * FLUX), 1: (15 * FLUX // 10, 0, 0, 0)}


def test_the_dollars_of_cash_are_those_of_the_priced_payments():
    pay("3", at=NOON)
    pay("1", at=NOON, price_usd=None)
    settle()

    recompute_cash([TODAY])

    row = DailyAccrual.objects.get(day=TODAY)
    assert (row.cash_usd_micro, row.unassigned_usd_micro) == (225_000, 225_000)


def test_a_payment_that_a_reorganisation_removed_leaves_no_trace():
    payment = pay("3", at=NOON)
    settle()
    events = [Event("new", NOON, NOON + DAY, 3 * FLUX)]
    apply_difference([], [events])
    recompute_cash([TODAY])

    payment.delete()
    ledger.recompute_days({(TODAY, payment.address)})
    apply_difference([events], [])
    recompute_cash([TODAY])

    assert rows() == {}


def test_days_without_cash_are_told_to_have_none_and_other_days_stay():
    pay("3", at=NOON)
    settle()

    recompute_cash([TODAY - DAY, TODAY])
    recompute_cash([TODAY - DAY])

    assert rows() == {0: (0, 0, 3 * FLUX, 3 * FLUX)}


@pytest.mark.usefixtures("django_db_setup")
class TestLaw:
    """Whatever is added and removed, the rows are those that the last state alone would make."""

    def test_differences_lead_where_a_start_from_nothing_leads(self):
        @given(st.lists(st.lists(histories(), max_size=3), min_size=1, max_size=4))
        def law(states):
            DailyAccrual.objects.all().delete()
            before = []
            for state in states:
                apply_difference(before, state)
                before = state
            reached = rows()
            DailyAccrual.objects.all().delete()
            apply_difference([], before)
            assert rows() == reached
            assert sum(sum(values[:3]) for values in reached.values()) == 0

        law()


def test_a_thousand_days_are_written_at_once(django_assert_max_num_queries):
    events = [Event("new", NOON, NOON + 1_000 * DAY, 10**12)]

    with django_assert_max_num_queries(15):
        apply_difference([], [events])

    assert DailyAccrual.objects.count() == 1_001
    assert accrual.balance(events).left(NOON + timedelta(days=500)) == (10**12 // 2, 0)
    assert DailyAccrual.objects.latest("day").day == date(2029, 8, 16)
