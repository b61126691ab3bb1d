"""Three sources, and a ledger of the chain that they agree on."""

from dataclasses import dataclass

import pytest
from django.db.models import F

from ops.jobs import runs
from revenue import ledger
from revenue.models import LedgerState, Payment
from revenue.sync.completeness import OVERLAP
from tests.factories import Remembered
from tests.marks import some_in_full
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import Daemon, FakeChain, Source
from tests.revenue.ledger_checks import assert_sums_hold, rows

SHALLOW = CONFIRMATIONS + OVERLAP  # blocks; a deeper fork is proved or not followed
C = "t3ThirdAddressxxxxxxxxxxxxxxxxxxxxx"


@dataclass
class Three:
    """Two Blockbooks and the daemon, each with the chain that it follows."""

    true: FakeChain
    a: Source
    b: Source
    daemon: Daemon

    @property
    def all(self):
        return [self.a, self.b, self.daemon]

    def sync(self, **options):
        return sync(*self.all, **options)

    def leave(self, *sources, depth, keep=slice(0), extra=1):
        """Let sources go to a branch that keeps some of the payments of the blocks it replaces."""
        branch = self.true.branch(depth, self.true.last(depth)[keep], extra)
        for source in sources:
            source.chain = branch
        return branch

    def grow(self, blocks=9):
        for chain in {id(chain): chain for chain in (self.true, *(source.chain for source in self.all))}.values():
            for _ in range(blocks):
                chain.mine(chain.pay(A, 5))


def three_of(chain):
    return Three(chain, Source("a", chain), Source("b", chain), Daemon("daemon", chain))


@Remembered
def ledger_of_three():
    chain = FakeChain()
    for n in range(200):
        chain.mine(chain.pay(A, 100 + n), *([chain.pay(B, 7)] if n % 3 == 0 else []))
    three_of(chain).sync()
    price()
    return chain


@pytest.fixture
def three(two_addresses):
    """A ledger with prices that knows a chain of 200 blocks as three sources tell it."""
    return three_of(ledger_of_three().copy())


def price():
    """Give each payment without a price one of its own, as the live price at its time would be."""
    Payment.objects.filter(usd_micro=None).update(price_usd=2, usd_micro=F("id"))
    ledger.recompute_days(set(Payment.objects.values_list("day", "address")))


def priced():
    return dict(Payment.objects.values_list("txid", "usd_micro"))


def assert_true(chain):
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()


def unproved():
    state = LedgerState.load()
    return state.unproved_height


SHAPES = {
    "payments vanish": (slice(0), 1),
    "payments move": (slice(None, None, -1), 1),
    "payments stay in blocks of another hash": (slice(None), 1),
    "it is much longer": (slice(0, None, 2), 500),
    "it is a little shorter": (slice(0, None, 2), -15),
    "it is much shorter": (slice(0, None, 2), -60),
}
QUICK = ("payments vanish", "it is much shorter")
every_shape_in_full = pytest.mark.parametrize("shape", some_in_full(SHAPES, *QUICK))
DENIED = {
    f"{away} away, {depth} deep, {name}": (away, depth, shape)
    for away in ("nobody", "b", "daemon")
    for depth in (SHALLOW + 1, 120)
    for name, shape in SHAPES.items()
}


def clear():
    with runs.run("clear_revenue_data", trigger="command") as run:
        ledger.clear(run=run)


def reset():
    with runs.run("reset_revenue_sync", trigger="command") as run:
        ledger.reset_sync(run=run)
