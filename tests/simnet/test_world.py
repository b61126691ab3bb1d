from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from fluxtracker.simnet import records as a
from fluxtracker.simnet.base58 import made_up
from fluxtracker.simnet.chain import blockbook_tx
from fluxtracker.simnet.history import UNDERPAID, Plan
from fluxtracker.simnet.records import Output
from tests.simnet import truth
from tests.simnet.asking import NOW, build
from tests.simnet.oddities import KINDS
from tests.simnet.world import World

FLUX = 100_000_000


def counted(world: World, **options: object) -> int:
    """How many outputs of one payment count as revenue once it is confirmed."""
    tx = world.payment(**options)  # type: ignore[arg-type]
    world.mine(8, [tx])
    return sum(row.txid == tx.txid for row in world.truth())


# The same arguments make the same world


def test_one_seed_makes_one_world() -> None:
    one, other = build(payments=400), build(payments=400)
    assert one.truth() == other.truth()
    assert one.tip_hash == other.tip_hash
    tx = one.truth()[-1].txid
    assert blockbook_tx(one.chain, one.chain.by_txid[tx]) == blockbook_tx(other.chain, other.chain.by_txid[tx])
    assert list(one.registry.dump()) == list(other.registry.dump())


def test_another_seed_makes_another() -> None:
    assert build(payments=100).truth() != build(payments=100, seed=2).truth()
    assert build().tip_hash != build(seed=2).tip_hash


def test_the_past_has_as_many_payments_and_days_as_asked_for() -> None:
    world = build(payments=500, days=30)
    heights = [tx.height for tx in world.chain]
    assert len(heights) == 500 + 500 // UNDERPAID
    assert a.utc(world.chain.time(min(heights))) > NOW - timedelta(days=30, minutes=1)
    assert max(heights) == world.tip_height


def test_every_kind_of_payment_occurs() -> None:
    world = build(payments=5000)
    found: Counter[str] = Counter()
    for tx in world.chain:
        found["coinbase"] += any(i.coinbase for i in tx.inputs)
        found["untold_sender"] += any(not i.named for i in tx.inputs)
        found["several_senders"] += len(tx.inputs) > 1
        found["shielded"] += not tx.inputs
        found["several_outputs"] += sum(o.address in a.TRACKED for o in tx.outputs) > 1
        found["change"] += truth.sender(tx) in a.TRACKED
        found["odd_script"] += any(o.address is None and o.data is None for o in tx.outputs)
        found["binary"] += any((o.data or b"").startswith(b"\xff") for o in tx.outputs)
        found["fluxdrive"] += any((o.data or b"").startswith(b"FLUXDRIVE") for o in tx.outputs)
        found["free"] += any(o.sat == a.FREE_FEE_SAT for o in tx.outputs)
        found["almost_free"] += any(o.sat == a.FREE_FEE_SAT + 1 for o in tx.outputs)
        found["never"] += tx.known == "never"
    assert len(KINDS) == 16
    assert not [kind for kind, count in found.items() if not count]
    assert all(row.address in a.TRACKED for row in world.truth())


def test_the_truth_without_a_world_is_the_same() -> None:
    world = build(payments=600)
    plan = Plan.ending_at(world.tip_height, seed=1, payments=600, days=400)
    assert sorted(truth.stream(plan)) == sorted(world.truth(min_confirmations=1))


# Heights and times


def test_the_fork_is_where_the_real_one_is() -> None:
    assert a.utc(a.time_of(2_020_000)) == datetime(2025, 10, 25, 18, 0, 35, tzinfo=UTC)
    assert a.time_of(2_020_001) - a.time_of(2_020_000) == 30
    assert a.time_of(2_020_000) - a.time_of(2_019_999) == 120


@pytest.mark.parametrize("height", [1, 1_670_000, 2_019_999, 2_020_000, 2_020_001, 3_000_000])
def test_heights_and_times_agree(height: int) -> None:
    assert a.height_at(a.time_of(height)) == height
    assert a.height_at(a.time_of(height + 1) - 1) == height


