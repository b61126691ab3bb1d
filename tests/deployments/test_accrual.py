from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import accrual
from deployments.accrual import DayFlow, Flows, balance, difference, schedule

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Event:
    kind: str
    at: datetime
    end_at: datetime | None
    revenue_sat: int = 0
    usd_micro: int = 0
    life: int = 1


def days_of(events, field="accrued_sat"):
    """Days from today on, and what they get."""
    return {(day - TODAY).days: value for day, flow in schedule(events).items() if (value := getattr(flow, field))}


def test_a_payment_is_earned_evenly_over_its_term():
    events = [Event("new", NOON, NOON + 3 * DAY, 600, 60)]

    assert days_of(events) == {0: 100, 1: 200, 2: 200, 3: 100}
    assert days_of(events, "accrued_usd_micro") == {0: 10, 1: 20, 2: 20, 3: 10}
    assert days_of(events, "assigned_sat") == {0: 600}


def test_what_cannot_be_divided_is_earned_at_the_end():
    events = [Event("new", NOON, NOON + 3 * DAY, 8)]

    assert days_of(events) == {0: 1, 1: 3, 2: 2, 3: 2}


def test_a_renewal_adds_to_what_is_left_and_all_is_spread_over_the_time_left():
    events = [Event("new", NOON, NOON + 4 * DAY, 400), Event("renewal", NOON + 2 * DAY, NOON + 6 * DAY, 600)]

    assert days_of(events) == {0: 50, 1: 100, 2: 50 + 100, 3: 200, 4: 200, 5: 200, 6: 100}


def test_a_shortened_life_earns_the_rest_by_its_new_end():
    events = [Event("new", NOON, NOON + 10 * DAY, 1_000), Event("shortened", NOON + 5 * DAY, NOON + 6 * DAY, 0)]

    assert days_of(events) == {0: 50, 1: 100, 2: 100, 3: 100, 4: 100, 5: 50 + 250, 6: 250}


def test_a_cancellation_releases_the_rest_on_its_day_with_its_own_payment():
    end = NOON + 2 * DAY + 50 * timedelta(minutes=1)
    events = [Event("new", NOON, NOON + 4 * DAY, 400), Event("cancelled", NOON + 2 * DAY, end, 7)]

    assert days_of(events) == {0: 50, 1: 100, 2: 50}
    assert days_of(events, "breakage_sat") == {2: 207}


def test_what_is_paid_right_after_a_cancellation_is_a_new_balance():
    end = NOON + 50 * timedelta(minutes=1)
    events = [
        Event("new", NOON - DAY, NOON + DAY, 400),
        Event("cancelled", NOON, end),
        Event("renewal", NOON + timedelta(minutes=10), NOON + 10 * timedelta(minutes=2), 9),
    ]

    assert days_of(events) == {-1: 100, 0: 100 + 9}
    assert days_of(events, "breakage_sat") == {0: 200}


def test_a_revival_starts_a_new_pool():
    events = [
        Event("new", NOON, NOON + DAY, 10),
        Event("won_back", NOON + 3 * DAY, NOON + 4 * DAY, 20, life=2),
    ]

    assert days_of(events) == {0: 5, 1: 5, 3: 10, 4: 10}


def test_a_payment_at_or_after_the_end_within_a_life_is_spread_from_its_own_time():
    at_the_end = [Event("new", NOON, NOON + DAY, 10), Event("renewal", NOON + DAY, NOON + 2 * DAY, 20)]
    later = [Event("new", NOON, NOON + DAY, 10), Event("renewal", NOON + 2 * DAY, NOON + 3 * DAY, 20)]

    assert days_of(at_the_end) == {0: 5, 1: 5 + 10, 2: 10}
    assert days_of(later) == {0: 5, 1: 5, 2: 10, 3: 10}


@pytest.mark.parametrize("end", [NOON, NOON - DAY, NOON - 400 * DAY])
def test_what_has_no_time_left_is_earned_on_the_day_on_which_it_came(end):
    assert days_of([Event("new", NOON, end, 10)]) == {0: 10}


def test_two_events_in_one_block_share_one_pool():
    events = [Event("new", NOON, NOON + DAY, 10), Event("change", NOON, NOON + DAY, 30)]

    assert days_of(events) == {0: 20, 1: 20}


def test_an_event_that_is_dated_before_the_one_before_it_takes_nothing_back():
    events = [Event("new", NOON, NOON + 2 * DAY, 10), Event("renewal", NOON - DAY, NOON + 2 * DAY, 10)]

    assert sum(days_of(events).values()) == 20
    assert min(days_of(events)) == 0


def test_a_day_ends_at_midnight():
    events = [Event("new", NOON, NOON + 12 * HOUR, 10)]

    assert days_of(events) == {0: 10}


