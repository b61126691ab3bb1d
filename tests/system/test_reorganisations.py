"""What a reorganisation removed, moved or left alone is right after one sync."""

import pytest

from fluxtracker.simnet.records import MIDDLE, OLDEST
from tests.marks import only_in_full_of
from tests.system.kept import begin
from tests.system.ledger import assert_true, read_tip, rows, truth

pytestmark = [pytest.mark.django_db, pytest.mark.engine]


@pytest.fixture
def busy_end(build, in_process):
    """A ledger that knows a chain whose last 80 blocks hold a payment each."""
    sim = begin("busy end", build, in_process, grow=pay_in_each_block)
    assert_true(sim.world)
    return sim


def pay_in_each_block(world):
    for number in range(80):
        address = (None, MIDDLE, OLDEST)[number % 3] if number % 5 == 0 else None
        world.mine(1, [world.payment(app=f"app{number % 7}", **({"address": address} if address else {}))])


def sync(in_process) -> None:
    outcome = in_process("sync_revenue", "--json")
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("depth", "blocks"),
    [
        *((1, "as many"), (10, "more"), (60, "as many"), (60, "fewer")),
        *only_in_full_of((1, "more"), (1, "fewer"), (10, "as many"), (10, "fewer"), (60, "more")),
    ],
)
def test_payments_that_vanish_move_and_stay_are_right_after_one_sync(busy_end, in_process, depth, blocks):
    world, before = busy_end.world, rows()
    made = {"as many": depth, "more": depth + 7, "fewer": max(1, depth - 5)}[blocks]
    fates = world.reorg(depth, drop=0.3, move=0.4, blocks=made, payments=[world.payment(), world.payment(app="late")])
    world.mine(depth - made + 1 if made < depth else 0)
    if depth >= 10:
        assert fates.dropped
        assert fates.moved
        assert fates.kept
        assert truth(world) != before
    sync(in_process)
    assert_true(world)


@pytest.mark.parametrize("depth", [10, 60])
def test_the_report_counts_what_came_and_went(busy_end, in_process, depth):
    world, before = busy_end.world, rows()
    world.reorg(depth, drop=1.0)
    world.mine(20, [world.payment()])
    report = in_process("sync_revenue", "--json").report
    gone = {row[:2] for row in before} - {row[:2] for row in rows()}
    assert (report["removed"], report["added"]) == (len(gone), 1)
    assert len(gone) == depth - 7
    assert_true(world)


def test_a_payment_that_moves_to_another_day_moves_its_total(build, in_process):
    sim = build(payments=10)
    world = sim.world
    payment = world.payment(app="traveller")
    world.mine(3000, [payment])
    world.mine(10)
    sync(in_process)
    world.reorg(3010, drop=1.0, blocks=1)
    world.mine(3100)
    world.mine(10, [payment])
    world.mine(10)
    sync(in_process)
    assert_true(world)


def test_reorganisations_in_a_row_are_followed_one_by_one(busy_end, in_process):
    world = busy_end.world
    for depth in (3, 12, 30, 12, 61):
        world.reorg(depth, drop=0.2, move=0.5, payments=[world.payment()])
        world.mine(2, [world.payment()])
        sync(in_process)
        assert_true(world)


def test_a_reorganisation_seen_by_the_daemon_only_is_right_too(busy_end, in_process):
    world = busy_end.world
    world.reorg(10, drop=0.3, move=0.3)
    world.mine(5, [world.payment()])
    busy_end.faults.add("http500", "^/blockbook")
    sync(in_process)
    assert_true(world, tip=read_tip())
    busy_end.faults.clear()
    world.mine(1)
    sync(in_process)
    assert_true(world)