def test_the_tip_is_now() -> None:
    world = build()
    assert 0 <= NOW.timestamp() - world.chain.time(world.tip_height) < 30


def test_blocks_come_as_time_passes() -> None:
    with time_machine.travel(NOW, tick=False) as now:
        world = World(payments=50, block_seconds=5, payments_per_block=1.0)
        start, paid = world.tip_height, len(world.chain.by_txid)
        now.shift(52)
        world.catch_up()
    assert world.tip_height in (start + 10, start + 11)
    assert len(world.chain.by_txid) - paid == world.tip_height - start


def test_a_world_can_be_taken_up_again_later() -> None:
    with time_machine.travel(NOW, tick=False) as now:
        first = World(payments=50, payments_per_block=0.5, since=NOW)
        now.shift(3600)
        first.catch_up()
        second = World(payments=50, payments_per_block=0.5, since=NOW)
    assert second.tip_height == first.tip_height
    assert second.truth(1) == first.truth(1)
    assert second.tip_hash == first.tip_hash


def test_a_frozen_world_stands_still() -> None:
    with time_machine.travel(NOW, tick=False) as now:
        world = build()
        start = world.tip_height
        now.shift(3600)
        world.catch_up()
    assert world.tip_height == start


# What is revenue


def test_each_output_to_a_tracked_address_counts(world: World) -> None:
    tx = world.payment(outputs=[(a.MAIN, 5), (a.MIDDLE, 7), (a.MAIN, 9), (made_up("x"), 11)])
    world.mine(8, [tx])
    rows = [(row.vout, row.address, row.amount_sat) for row in world.truth()]
    assert rows == [(0, a.MAIN, 5), (1, a.MIDDLE, 7), (2, a.MAIN, 9)]


def test_a_payment_counts_with_its_eighth_confirmation(world: World) -> None:
    world.mine(1, [world.payment()])
    world.mine(6)
    assert world.truth() == []
    world.mine(1)
    assert len(world.truth()) == 1


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"sat": 2_000_000, "sender": a.DEVELOPMENT}, 0),
        ({"sat": 2_000_001, "sender": a.DEVELOPMENT}, 1),
        ({"sat": 1_999_999, "sender": a.DEVELOPMENT}, 1),
        ({"outputs": [(a.MAIN, 1_000_000)] * 2, "sender": a.DEVELOPMENT}, 2),
        ({"sat": 2_000_000}, 1),
        ({"sender": a.MAIN}, 0),
        ({"sender": a.OLDEST}, 0),
        ({"more_senders": [a.MAIN]}, 1),
        ({"sender": a.MAIN, "more_senders": [a.TEAM]}, 0),
        ({"coinbase": True}, 0),
        ({"told": False}, 1),
        ({"told": False, "sender": a.MAIN}, 0),
        ({"told": False, "found": False}, 0),
        ({"told": False, "found": False, "more_senders": [a.TEAM]}, 0),
        ({"told": False, "more_senders": [a.MAIN]}, 1),
        ({"told": False, "sender": a.MAIN, "more_senders": [a.TEAM]}, 0),
        ({"told": False, "sat": 2_000_000, "sender": a.DEVELOPMENT}, 0),
        ({"address": made_up("nobody")}, 0),
    ],
)
def test_what_counts_as_revenue(world: World, options: dict[str, object], count: int) -> None:
    assert counted(world, **options) == count


def test_nothing_counts_before_the_first_height_of_an_address(world: World) -> None:
    world.add(world.payment(), 1_669_999)
    first = world.add(world.payment(), 1_670_000)
    assert [row.txid for row in world.truth()] == [first.txid]


