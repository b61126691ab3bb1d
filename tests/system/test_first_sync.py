"""A first sync of a whole history, and the small ones after it, as an operator runs them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest

from fluxtracker.simnet.server import SimServer
from fluxtracker.simnet.world import World
from tests.system.home import Home
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, read_tip, rows, truth

pytestmark = pytest.mark.engine

QUARANTINED = "SELECT txid FROM revenue_quarantined"
PRICED = "SELECT amount_sat, usd_micro, price_usd, paid_at, day FROM revenue_payment"
MOST_REQUESTS, MOST_MEMORY_MB = 100, 250


@pytest.fixture(scope="module")
def history() -> Iterator[SimServer]:
    """400 days with 20,000 payments."""
    with SimServer(World(payments=20_000, days=400, nodes=5, old_messages=2_000, frozen=True)) as sim:
        yield sim


def test_a_history_of_twenty_thousand_payments(history: SimServer, home: Home):
    home.settings |= history.env()
    world, before = history.world, history.count()
    first = home.measure("sync_revenue", "--json")
    assert first.code == 0, first.err

    waiting = {txid for (txid,) in home.query(QUARANTINED)}
    assert rows(home.query) == {row for row in truth(world) if row[0] not in waiting}
    assert len(waiting) < 200  # senders that no listing tells, looked for a few at a time
    assert_sums_hold(home.query)
    assert_named(world, home.query)
    assert_priced(world, home)
    assert history.count() - before == first.report["requests"] <= MOST_REQUESTS
    assert first.report["added"] == len(rows(home.query))
    assert first.peak_mb < MOST_MEMORY_MB

    for _ in range(6):
        if not home.query(QUARANTINED):
            break
        assert home.manage("sync_revenue").code == 0
    assert_true(world, home.query)
    assert home.manage("sync_revenue", "--json").report["requests"] == 1
    again = home.manage("sync_revenue", "--full", "--json").report
    assert (again["added"], again["removed"], again["changed"]) == (0, 0, 0)
    assert again["fetched"] > len(truth(world))
    audit = home.manage("audit_revenue", "--blocks", "100000000", "--json").report
    assert audit == {"checked": len(truth(world)), "missing": 0, "extra": 0, "different": 0, "fixed": 0}


def assert_priced(world: World, home: Home) -> None:
    """USD by the rule: the live price for the last 24 hours, else the price of the UTC day."""
    edge = datetime.now(UTC) - timedelta(hours=24)
    cent = Decimal("0.0000000001")
    for amount_sat, usd_micro, price, paid_at, day in home.query(PRICED):
        price = Decimal(str(price)).quantize(cent)
        exact = Decimal(amount_sat) * price / 100
        assert usd_micro == int(exact.quantize(Decimal(1), ROUND_HALF_UP)), (amount_sat, price)
        moment = datetime.fromisoformat(str(paid_at)).astimezone(UTC) if "+" in str(paid_at) else None
        moment = moment or datetime.fromisoformat(str(paid_at)).replace(tzinfo=UTC)
        if moment < edge - timedelta(minutes=5):
            day = datetime.fromisoformat(str(day)).date()
            assert price == Decimal(str(world.day_price(day))).quantize(cent)


def test_the_clocks_of_the_chain_go_on(history: SimServer, home: Home):
    """An absence of a day in which nothing is missed, then each block one by one."""
    world = history.world
    home.settings |= history.env() | {"REVENUE_ADDRESSES": "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX@3000000"}
    assert home.manage("sync_revenue").code == 0
    world.mine(1, [world.payment(app="soon")])
    world.mine(2880, [world.payment(app="later") for _ in range(30)])
    for _ in range(9):
        world.mine(1, [world.payment()])
        assert home.manage("sync_revenue").code == 0
    known = {row for row in truth(world, tip=read_tip(home.query)) if row[2].endswith("LQRLFLUX") or row[4] >= 3_000_000}
    mine = {row for row in known if row[2] == "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"}
    waiting = {txid for (txid,) in home.query(QUARANTINED)}
    assert rows(home.query) == {row for row in mine if row[0] not in waiting}
