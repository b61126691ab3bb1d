"""What one source tells of settled blocks counts where a second one tells the same block; before, nothing changes."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fluxtracker.env import TrackedAddress
from fluxtracker.upstream.clients import chain_sources
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable, UpstreamError
from fluxtracker.upstream.http.limits import Shared
from ops import runs
from revenue import ledger
from revenue.audit import audit_revenue
from revenue.models import Cursor, DailyTotal, LedgerState, Payment, Quarantined, RemovedPayment
from revenue.sync.completeness import OVERLAP, Unproved
from tests.factories import Remembered
from tests.marks import examples, some_in_full
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import Daemon, FakeChain, Source
from tests.revenue.ledger_checks import assert_sums_hold, rows

pytestmark = pytest.mark.django_db

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
IN_QUICK = [case for case in DENIED if case.startswith("nobody away, 120") or case.endswith(QUICK)]


@pytest.mark.parametrize("case", some_in_full(DENIED, *IN_QUICK))
def test_a_branch_that_a_second_source_denies_changes_nothing(three, case):
    away, depth, (keep, extra) = case
    before = rows(), priced()
    three.leave(three.a, depth=depth, keep=keep, extra=max(extra, 20 - depth))
    for source in three.all:
        source.up = source.host != away
    report = three.sync()
    assert (report.added, report.removed, report.changed) == (0, 0, 0)
    assert "another branch" in report.failed_sources[0]
    assert (rows(), priced(), unproved()) == (*before, None)
    three.grow()
    three.sync()
    assert before[1].items() <= priced().items()
    assert_true(three.true) if away != "b" else assert_sums_hold()


@every_shape_in_full
@pytest.mark.parametrize("depth", [SHALLOW + 1, 120])
def test_a_branch_without_a_witness_changes_nothing_and_that_is_noted(three, depth, shape):
    keep, extra = shape
    before, state = (rows(), priced()), LedgerState.load()
    three.leave(three.a, depth=depth, keep=keep, extra=max(extra, 20 - depth))
    three.b.up = three.daemon.up = False
    for _ in range(2):
        with pytest.raises(UpstreamError, match="no second source confirms or denies it"):
            three.sync()
        assert (rows(), priced()) == before
        assert unproved() == 1200 - depth
        assert LedgerState.load().completed_at == state.completed_at
        assert LedgerState.load().tip_height == state.tip_height
    assert LedgerState.load().unproved_at >= state.completed_at


@pytest.mark.parametrize("heals", ["the source comes back", "a witness denies it", "a witness confirms it"])
def test_it_is_proved_again_when_the_source_comes_back_or_a_second_one_can_say(three, heals):
    branch = three.leave(three.a, depth=120, keep=slice(0, None, 2))
    three.b.up = three.daemon.up = False
    with pytest.raises(Unavailable):
        three.sync()
    assert unproved() == 1080
    if heals == "the source comes back":
        three.a.chain = three.true
    else:
        three.b.up = True
        three.b.chain = branch if heals == "a witness confirms it" else three.true
    three.sync()
    assert (unproved(), LedgerState.load().unproved_at) == (None, None)
    assert_true(branch if heals == "a witness confirms it" else three.true)


def test_with_one_source_in_all_nothing_settled_changes(three):
    three.leave(three.a, depth=60)
    with pytest.raises(Unproved):
        sync(three.a)
    assert_true(three.true)
    assert unproved() == 1140


@pytest.mark.parametrize(("depth", "follows"), [(SHALLOW, True), (SHALLOW + 1, False)])
@pytest.mark.parametrize("source", ["a", "daemon"])
def test_a_fork_within_the_confirmations_and_the_usual_reading_needs_no_witness(three, depth, follows, source):
    alone = getattr(three, source)
    branch = three.leave(alone, depth=depth, keep=slice(0, None, 2))
    if follows:
        sync(alone)
        assert_true(branch)
    else:
        with pytest.raises(Unproved):
            sync(alone)
        assert_true(three.true)


def test_a_fork_that_needs_no_witness_asks_none(three):
    branch = three.leave(three.a, depth=SHALLOW, keep=slice(0, None, 2))
    sync(three.a, three.b)
    assert_true(branch)
    assert three.b.requests == []


@pytest.mark.engine
@pytest.mark.parametrize("by", ["b", "daemon", "both"])
@every_shape_in_full
def test_a_true_deep_reorganisation_is_followed_when_two_sources_tell_it(three, by, shape):
    keep, extra = shape
    witnesses = [three.b, three.daemon] if by == "both" else [getattr(three, by)]
    branch = three.leave(three.a, *witnesses, depth=120, keep=keep, extra=extra)
    report = three.sync()
    assert (report.failed_sources, unproved()) == ([], None)
    assert_true(branch)
    assert LedgerState.load().tip_hash == branch.blocks[-1].hash
    three.grow()
    three.sync()
    assert_true(branch)


def test_more_sources_that_deny_it_outweigh_one_that_confirms_it(three):
    fourth = Source("fourth", three.true)
    branch = three.leave(three.a, three.b, depth=60)
    with_two = [three.a, three.b, three.daemon, fourth]
    assert len(sync(*with_two).failed_sources) == 2
    assert_true(three.true)
    three.daemon.chain = branch
    sync(*with_two)
    assert_true(branch)


@pytest.mark.parametrize("lag", [115, 122, 180])
@pytest.mark.parametrize("where", ["on the branch", "on the chain"])
def test_a_witness_that_has_no_settled_block_above_the_fork_proves_nothing(three, lag, where):
    three.leave(three.a, *([three.b] if where == "on the branch" else []), depth=120)
    three.b.lag, three.daemon.up = lag, False
    with pytest.raises(Unavailable):
        three.sync()
    assert_true(three.true)
    assert unproved() == 1080


@pytest.mark.parametrize("lag", [2, 20, 100])
@pytest.mark.parametrize("where", ["on the branch", "on the chain"])
def test_a_witness_behind_tells_by_the_blocks_above_the_fork_that_it_has(three, lag, where):
    branch = three.leave(three.a, *([three.b] if where == "on the branch" else []), depth=120)
    three.b.lag, three.daemon.up = lag, False
    if where == "on the branch":
        assert three.sync().failed_sources == []
        assert_true(branch)
    elif lag <= 20:
        assert "another branch" in three.sync().failed_sources[0]
        assert_true(three.true)
    else:  # it denies the branch, and is too far behind to be read
        with pytest.raises(Unavailable, match=r"another branch.*went backwards"):
            three.sync()
        assert_true(three.true)


@pytest.mark.parametrize("extra", [1, -15, -60, 300])
def test_a_neighbour_on_a_branch_that_steps_in_for_a_moment_is_refused(three, extra):
    three.leave(three.b, depth=120, keep=slice(0, None, 2), extra=extra)
    three.a.up = False
    report = three.sync()
    assert "another branch" in report.failed_sources[1]
    assert_true(three.true)
    three.daemon.up = False
    with pytest.raises(Unavailable):
        three.sync()
    assert (unproved(), rows()) == (1080, three.true.truth([A, B], CONFIRMATIONS))
    three.a.up = True
    three.sync()
    assert unproved() is None


def test_two_sources_on_the_same_branch_are_a_proof(three):
    branch = three.leave(three.a, three.b, depth=120)
    three.sync()
    assert_true(branch)
    three.a.chain = three.b.chain = three.true
    three.sync()
    assert_true(three.true)


@pytest.mark.engine
@pytest.mark.parametrize("extra", [1, 300])
def test_a_first_sync_from_a_branch_is_put_right_by_two_others(three, extra):
    clear()
    branch = three.leave(three.a, depth=120, keep=slice(0, None, 2), extra=extra)
    sync(three.a)
    assert_true(branch)
    three.a.up, three.daemon.up = False, False
    with pytest.raises(Unavailable):
        three.sync()
    assert_true(branch)
    assert unproved() == 1080
    three.daemon.up = True
    three.sync()
    assert_true(three.true)
    three.a.up = True
    three.grow()
    assert len(three.sync().failed_sources) == 1
    assert_true(three.true)


def clear():
    with runs.run("clear_revenue_data", trigger="command") as run:
        ledger.clear(run=run)


def reset():
    with runs.run("reset_revenue_sync", trigger="command") as run:
        ledger.reset_sync(run=run)


def forget_one_cursor():
    Cursor.objects.filter(address=A).delete()


def cut_short():
    Cursor.objects.filter(address=A).update(height=1100, listed_total=None, listed=101)


@pytest.mark.parametrize("how", ["full", reset, forget_one_cursor, cut_short], ids=str)
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


# Prices


@pytest.mark.engine
def test_payments_that_come_back_in_another_block_keep_their_prices(three):
    before, lost = priced(), three.true.last(20)
    three.true.reorg(20, [])
    three.sync()
    assert len(priced()) < len(before)
    assert RemovedPayment.objects.count() == len(before) - len(priced())
    three.grow(3)
    for tx in lost:
        three.true.mine(tx)
    three.grow(CONFIRMATIONS)
    three.sync()
    assert_true(three.true)
    assert {txid: usd for txid, usd in priced().items() if txid in before} == before
    assert not RemovedPayment.objects.exists()
    assert_sums_hold()


def test_they_keep_them_also_when_they_go_and_come_in_different_windows_of_one_sync(three):
    before = priced()
    three.true.page = three.a.page = 7
    three.true.reorg(150, three.true.last(150)[::-1])
    assert three.sync().removed > 0
    for _ in range(CONFIRMATIONS):
        three.true.mine()
    three.sync()
    assert_true(three.true)
    assert {txid: priced().get(txid) for txid in before} == before


@pytest.mark.engine
@pytest.mark.parametrize("how", ["another day", "another amount"])
def test_a_price_without_its_ground_is_not_kept(three, how):
    lost = three.true.last(10)[0]
    three.true.reorg(12, [])
    three.sync()
    back = replace(lost, outputs=(replace(lost.outputs[0], value_sat=3),)) if how == "another amount" else lost
    if how == "another day":
        three.true.blocks[-1] = replace(three.true.blocks[-1], time=three.true.blocks[-1].time + timedelta(days=1))
    three.true.mine(back)
    if how == "another day":
        later = replace(three.true.blocks[-1].txs[0], block_time=three.true.blocks[-1].time + timedelta(days=1))
        three.true.blocks[-1] = replace(three.true.blocks[-1], txs=(later,))
    three.grow(CONFIRMATIONS)
    three.sync()
    assert Payment.objects.get(txid=lost.txid).usd_micro is None
    assert not RemovedPayment.objects.filter(txid=lost.txid).exists()
    assert_sums_hold()


@pytest.mark.engine
def test_what_was_kept_goes_with_its_day_and_with_everything(three, settings):
    three.true.reorg(20, [])
    three.sync()
    assert RemovedPayment.objects.exists()
    settings.RETENTION_DAYS = 1
    later = timezone.now() + timedelta(days=30)
    LedgerState.objects.update(completed_at=later, settled_at=later, tip_changed_at=None)
    with runs.run("prune", trigger="command") as run:
        ledger.prune(now=timezone.now() + timedelta(days=30), run=run)
    assert not RemovedPayment.objects.exists()
    RemovedPayment.objects.create(txid="ab", vout=0, amount_sat=1, day=timezone.now(), usd_micro=1)
    clear()
    assert not RemovedPayment.objects.exists()


# The quarantine


def test_a_branch_takes_nothing_out_of_the_quarantine(three):
    lost = three.true.pay(A, 66, sender=None)
    three.true.mine(lost)
    three.grow(80)
    three.sync()
    assert [row.txid for row in Quarantined.objects.all()] == [lost.txid]
    three.leave(three.a, depth=120, keep=slice(0))
    three.b.up = three.daemon.up = False
    for hours in range(48):
        Quarantined.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        with pytest.raises(UpstreamError):
            three.sync(now=timezone.now() + timedelta(hours=hours))
    assert [row.txid for row in Quarantined.objects.all()] == [lost.txid]


# Provisional rows


@pytest.mark.engine
@pytest.mark.parametrize("proof", ["none", "b"])
def test_imported_rows_go_with_their_window_but_not_by_an_unproved_branch(three, proof):
    branch = three.leave(three.a, *([three.b] if proof == "b" else []), depth=120, keep=slice(0, None, 2))
    Payment.objects.create(
        txid="ab" * 32, vout=None, address=A, amount_sat=1, height=1150, source="import",
        paid_at=three.true.blocks[150].time, day=three.true.blocks[150].time.date(),
    )  # fmt: skip
    ledger.recompute_days({(three.true.blocks[150].time.date(), A)})
    three.daemon.up = False
    if proof == "none":
        three.b.up = False
        with pytest.raises(UpstreamError):
            three.sync()
    else:
        three.sync()
        assert_true(branch)
    assert Payment.objects.filter(vout=None).exists() is (proof == "none")


# The audit


def audit(three, **options):
    with runs.run("audit_revenue", trigger="command") as run:
        return audit_revenue(sources=three.all, now=timezone.now(), run=run, blocks=4320, **options)


@pytest.mark.parametrize("fix", [False, True])
@every_shape_in_full
def test_an_audit_by_a_branch_finds_and_changes_nothing(three, fix, shape):
    keep, extra = shape
    three.leave(three.a, depth=120, keep=keep, extra=extra)
    report = audit(three, fix=fix)
    assert (report.missing, report.extra, report.different, report.fixed) == (0, 0, 0, 0)
    assert report.checked == Payment.objects.count()
    assert_true(three.true)
    three.b.up = three.daemon.up = False
    with pytest.raises(UpstreamError):
        audit(three, fix=fix)
    assert_true(three.true)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("door", ["audit", "full sync"])
def test_lists_of_one_node_and_hashes_of_another_change_nothing(three, door, added):
    branch = three.true.copy()
    branch.fork, branch.made = branch.fork + 1000, branch.made + 1000
    groups = [block.txs for block in branch.blocks[-120:]]
    del branch.blocks[-120:]
    for number in range(0, 120, 2):  # what is deep changes places, so that nothing vanishes
        first, second = groups[number : number + 2]
        if number < 80:
            first, second = (*second, *([branch.pay(A, 11)] if added else [])), first
        branch.mine(*first)
        branch.mine(*second)
    three.a.chain = branch
    three.a.tip, three.a.block_hash = three.b.tip, three.b.block_hash
    before = rows()
    audit(three, fix=True) if door == "audit" else three.sync(full=True)
    assert rows() == before


@pytest.mark.engine
@pytest.mark.parametrize("witness", ["none", "b", "daemon"])
def test_a_fix_mends_settled_rows_where_two_sources_agree(three, witness):
    Payment.objects.filter(height=1100).delete()
    ledger.recompute_days(set(DailyTotal.objects.values_list("day", "address")))
    before = rows()
    for source in (three.b, three.daemon):
        source.up = source.host == witness
    if witness == "none":
        with pytest.raises(UpstreamError, match="no second source"):
            audit(three, fix=True)
        assert rows() == before
    else:
        assert audit(three, fix=True).fixed == 1
        assert_true(three.true)


def test_where_the_ledger_is_on_the_branch_two_others_can_mend_it(three):
    """As long as the source that is asked first goes on, nothing contradicts it."""
    clear()
    three.leave(three.a, depth=120, keep=slice(0, None, 2))
    sync(three.a)
    three.a.up = False
    assert audit(three).open > 0
    assert audit(three, fix=True).open == 0
    assert_true(three.true)


# The set-up


def test_one_blockbook_named_twice_is_one_source(settings):
    settings.FLUX_API_URL = "https://api.example"
    settings.BLOCKBOOK_URLS = [
        "https://One.example/api/v2", "https://one.example:443/api/v2", "https://two.example/api/v2",
        "http://one.example/other/api/v2", "https://one.example/api/v2",
    ]  # fmt: skip
    http = Http(timeout=1, rate=0, shared=Shared())
    assert [source.host for source in chain_sources(http)] == [
        "One.example", "two.example", "one.example", "api.example",
    ]  # fmt: skip


# The law


SEATS = ("a", "b", "daemon")
WITH_FIXTURES = [HealthCheck.function_scoped_fixture]
step = st.one_of(
    st.tuples(st.just("mine"), st.integers(1, 40)),
    st.tuples(st.just("leave"), st.sampled_from(SEATS), st.integers(SHALLOW + 1, 150), st.integers(-70, 70)),
    st.tuples(st.just("return"), st.just(0)),
    st.tuples(st.just("away"), st.sets(st.sampled_from(SEATS))),
    st.tuples(st.just("sync"), st.booleans()),
    st.tuples(st.just("reset"), st.just(0)),
)


@hypothesis_settings(max_examples=examples(25), deadline=None, suppress_health_check=WITH_FIXTURES)
@given(st.lists(step, min_size=2, max_size=14), st.sampled_from([9, 1000]))
def test_one_source_alone_never_makes_the_ledger_wrong(two_addresses, steps, page):
    chain = ledger_of_three().copy()
    chain.page = page
    three = three_of(chain)
    for what, *how in [*steps, ("sync", False)]:
        if what == "mine":
            three.grow(how[0])
        elif what == "leave" and all(source.chain is chain for source in three.all) and sync_if_possible(three):
            depth, extra = how[1:]
            three.leave(getattr(three, how[0]), depth=depth, keep=slice(0, None, 2), extra=max(extra, 20 - depth))
        elif what == "return":
            three.a.chain = three.b.chain = three.daemon.chain = chain
        elif what == "away":
            for source in three.all:
                source.up = source.host not in how[0]
        elif what == "reset":
            reset()
        elif what == "sync":
            before = rows()
            if sync_if_possible(three, full=how[0]):
                assert rows() == chain.truth([A, B], CONFIRMATIONS)
                assert unproved() is None
            else:
                assert before <= rows() <= chain.truth([A, B], CONFIRMATIONS)
            assert_sums_hold()
    three.a.chain = three.b.chain = three.daemon.chain = chain
    three.a.up = three.b.up = three.daemon.up = True
    chain.mine()
    three.sync()
    assert_true(chain)


def sync_if_possible(three, **options):
    try:
        three.sync(**options)
    except (BadAnswer, Unavailable, Unproved):
        return False
    return True