def test_the_truth_tells_sender_and_message(world: World) -> None:
    tx = world.payment(app="Thing", sender=a.TEAM)
    world.mine(8, [tx])
    [row] = world.truth()
    assert (row.from_address, row.message_hash) == (a.TEAM, tx.message_hash)
    assert world.expected_names() == {tx.message_hash: ("Thing", False)}


@pytest.mark.parametrize(
    ("after", "is_read"),
    [([], True), ([Output(a.TEAM, 5)], False), ([Output(None, 5)], False), ([Output(None, 5, script="")], True)],
)
def test_the_truth_knows_a_message_in_the_last_output_with_a_script(
    world: World, after: list[Output], is_read: bool
) -> None:
    tx = world.payment(app="Thing", after=after)
    world.mine(8, [tx])
    [row] = world.truth()
    assert row.message_hash == (tx.message_hash if is_read else "")


def test_days_add_up_to_the_rows() -> None:
    world = build(payments=500, days=40)
    days = world.expected_daily()
    assert sum(sat for sat, _ in days.values()) == sum(row.amount_sat for row in world.truth())
    assert sum(count for _, count in days.values()) == len(world.truth())
    assert max(day for day, _ in days) == date(2026, 11, 20)


# Reorganisations


def test_a_reorganisation_drops_moves_and_keeps(world: World) -> None:
    gone, moved, kept = world.payment(), world.payment(), world.payment()
    for tx in (gone, moved, kept):
        world.mine(1, [tx])
    world.mine(10)
    before, height = world.tip_hash, moved.height
    found = world.reorg(13, drop=[gone.txid], move=[moved.txid])
    assert (found.dropped, found.moved, found.kept) == ((gone.txid,), (moved.txid,), (kept.txid,))
    assert [(row.txid, row.height) for row in sorted(world.truth())] == sorted(
        [(moved.txid, height + 1), (kept.txid, kept.height)]
    )
    assert world.tip_hash != before


def test_blocks_below_a_reorganisation_stay(world: World) -> None:
    world.mine(30)
    tip = world.tip_height
    before = [world.chain.hash(height) for height in range(tip - 20, tip + 1)]
    world.reorg(10)
    after = [world.chain.hash(height) for height in range(tip - 20, tip + 1)]
    assert after[:11] == before[:11]
    assert not set(after[11:]) & set(before[11:])


def test_reorganisations_may_follow_each_other(world: World) -> None:
    tx = world.payment()
    world.mine(1, [tx])
    world.mine(20)
    world.reorg(21)
    world.reorg(5, blocks=7)
    world.reorg(3, blocks=2)
    assert world.chain.by_txid[tx.txid].height == tx.height
    assert len({world.chain.hash(h) for h in range(world.tip_height - 30, world.tip_height + 1)}) == 31


def test_only_what_is_to_be_kept_may_be_named(world: World) -> None:
    txs = [world.payment() for _ in range(4)]
    world.mine(1, txs)
    found = world.reorg(1, keep=[txs[2].txid])
    assert found.kept == (txs[2].txid,)
    assert len(found.dropped) == 3


def test_shares_of_the_payments_may_be_dropped_and_moved(world: World) -> None:
    for _ in range(60):
        world.mine(1, [world.payment()])
    found = world.reorg(60, drop=0.3, move=0.3)
    assert min(len(found.dropped), len(found.moved), len(found.kept)) > 5
    assert len(world.truth(1)) == 60 - len(found.dropped)


def test_the_tip_of_a_shorter_branch_is_lower(world: World) -> None:
    world.mine(5, [world.payment()])
    tip = world.tip_height
    world.reorg(5, blocks=2)
    assert world.tip_height == tip - 3
    assert len(world.truth(1)) == 1


def test_sums_of_an_address_follow_a_reorganisation(world: World) -> None:
    gone = world.payment(sat=5 * FLUX)
    world.mine(1, [gone])
    assert world.chain.by_address[a.MAIN].received == 5 * FLUX
    world.reorg(1, drop=[gone.txid])
    assert world.chain.by_address[a.MAIN].received == 0
