"""The life of an app by its messages: the kinds, the ends, the rights and the eras."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from deployments.app_lives import Paid, build_life
from fluxtracker.upstream.records import Term, Unit
from tests.deployments.messages import CLOCK, MONTH, OWNER, START, STRANGER, at, register, update

WEEK = 20_160
LATER = START + 10 * MONTH


def life(*messages, payments=None, tip=LATER):
    return build_life(messages, payments or {}, CLOCK, tip)


def kinds(*messages, tip=LATER):
    return [event.kind.value for event in life(*messages, tip=tip).events]


def test_a_registration_begins_a_life():
    found = life(register(), tip=START)
    [event] = found.events
    assert (event.kind, event.life, event.end_height, event.at, event.owner) == (
        "new",
        1,
        START + MONTH,
        at(START),
        OWNER,
    )
    assert (found.end_height, found.end_at) == (START + MONTH, at(START + MONTH))
    assert (found.cancelled, found.weekly, found.registered_at) == (False, False, at(START))


@pytest.mark.parametrize(
    ("moved", "kind"), [(9, "renewal"), (8, "change"), (0, "change"), (-8, "change"), (-9, "shortened")]
)
def test_an_update_is_told_by_how_far_it_moves_the_end(moved, kind):
    assert kinds(register(), update(START + 100, MONTH - 100 + moved), tip=START + 200) == ["new", kind]


@pytest.mark.parametrize(("term", "kind"), [(1, "cancelled"), (100, "cancelled"), (101, "shortened")])
def test_a_term_of_a_hundred_blocks_cancels(term, kind):
    found = life(register(), update(START + 100, term), tip=START + 120)
    assert [event.kind for event in found.events] == ["new", kind]
    assert found.cancelled == (kind == "cancelled")
    assert found.end_height == START + 100 + term


def test_a_short_term_that_ends_as_before_is_a_change():
    assert kinds(register(), update(START + MONTH - 50, 50), tip=START + MONTH) == ["new", "change"]


def test_an_update_after_the_end_wins_an_app_back():
    found = life(register(), update(START + MONTH + 100), tip=START + MONTH + 100)
    assert [(event.kind, event.life) for event in found.events] == [("new", 1), ("won_back", 2)]
    assert not found.cancelled


@pytest.mark.parametrize("owner", [OWNER, STRANGER])
def test_a_registration_from_the_end_block_on_is_the_name_again(owner):
    found = life(register(), register(START + MONTH, owner=owner), tip=START + MONTH)
    assert [(event.kind, event.life, event.owner) for event in found.events][1] == ("reregistered", 2, owner)


def test_a_stranger_cannot_register_a_name_in_force():
    found = life(register(), register(START + MONTH - 1, owner=STRANGER), tip=START + MONTH - 1)
    assert [event.kind for event in found.events] == ["new", "ignored"]
    assert found.events[1].end_height == found.end_height == START + MONTH
    assert found.last.owner == OWNER


def test_the_same_owner_may_and_it_is_a_renewal():
    assert kinds(register(), register(START + 1000), tip=START + 1000) == ["new", "renewal"]


def test_an_update_may_hand_the_app_over():
    found = life(register(), update(START + 10, owner=STRANGER), register(START + 20, owner=OWNER), tip=START + 20)
    assert [event.kind for event in found.events] == ["new", "renewal", "ignored"]


def test_a_message_that_was_not_applied_changes_nothing():
    found = life(register(), update(START + 10, 1, applied=False), tip=START + 20)
    assert [event.kind for event in found.events] == ["new", "ignored"]
    assert (found.end_height, found.cancelled) == (START + MONTH, False)


def test_an_app_whose_every_message_was_ignored_has_no_life():
    found = life(register(applied=False), tip=START)
    assert [(event.kind, event.life) for event in found.events] == [("ignored", 0)]
    assert (found.first, found.registered_at, found.end_at) == (None, None, None)


WEEKLY_BLOCKS = 7 * 2880


@pytest.mark.parametrize(("later", "lost"), [(WEEKLY_BLOCKS - 1, False), (WEEKLY_BLOCKS, True)])
def test_an_app_is_lost_when_nothing_counts_for_seven_days_after_its_end(later, lost):
    tip = START + MONTH + later
    assert kinds(register(), tip=tip) == ["new", "lost"][: 1 + lost]
    assert kinds(register(), update(tip), tip=tip) == ["new", *(["lost"] if lost else []), "won_back"]


def test_a_loss_is_dated_at_the_end_that_passed():
    event = life(register()).events[1]
    assert (event.kind, event.at, event.height, event.end_height) == (
        "lost",
        at(START + MONTH),
        START + MONTH,
        START + MONTH,
    )
    assert (event.message_hash, event.txid, event.life) == ("", "", 1)


def test_an_ignored_message_does_not_save_an_app_and_comes_after_its_loss():
    ignored = register(START + MONTH + 10, owner=STRANGER, applied=False)
    assert kinds(register(), ignored) == ["new", "lost", "ignored"]


def test_a_cancelled_app_that_nobody_takes_up_is_lost_too():
    assert kinds(register(), update(START + 10, 1)) == ["new", "cancelled", "lost"]


def test_an_app_is_lost_once_for_each_end():
    messages = [register(), update(START + 2 * MONTH), update(START + 4 * MONTH)]
    assert kinds(*messages) == ["new", "lost", "won_back", "lost", "won_back", "lost"]


def test_messages_beyond_the_tip_wait():
    assert kinds(register(), update(START + 101), tip=START + 100) == ["new"]
    assert life(register(), tip=START - 1).events == ()


def test_messages_count_in_the_order_of_height_then_signing_then_hash():
    first, second = register(hash="f" * 64), update(START, 1, hash="0" * 64)
    assert kinds(first, second, tip=START) == ["new", "renewal"]
    early, late = at(START), at(START) + timedelta(seconds=1)
    signed = [register(hash="f" * 64, sent_at=early), update(START, 1, hash="0" * 64, sent_at=late)]
    assert kinds(*signed, tip=START) == ["new", "cancelled"]


def test_the_order_of_arrival_does_not_matter():
    messages = [
        register(),
        *(update(START + 500 * step, MONTH + 700 * step) for step in range(8)),
        update(START + 9000, 1),
    ]
    expected = life(*messages)
    for seed in range(20):
        assert life(*random.Random(seed).sample(messages, len(messages))) == expected


# Terms that are not known


def test_an_end_that_is_not_known_is_no_loss_and_no_surprise():
    found = life(register(term=None))
    assert [event.kind for event in found.events] == ["new"]
    assert (found.end_height, found.end_at, found.weekly) == (None, None, False)
    assert kinds(register(), update(START + 10, None), update(START + 20), tip=START + 20) == [
        "new",
        "change",
        "change",
    ]


def test_an_end_that_is_not_known_keeps_no_stranger_out():
    assert kinds(register(term=None), register(START + 10, owner=STRANGER), tip=START + 20) == ["new", "reregistered"]


# Version 9


def seconds(height, amount, **values):
    return replace(update(height, amount, version=9, **values), term=Term(amount, Unit.SECONDS))


def test_a_duration_counts_from_the_time_of_its_block():
    found = life(seconds(START, 7 * 86_400), tip=START)
    assert (found.end_height, found.end_at, found.weekly) == (None, at(START) + timedelta(days=7), True)


@pytest.mark.parametrize(("moved", "kind"), [(241, "renewal"), (240, "change"), (-240, "change"), (-241, "shortened")])
def test_durations_have_the_same_tolerance_in_seconds(moved, kind):
    first = seconds(START, 86_400)
    assert kinds(first, seconds(START + 120, 86_400 - 3600 + moved), tip=START + 120) == ["new", kind]


def test_an_app_may_go_from_blocks_to_a_duration():
    left = (MONTH - 1000) * 30
    assert kinds(register(), seconds(START + 1000, left), tip=START + 1000) == ["new", "change"]
    assert kinds(register(), seconds(START + 1000, left + 86_400), tip=START + 1000) == ["new", "renewal"]
    assert kinds(seconds(START, 86_400), update(START + 2880), tip=START + 2880) == ["new", "won_back"]


def test_a_lost_duration_has_the_height_of_its_end():
    event = life(seconds(START, 86_400)).events[1]
    assert (event.kind, event.height, event.end_height, event.at) == ("lost", START + 2880, None, at(START + 2880))


# Eras


def test_before_the_fork_a_term_counts_blocks_of_two_minutes():
    found = build_life([register(1_500_000, 22_000)], {}, CLOCK, 1_500_000)
    assert found.end_height == 1_522_000
    assert abs(found.end_at - found.registered_at - timedelta(days=22_000 / 720)) < timedelta(days=1)


def test_blocks_after_the_fork_count_four_times_for_an_app_of_before():
    assert build_life([register(2_000_000, 264_000)], {}, CLOCK, START).end_height == 2_020_000 + 4 * 244_000


@pytest.mark.parametrize(
    ("height", "term", "weekly"),
    [(START, WEEK, True), (START, WEEK + 1, False), (1_500_000, 5_040, True), (1_500_000, 5_041, False)],
)
def test_a_weekly_plan_is_seven_days_of_blocks_of_its_time(height, term, weekly):
    assert build_life([register(height, term)], {}, CLOCK, height).weekly == weekly


# Money


def paid(message, when, **values):
    told = {"payments": 1, "revenue_sat": 10**9, "usd_micro": 75, "priced": 1} | values
    return {(message.hash, message.txid): Paid(at=when, **told)}


def test_an_event_has_what_was_paid_for_it_and_the_time_of_that_block():
    message, when = register(), at(START) + timedelta(seconds=7)
    [event] = life(message, payments=paid(message, when), tip=START).events
    assert (event.at, event.payments, event.revenue_sat, event.usd_micro, event.priced) == (when, 1, 10**9, 75, 1)


def test_a_payment_with_the_hash_in_another_transaction_is_not_for_the_message():
    message = register()
    payments = {(message.hash, "0" * 64): Paid(at(START), 1, 10**9, 75, 1)}
    assert life(message, payments=payments, tip=START).events[0].payments == 0


def test_a_block_without_a_payment_is_dated_between_those_with_one():
    messages = [register(), update(START + 10, 1000), update(START + 11, 2000)]
    late, early = at(START + 500), at(START + 400)
    after = life(*messages, payments=paid(messages[0], late), tip=START + 11).events
    assert [event.at for event in after] == [late, late, late]
    before = life(*messages, payments=paid(messages[2], at(START + 5)), tip=START + 11).events
    assert [event.at for event in before] == [at(START), at(START + 5), at(START + 5)]
    assert early < late


def test_an_end_is_never_before_its_own_message():
    messages = [register(), update(START + 10, 1)]
    found = life(*messages, payments=paid(messages[1], at(START + 500)), tip=START + 10)
    assert found.end_at == at(START + 500)
