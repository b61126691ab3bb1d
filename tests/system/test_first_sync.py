"""A first sync of a whole history, and the small ones after it, as an operator runs them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import POSTGRES, Home
from tests.system.ledger import assert_named, assert_true, truth

pytestmark = pytest.mark.engine

PRICED = "SELECT amount_sat, usd_micro, price_usd, day FROM revenue_payment"
MOST_REQUESTS, MOST_MEMORY_MB = 100, 250


@pytest.fixture(scope="module")
def history() -> Iterator[SimServer]:
    """400 days with 20,000 payments; fewer on PostgreSQL, where nothing depends on how many they are."""
    with SimServer(
        World(payments=4_000 if POSTGRES else 20_000, days=400, nodes=5, old_messages=2_000, frozen=True)
    ) as sim:
        yield sim


@pytest.mark.slow
def test_a_whole_history_of_payments(history: SimServer, home: Home):
    home.settings |= history.env()
    world, before = history.world, history.count()
    first = home.measure("sync_revenue", "--json")
    assert first.code == 0, first.err

    assert_true(world, home.query)
    assert_named(world, home.query)
    assert_priced(world, home)
    assert history.count() - before == first.report["requests"] <= MOST_REQUESTS
    assert first.report["added"] == len(truth(world))
    assert first.peak_mb < MOST_MEMORY_MB

    assert home.manage("sync_revenue", "--json").report["requests"] == 1
    again = home.manage("sync_revenue", "--full", "--json").report
    assert (again["added"], again["removed"], again["changed"]) == (0, 0, 0)
    assert again["fetched"] > len(truth(world))
    audit = home.manage("audit_revenue", "--blocks", "100000000", "--json").report
    assert audit == {"checked": len(truth(world)), "missing": 0, "extra": 0, "different": 0, "fixed": 0}


def assert_priced(world: World, home: Home) -> None:
    """USD by the rule: the close of the UTC day of the payment, and the live price for today."""
    now, cent = datetime.now(UTC), Decimal("0.0000000001")
    for amount_sat, usd_micro, price, day in home.query(PRICED):
        price = Decimal(str(price)).quantize(cent)
        assert abs(usd_micro - Decimal(amount_sat) * price / 100) <= Decimal("0.5")
        age = (now.date() - date.fromisoformat(str(day))).days
        if 2 <= age <= 360:  # older days come from another source than the one that the world names
            assert price == Decimal(str(world.day_price(date.fromisoformat(str(day))))).quantize(cent)


@pytest.mark.django_db
def test_nothing_is_missed_in_an_absence_nor_block_by_block(sim, in_process):
    world = sim.world
    assert in_process("sync_revenue").code == 0
    world.mine(1, [world.payment(app="soon")])
    world.mine(100_000, [world.payment(app="later") for _ in range(1_100)])
    world.mine(20, [world.payment()])
    assert in_process("sync_revenue").code == 0
    assert_true(world)
    for number in range(12):
        world.mine(1, [world.payment(app=f"app{number}")])
        assert in_process("sync_revenue").code == 0
        assert_true(world)
    assert_named(world)
