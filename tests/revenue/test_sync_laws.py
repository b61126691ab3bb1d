"""Whatever the chain does between two syncs, the ledger says what the chain says after the second."""

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxtracker.env import TrackedAddress
from fluxtracker.upstream.http.errors import UpstreamError
from ops.jobs import runs
from revenue import ledger
from revenue.sync.engine import sync_revenue
from tests.marks import examples
from tests.revenue.conftest import Cut, audit
from tests.revenue.fake_chain import START, FakeChain, Source
from tests.revenue.ledger_checks import assert_sums_hold, rows

pytestmark = pytest.mark.django_db

A = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"
B = "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"
CONFIRMATIONS = 8


@pytest.fixture(autouse=True)
def clock():
    """The day of the chain: before a midnight that it has not reached, the time of a block is a request more."""
    with time_machine.travel(START + timedelta(hours=9), tick=False):
        yield


@pytest.fixture(autouse=True)
def two_addresses(settings):
    settings.REVENUE_ADDRESSES = [TrackedAddress(A, 1), TrackedAddress(B, 1)]
    settings.MIN_CONFIRMATIONS = CONFIRMATIONS


def sync(chain, full=False):
    """With a second source, that proves what the chain says of settled blocks."""
    chain.requests.clear()
    with runs.run("sync_revenue", trigger="command") as run:
        return sync_revenue(sources=[chain, Source("second", chain)], now=timezone.now(), run=run, full=full)


def assert_true(chain):
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()


class Disturbed(list[str]):
    """Requests; at the one with the given number the chain is reorganised, or the process ends."""

    def __init__(self, number, happens):
        self.number, self.happens = number, happens

    def append(self, request):
        super().append(request)
        if len(self) == self.number:
            self.happens()


def end():
    raise Cut


def reorganise(chain, depth, extra, seed):
    chance = random.Random(seed)
    kept = [tx for tx in chain.last(depth) if chance.random() < 0.7]
    chance.shuffle(kept)
    chain.reorg(depth, kept, extra)


mend = partial(audit, fix=True)
depths = st.tuples(st.integers(1, 60), st.integers(0, 2), st.integers(0, 99))
step = st.one_of(
    st.tuples(st.just("mine"), st.lists(st.integers(0, 3), min_size=1, max_size=40)),
    st.tuples(st.just("reorg"), depths),
    st.tuples(st.just("sync"), st.booleans()),
    st.tuples(
        st.just("disturbed"),
        st.sampled_from([sync, partial(sync, full=True), mend, partial(mend, blocks=10)]),
        st.integers(1, 12),
        st.none() | depths,
    ),
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, min_size=1, max_size=12), st.sampled_from([3, 1000]))
def test_the_ledger_is_the_chains_truth_after_every_sync(steps, page):
    with runs.run("clear_revenue_data", trigger="command") as run:
        ledger.clear(run=run)
    chain = FakeChain(page=page)
    for n in range(80):
        chain.mine(*([chain.pay(A, 5)] if n % 4 == 0 else []), *([chain.pay(B, 1, 2)] if n % 4 < 2 else []))
    for what, *how in steps:
        if what == "mine":
            for payments in how[0]:
                chain.mine(*(chain.pay(A if n % 2 else B, 100 + n, 7) for n in range(payments)))
        elif what == "reorg":
            reorganise(chain, *how[0])
        elif what == "disturbed":
            act, number, depth = how
            chain.requests = Disturbed(number, partial(reorganise, chain, *depth) if depth else end)
            with suppress(Cut, UpstreamError):
                act(chain)
            chain.requests = []
        else:
            sync(chain, full=how[0])
            assert_true(chain)
    chain.mine()
    sync(chain)
    assert_true(chain)


def test_nothing_new_is_one_request():
    chain = FakeChain()
    for _ in range(30):
        chain.mine(chain.pay(A, 5))
    sync(chain)
    assert sync(chain).fetched == 0
    assert chain.requests == ["tip"]


def test_new_blocks_without_payments_are_two_requests_and_one_an_address():
    chain = FakeChain()
    for _ in range(30):
        chain.mine(chain.pay(A, 5))
    sync(chain)
    for _ in range(10):
        chain.mine()
    sync(chain)
    chain.mine()
    assert sync(chain).added == 0
    assert chain.requests == ["tip", "block_hash", "listing", "listing"]


@pytest.mark.engine
@pytest.mark.parametrize("depth", [10, 60])
def test_a_reorganisation_is_followed_in_one_sync(depth):
    chain = FakeChain()
    for _ in range(200):
        chain.mine(chain.pay(A, 5), chain.pay(B, 6))
    sync(chain)
    kept = chain.last(depth)[::2]
    moved = list(reversed(kept))
    chain.reorg(depth, moved)
    report = sync(chain)
    assert report.removed > 0 or depth == 10
    assert_true(chain)


@pytest.mark.engine
def test_a_payment_counts_from_its_eighth_confirmation():
    chain = FakeChain()
    chain.mine(chain.pay(A, 5))
    for _ in range(6):
        chain.mine()
    assert sync(chain).added == 0
    chain.mine()
    assert sync(chain).added == 1


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_confirmations_are_those_that_the_source_counts(client, monkeypatch, ahead):
    """Its tip is taken some blocks lower, where every node behind the balancer has them."""
    chain = FakeChain()
    chain.mine(chain.pay(A, 5))
    for _ in range(6 - ahead):
        chain.mine()
    honest = chain.tip
    monkeypatch.setattr(chain, "tip", lambda: replace(honest(), ahead=ahead))
    assert sync(chain).added == 0
    chain.mine()
    assert sync(chain).added == 1
    (payment,) = client.get("/api/revenue/transactions").json()["transactions"]
    assert payment["confirmations"] == 8
    assert client.get("/api/health").json()["sync"]["currentBlock"] == honest().height + ahead
    assert sync(chain, full=True).added == 0
    assert audit(chain).checked == 1
    sync(chain)
    assert chain.requests == ["tip"]
