"""No way of reading believes a branch."""

from dataclasses import replace

import pytest

from fluxtracker.env import TrackedAddress
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from revenue import ledger
from revenue.models import Cursor, LedgerState, Payment
from tests.revenue.conftest import CONFIRMATIONS, A, B
from tests.revenue.fake_chain import FakeChain
from tests.revenue.ledger_checks import rows
from tests.revenue.proof.conftest import SHALLOW, C, assert_true, reset, three_of, unproved

pytestmark = pytest.mark.django_db


def forget_one_cursor():
    Cursor.objects.filter(address=A).delete()


def cut_short():
    Cursor.objects.filter(address=A).update(height=1100, listed_total=None, listed=101)


@pytest.mark.parametrize("how", ["full", reset, forget_one_cursor, cut_short])
@pytest.mark.parametrize("extra", [1, -15])
def test_no_other_way_of_reading_believes_a_branch(three, how, extra):
    three.leave(three.a, depth=120, keep=slice(0, None, 2), extra=extra)
    if how != "full":
        how()
    three.b.up = three.daemon.up = False
    with pytest.raises(UpstreamError):
        three.sync(full=how == "full")
    assert_true(three.true)
    assert unproved() == 1080
    three.b.up = three.daemon.up = True
    three.sync(full=how == "full")
    assert_true(three.true)
    assert unproved() is None


def test_an_address_that_is_new_is_not_read_from_a_branch(three, settings):
    three.leave(three.a, depth=120)
    settings.REVENUE_ADDRESSES = [TrackedAddress(C, 1), *settings.REVENUE_ADDRESSES]
    three.a.chain.mine(three.a.chain.pay(C, 3))
    three.grow()
    three.sync()
    assert_true(three.true)
    assert not Payment.objects.filter(address=C).exists()


@pytest.mark.parametrize("witness", ["denies", "is away"])
@pytest.mark.parametrize("quiet", [A, B])
def test_a_branch_on_which_payments_only_come_is_refused_too(two_addresses, witness, quiet):
    """No stored payment lies above the fork, and each address gets some on the branch."""
    chain = FakeChain()
    for n in range(100):
        chain.mine(chain.pay(A, 100 + n), chain.pay(B, 7))
    for _ in range(80):
        chain.mine()
    three = three_of(chain)
    three.sync()
    branch = three.leave(three.a, depth=60)
    other = B if quiet == A else A
    for place in (-58, -57, -12):
        block = branch.blocks[place]
        paid = branch.pay(other if place != -12 else quiet, 5)
        paid = replace(paid, height=block.height, block_hash=block.hash, block_time=block.time)
        branch.blocks[place] = replace(block, txs=(paid,))
    if witness == "denies":
        assert three.sync().added == 0
    else:
        three.b.up = three.daemon.up = False
        with pytest.raises(Unavailable):
            three.sync()
        assert unproved() == 1179 - SHALLOW, "the block that the ledger remembers"
    assert_true(chain)


@pytest.mark.parametrize("witness", ["denies", "is away"])
@pytest.mark.parametrize("depth", [SHALLOW, SHALLOW + 1, 60])
def test_nothing_new_is_read_from_a_branch_either(two_addresses, witness, depth):
    """It changes no settled block, because there were no payments, and there are none on it."""
    chain = FakeChain()
    for n in range(180):
        chain.mine(*([chain.pay(A, 100 + n)] if n < 100 else []))
    three = three_of(chain)
    three.sync()
    before = rows()
    branch = three.leave(three.a, depth=depth)
    branch.mine(branch.pay(A, 5))
    for _ in range(CONFIRMATIONS):
        branch.mine()
    if witness == "is away":
        three.b.up = three.daemon.up = False
    if depth <= SHALLOW:
        assert three.sync().added == 1
    elif witness == "denies":
        assert len(three.sync().failed_sources) == 1
        assert rows() == before
    else:
        with pytest.raises(Unavailable):
            three.sync()
        assert (rows(), unproved()) == (before, 1179 - SHALLOW)


def test_the_ledger_remembers_its_last_tips_and_a_settled_block(three):
    for number in range(30):
        three.grow(4)
        three.sync()
        heights = [height for height, _ in LedgerState.load().known_blocks]
        tip = three.true.blocks[-1].height
        assert heights == sorted(set(heights))
        assert heights[-1] == tip
        assert heights[0] <= tip - SHALLOW < heights[1]
        assert number < 10 or heights[0] > tip - SHALLOW - 4
    three.true.reorg(6, [])
    three.grow(2)
    three.sync()
    assert all(three.true.block_hash(height) == known for height, known in LedgerState.load().known_blocks)


def test_a_shallow_fork_stays_right_where_another_source_has_left_long_ago(three):
    """The daemon's lists are of another branch: they are no opinion about this one."""
    three.leave(three.daemon, depth=120, keep=slice(0, None, 2))
    three.true.reorg(5, three.true.last(5)[::2])
    three.grow()
    assert three.sync().failed_sources == []
    assert_true(three.true)


def test_a_balancer_that_lists_by_one_node_and_tells_hashes_by_another_is_refused(three):
    branch = three.leave(three.a, depth=120, keep=slice(None, None, -1), extra=20)
    honest = {height: three.b.block_hash(height) for height in range(1160, 1200)}
    ask = three.a.block_hash
    three.a.block_hash = lambda height: honest[height] if 1160 <= height < 1190 else ask(height)
    report = three.sync()
    assert report.failed_sources[0].startswith("a ")
    assert_true(three.true)
    assert branch.truth([A], CONFIRMATIONS) != three.true.truth([A], CONFIRMATIONS)


def test_a_sync_killed_on_the_way_to_a_proved_branch_goes_on_by_the_same_rule(three, monkeypatch):
    branch = three.leave(three.a, three.b, depth=120, keep=slice(0, None, 2))
    write, calls = ledger.writing, []

    def killed():
        calls.append(1)
        if len(calls) == 3:  # after the settled block was forgotten and the first address was written
            raise KeyboardInterrupt
        return write()

    monkeypatch.setattr("revenue.ledger.writing", killed)
    with pytest.raises(KeyboardInterrupt):
        three.sync()
    monkeypatch.setattr("revenue.ledger.writing", write)
    half = rows()
    assert half not in (three.true.truth([A, B], CONFIRMATIONS), branch.truth([A, B], CONFIRMATIONS))
    three.b.up = three.daemon.up = False
    with pytest.raises(UpstreamError):
        three.sync()
    assert rows() == half
    three.b.up = True
    three.sync()
    assert_true(branch)
