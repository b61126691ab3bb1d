"""Which addresses are tracked, from where on, and what happens when that changes."""

import pytest

from fluxtracker.env import TrackedAddress
from fluxtracker.simnet.base58 import made_up
from fluxtracker.simnet.records import MAIN, MIDDLE, OLDEST
from tests.system.ledger import assert_sums_hold, assert_true, rows, truth

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

OURS = made_up("a company that is paid in FLUX")


def track(settings, *addresses: str | tuple[str, int]) -> None:
    pairs = [address if isinstance(address, tuple) else (address, 1) for address in addresses]
    settings.REVENUE_ADDRESSES = [TrackedAddress(*pair) for pair in pairs]


def sync(in_process) -> dict:
    outcome = in_process("sync_revenue", "--json")
    assert outcome.code == 0, outcome.err
    return outcome.report


def test_without_a_height_an_address_is_read_from_the_first_block(build, settings, in_process):
    sim = build(payments=40, tracked={OURS: 1})
    world = sim.world
    world.add(world.payment(address=OURS), 5)
    world.add(world.payment(address=OURS, sat=7), 1_000_000)
    world.mine(10, [world.payment(address=OURS, app="new")])
    track(settings, OURS)
    assert sync(in_process)["added"] == 3
    assert_true(world)


def test_what_came_before_the_first_height_is_no_revenue(build, settings, in_process):
    sim = build(payments=0, tracked={OURS: 2_500_000})
    world = sim.world
    for height in (2_499_999, 2_500_000, 2_500_001):
        world.add(world.payment(address=OURS), height)
    track(settings, (OURS, 2_500_000))
    assert sync(in_process)["added"] == 2
    assert_true(world)
    world.mine(30, [world.payment(address=OURS)])
    assert sync(in_process)["added"] == 1
    assert_true(world)


def test_an_earlier_first_height_brings_what_lies_before(build, settings, in_process):
    sim = build(payments=0, tracked={OURS: 2_500_000})
    world = sim.world
    for height in (2_400_000, 2_500_000, 2_600_000):
        world.add(world.payment(address=OURS), height)
    track(settings, (OURS, 2_500_000))
    assert sync(in_process)["added"] == 2
    track(settings, OURS)
    world.tracked[OURS] = 1
    assert sync(in_process)["added"] == 1
    assert_true(world)


def test_an_address_that_is_added_later_is_read_from_its_beginning(sim, settings, in_process):
    world = sim.world
    world.mine(20, [world.payment(address=MIDDLE), world.payment(address=OLDEST), world.payment()])
    everything = settings.REVENUE_ADDRESSES
    track(settings, (MAIN, 1_670_000))
    world.tracked = {MAIN: 1_670_000}
    sync(in_process)
    assert_true(world)
    settings.REVENUE_ADDRESSES = everything
    world.tracked = {one.address: one.first_height for one in everything}
    sync(in_process)
    found, expected = rows(), truth(world)
    assert expected <= found  # what one tracked address sends to another counted while only one was tracked
    assert {row for row in found - expected if row[5] not in (MIDDLE, OLDEST)} == set()
    sync_full = in_process("sync_revenue", "--full", "--json")
    assert sync_full.code == 0
    assert_true(world)


def test_an_address_that_is_tracked_no_more_keeps_what_it_received(sim, settings, in_process):
    world = sim.world
    world.mine(20)
    sync(in_process)
    before = rows()
    track(settings, (MAIN, 1_670_000))
    world.mine(20, [world.payment(address=MIDDLE), world.payment(app="kept")])
    assert sync(in_process)["added"] == 1
    assert before < rows()
    assert_sums_hold()
    assert in_process("audit_revenue", "--json").report["extra"] == 0


def test_a_payment_to_two_tracked_addresses_is_a_row_of_each(sim, in_process):
    world = sim.world
    world.mine(9, [world.payment(outputs=[(MAIN, 5), (MIDDLE, 6), (MAIN, 7)])])
    assert sync(in_process)["added"] >= 3
    assert_true(world)


def test_an_address_nobody_ever_paid_costs_nothing_but_its_question(build, settings, in_process):
    sim = build(payments=0, tracked={OURS: 1})
    track(settings, OURS)
    for _ in range(3):
        report = sync(in_process)
        assert (report["fetched"], report["added"]) == (0, 0)
        sim.world.mine(1)
    assert report["requests"] <= 6
    sim.world.mine(9, [sim.world.payment(address=OURS)])
    assert sync(in_process)["added"] == 1
