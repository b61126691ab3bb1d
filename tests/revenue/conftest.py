import pytest
from django.utils import timezone

from fluxtracker.env import TrackedAddress
from ops.jobs import runs
from revenue.chain_audit import audit_revenue
from revenue.sync.engine import sync_revenue
from tests.revenue.fake_chain import FakeChain, Source

A = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"
B = "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"
CONFIRMATIONS = 8


@pytest.fixture
def two_addresses(settings):
    settings.REVENUE_ADDRESSES = [TrackedAddress(A, 1), TrackedAddress(B, 1)]
    settings.MIN_CONFIRMATIONS = CONFIRMATIONS


@pytest.fixture
def chain(two_addresses):
    """A chain of 60 blocks with a payment to A in each and one to B in every third."""
    chain = FakeChain()
    for n in range(60):
        chain.mine(chain.pay(A, 100 + n), *([chain.pay(B, 7)] if n % 3 == 0 else []))
    return chain


def sync(*sources, full=False, now=None):
    for source in sources:
        source.requests.clear()
    with runs.run("sync_revenue", trigger="command") as run:
        return sync_revenue(sources=list(sources), now=now or timezone.now(), run=run, full=full)


def audit(chain, blocks=4320, fix=False, second=None):
    with runs.run("audit_revenue", trigger="command") as run:
        sources = [chain, second or Source("second", chain)]
        return audit_revenue(sources=sources, now=timezone.now(), run=run, blocks=blocks, fix=fix)


class Cut(Exception):
    """The process ends here."""