@pytest.mark.parametrize("kind", ["lost", "ignored"])
def test_what_is_paid_for_a_message_that_does_not_count_is_left_out(kind):
    events = [Event("new", NOON, NOON + DAY, 10), Event(kind, NOON, NOON + 9 * DAY, 99)]

    assert days_of(events) == {0: 5, 1: 5}
    assert days_of(events, "assigned_sat") == {0: 10}


def test_an_end_that_is_not_known_leaves_its_payment_out_and_what_was_paid_before_goes_on():
    events = [Event("new", NOON, NOON + 2 * DAY, 40), Event("change", NOON + DAY, None, 99)]

    assert days_of(events) == {0: 10, 1: 20, 2: 10}
    assert days_of(events, "assigned_sat") == {0: 40}


def test_nothing_at_all_has_no_days_and_no_balance():
    assert schedule([]) == {}
    assert balance([Event("new", NOON, None, 10)]) is None


def test_the_balance_is_what_the_last_event_left():
    events = [Event("new", NOON, NOON + 4 * DAY, 400, 40), Event("renewal", NOON + 2 * DAY, NOON + 6 * DAY, 600, 60)]

    left = balance(events)

    assert (left.at, left.end, left.sat, left.usd_micro) == (NOON + 2 * DAY, NOON + 6 * DAY, 800, 80)
    assert left.left(NOON + 3 * DAY) == (600, 60)
    assert left.left(NOON) == (800, 80)
    assert left.left(NOON + 6 * DAY) == (0, 0)


KINDS = ["new", "renewal", "change", "shortened", "cancelled", "won_back", "lost", "ignored"]
amounts = st.integers(0, 10**14)


@st.composite
def histories(draw):
    """Events of one app in order; some end before they begin, have no end, or come at one time."""
    at, life, events = NOON, 1, []
    for _ in range(draw(st.integers(0, 8))):
        at += timedelta(seconds=draw(st.sampled_from([0, 1, 43_200, 86_400]) | st.integers(0, 40 * 86_400)))
        life += draw(st.booleans())
        term = draw(st.none() | st.just(0) | st.integers(-5 * 86_400, 400 * 86_400))
        end = None if term is None else at + timedelta(seconds=term)
        events.append(Event(draw(st.sampled_from(KINDS)), at, end, draw(amounts), draw(amounts), life))
    return events


def total(flows, field):
    return sum(getattr(flow, field) for flow in flows.values())


@given(histories())
def test_all_that_is_paid_is_earned_or_left_over(events):
    flows = schedule(events)
    paid = [event for event in events if accrual.is_assigned(event)]

    assert total(flows, "accrued_sat") + total(flows, "breakage_sat") == sum(event.revenue_sat for event in paid)
    assert total(flows, "accrued_usd_micro") + total(flows, "breakage_usd_micro") == sum(e.usd_micro for e in paid)
    assert all(value >= 0 for flow in flows.values() for value in flow)


@given(histories(), st.integers(0, 500))
def test_what_is_left_is_what_was_paid_less_what_was_earned_by_then(events, days):
    """At every midnight, the balance of one life is what its later days earn."""
    events = [Event(e.kind, e.at, e.end_at, e.revenue_sat, e.usd_micro) for e in events]
    left = balance(events)
    if left is None:
        return
    midnight = max(left.at, NOON + days * DAY).replace(hour=0, minute=0, second=0) + DAY
    later = {day: flow for day, flow in schedule(events).items() if day >= midnight.date()}

    assert left.left(midnight) == (total(later, "accrued_sat"), total(later, "accrued_usd_micro"))


@given(st.lists(st.tuples(histories(), histories()), max_size=4))
def test_a_difference_of_histories_is_the_history_from_nothing(changes):
    """What a reorganisation removes and adds."""
    old, new = [old for old, _ in changes], [new for _, new in changes]
    gone, there, nothing = flows_of(old), flows_of(new), DayFlow()
    change, before, after = difference(gone, there), gone.by_day(), there.by_day()

    assert {day: after.get(day, nothing) - before.get(day, nothing) for day in change} == change
    assert before.keys() | after.keys() == change.keys()
    assert not any(any(flow) for flow in difference(there, there).values())


def flows_of(apps):
    flows = Flows()
    for events in apps:
        flows.add(events)
    return flows


@given(st.integers(0, 86_399), st.integers(1, 90 * 86_400), amounts)
def test_by_each_midnight_as_much_is_earned_as_the_time_that_has_passed(second, term, amount):
    at = NOON.replace(hour=0) + timedelta(seconds=second)
    flows = schedule([Event("new", at, at + timedelta(seconds=term), amount)])

    for days in range(1, 92):
        passed = min(days * 86_400 - second, term)
        earned = sum(flow.accrued_sat for day, flow in flows.items() if day < TODAY + days * DAY)
        assert earned == amount * passed // term
