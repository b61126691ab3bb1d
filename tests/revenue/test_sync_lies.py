"""Sources that lie quietly: the ledger stays as it was, says so, and heals at the next good answer."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from fluxtracker.upstream.http.errors import BadAnswer, NotFound, Unavailable, UpstreamError
from fluxtracker.upstream.parsing import MAX_SAT
from fluxtracker.upstream.records import TxInput, Unreadable
from ops.models import TaskState
from revenue.models import Cursor, Payment, Quarantined
from tests.revenue.conftest import CONFIRMATIONS, A, B, Cut, sync
from tests.revenue.fake_chain import FakeChain, Source
from tests.revenue.ledger_checks import assert_sums_hold, rows

pytestmark = pytest.mark.django_db


class Index:
    """The daemon as second opinion: the same chain, or one that does not answer."""

    name = "daemon"
    host = "daemon"

    def __init__(self, chain, broken=False):
        self.chain, self.broken, self.requests = chain, broken, []

    def tip(self):
        if self.broken:
            raise Unavailable(self.host, "getblockcount", "connection refused")
        return self.chain.tip()

    def block_hash(self, height):
        return self.chain.block_hash(height)

    def txids(self, address, low, high):
        return [tx.txid for tx in FakeChain._touching(self.chain, address, low, high)]

    def listing(self, address, low, high):
        raise Unavailable(self.host, "getaddresstxids", "connection refused")


def empty(chain, total):
    """Let the chain answer 'nothing' with success."""
    honest = chain.listing

    def lie(address, low, high):
        listing = honest(address, low, high)
        return replace(listing, transactions=(), total=listing.total if total == "real" else 0)

    chain.listing = lie
    return lambda: setattr(chain, "listing", honest)


def assert_true(chain):
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()


@pytest.mark.engine
@pytest.mark.parametrize("total", ["real", "zero"])
@pytest.mark.parametrize("news", [0, 9, 400])
def test_an_empty_success_changes_nothing_and_heals(chain, total, news):
    sync(chain)
    before = rows()
    for _ in range(news):
        chain.mine(chain.pay(A, 5))
    heal = empty(chain, total)
    chain.mine()
    with pytest.raises(UpstreamError):
        sync(chain, Index(chain))
    assert rows() == before
    assert TaskState.objects.get(name="sync_revenue").consecutive_failures == 1
    heal()
    sync(chain, Index(chain))
    assert_true(chain)
    assert TaskState.objects.get(name="sync_revenue").consecutive_failures == 0


def test_an_empty_first_answer_is_not_believed_when_the_daemon_knows_better(chain):
    heal = empty(chain, "zero")
    with pytest.raises(Unavailable, match="the daemon lists"):
        sync(chain, Index(chain))
    assert not Payment.objects.exists()
    heal()
    sync(chain, Index(chain))
    assert_true(chain)


def test_what_an_empty_first_answer_hid_is_found_when_the_count_has_grown(chain):
    heal = empty(chain, "zero")
    sync(chain, Index(chain, broken=True))
    heal()
    for _ in range(40):
        chain.mine()
    with capture_logs() as logs:
        sync(chain, Index(chain))
    assert "ledger_read_again" in [entry["event"] for entry in logs]
    assert_true(chain)


def test_an_address_that_never_received_anything_is_fine(chain, settings):
    settings.REVENUE_ADDRESSES = [
        *settings.REVENUE_ADDRESSES,
        replace(settings.REVENUE_ADDRESSES[0], address="t1" + "x" * 33),
    ]
    assert sync(chain, Index(chain)).added == len(chain.truth([A, B], CONFIRMATIONS))
    chain.mine()
    sync(chain, Index(chain))
    assert_true(chain)


@pytest.mark.parametrize("hidden", [0, 30, 50])
def test_a_window_of_the_first_sync_that_hides_payments_is_found_out(chain, hidden):
    chain.page = 10
    honest, calls = chain.listing, []

    def lie_once(address, low, high):
        listing = honest(address, low, high)
        calls.append(low)
        return replace(listing, transactions=()) if len(calls) == 3 else listing

    chain.listing = lie_once
    with pytest.raises(Unavailable):
        sync(chain, Index(chain))
    assert not Cursor.objects.filter(address=A).exists()
    sync(chain, Index(chain))
    assert_true(chain)


def test_a_row_whose_block_is_in_the_chain_does_not_vanish(chain):
    sync(chain)
    before = rows()
    honest = chain.listing
    chain.listing = lambda *window: replace(
        honest(*window), transactions=honest(*window).transactions[:-3], total=honest(*window).total
    )
    chain.mine()
    with pytest.raises(BadAnswer, match="whose block is still in the chain"):
        sync(chain)
    assert rows() == before


@pytest.mark.parametrize("lower", [1, 5, 100])
def test_a_height_that_goes_backwards_is_refused(chain, lower):
    for _ in range(100):
        chain.mine(chain.pay(A, 5))
    sync(chain)
    before, blocks = rows(), chain.blocks
    chain.blocks = blocks[:-lower]
    with pytest.raises(BadAnswer, match="backwards"):
        sync(chain)
    assert rows() == before
    chain.blocks = blocks
    chain.mine()
    sync(chain)
    assert_true(chain)


def test_another_source_may_lag_a_little(chain):
    sync(chain)
    neighbour = FakeChain()
    neighbour.blocks, neighbour.host = chain.blocks[:-2], "neighbour"
    assert sync(neighbour).added == 0
    assert_true(chain)
    chain.mine(chain.pay(A, 5))
    sync(chain)
    assert_true(chain)


def test_the_next_source_is_used_when_the_first_fails_and_that_is_told_once(chain):
    broken = FakeChain()
    broken.tip = lambda: (_ for _ in ()).throw(Unavailable("broken", "api", "HTTP 503"))
    with capture_logs() as logs:
        report = sync(broken, chain)
    assert report.added
    assert report.failed_sources == ["broken api: HTTP 503"]
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [(entry["event"], entry["source"]) for entry in warnings] == [("source_failed", "broken")]
    assert_true(chain)


def test_one_unreadable_transaction_does_not_stop_the_rest(chain):
    honest, victim = chain.listing, chain.blocks[10].txs[0]
    chain.listing = lambda *window: spoil(honest(*window), victim)
    ask, chain.transaction = chain.transaction, refuse(victim.txid, chain.transaction)
    sync(chain)
    (waiting,) = Quarantined.objects.all()
    assert (waiting.txid, waiting.height, waiting.reason) == (victim.txid, victim.height, "unreadable")
    assert rows() == {row for row in chain.truth([A, B], CONFIRMATIONS) if row[0] != victim.txid}
    assert_sums_hold()
    chain.transaction = ask
    sync(chain)
    assert Quarantined.objects.count() == 1  # its pause is not over
    sync(chain, now=timezone.now() + timedelta(minutes=6))
    assert not Quarantined.objects.exists()
    assert_true(chain)


def spoil(listing, victim):
    bad = tuple(Unreadable(tx.txid, tx.height, "no value") for tx in listing.transactions if tx.txid == victim.txid)
    good = tuple(tx for tx in listing.transactions if tx.txid != victim.txid)
    return replace(listing, transactions=good, unreadable=bad)


def refuse(txid, honest):
    def ask(asked):
        if asked == txid:
            raise BadAnswer("fake", f"tx/{txid}", "no value")
        return honest(asked)

    return ask


def test_a_sender_that_is_not_told_is_learned_from_the_previous_output(chain):
    source = chain.pay(B, 9, sender="t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5")
    untold = chain.pay(A, 55, sender=None)
    untold = replace(untold, inputs=(replace(untold.inputs[0], previous_txid=source.txid, previous_vout=0),))
    lost = chain.pay(A, 66, sender=None)
    chain.mine(source)
    chain.mine(untold, lost)
    for _ in range(CONFIRMATIONS):
        chain.mine()
    sync(chain)
    assert not Payment.objects.filter(txid=untold.txid).exists(), "B sent it, so it is change"
    assert not Payment.objects.filter(txid=lost.txid).exists(), "uncounted until its sender is known"
    (waiting,) = Quarantined.objects.all()
    assert (waiting.txid, waiting.reason) == (lost.txid, "sender")


@pytest.mark.engine
def test_a_quarantined_transaction_that_a_reorganisation_removed_is_forgotten(chain):
    lost = chain.pay(A, 66, sender=None)
    chain.mine(lost)
    for _ in range(CONFIRMATIONS):
        chain.mine()
    sync(chain)
    assert Quarantined.objects.count() == 1
    chain.reorg(CONFIRMATIONS + 1, [])
    sync(chain)
    assert not Quarantined.objects.exists()
    assert_true(chain)


@pytest.mark.engine
def test_a_chain_that_moves_while_it_is_read_is_read_again(chain):
    honest, moved = chain.listing, []

    def reorganise_once(*window):
        listing = honest(*window)
        if not moved:
            moved.append(True)
            chain.reorg(30, chain.last(30)[::2])
        return listing

    chain.listing = reorganise_once
    sync(chain)
    assert_true(chain)


@pytest.mark.engine
def test_what_is_listed_of_a_chain_that_left_meanwhile_is_not_stored(chain):
    """Else the newest payments, of the new chain, would hide that those below are of the old one."""
    sync(chain, Source("second", chain))
    for _ in range(60):
        chain.mine(chain.pay(A, 9))
    sync(chain, Source("second", chain))
    chain.mine(chain.pay(A, 9))
    honest, moved = chain.listing, []

    def reorganise_first(*window):
        if not moved:
            moved.append(True)
            chain.reorg(60, chain.last(60)[::2])
        return honest(*window)

    chain.listing = reorganise_first
    with capture_logs() as logs:
        sync(chain, Source("second", chain))
    assert "chain_moved_while_read" in [entry["event"] for entry in logs]
    assert_true(chain)


@pytest.mark.parametrize("depth", [20, 32, 33, 34])
def test_what_a_full_read_of_a_neighbour_stored_is_put_right(chain, depth):
    """It lags and has a branch as deep as none has to prove: blocks below the usual overlap are read again, too."""
    for _ in range(100):
        chain.mine(chain.pay(A, 5))
    sync(chain, Source("second", chain))
    neighbour = chain.branch(depth, [*chain.last(depth)[:5], chain.pay(A, 77)], extra=-2)
    neighbour.host = "neighbour"
    with suppress(UpstreamError):  # a deeper branch would have to be proved
        sync(neighbour, full=True)
    chain.mine(chain.pay(A, 6))
    sync(chain, Source("second", chain))
    assert_true(chain)


def test_a_source_that_forgets_a_transaction_raises_not_found(chain):
    with pytest.raises(NotFound):
        chain.transaction("00" * 32)


def cut_after(chain, windows):
    """Let the chain end the sync after so many listings; the lowest block of each listing is noted."""
    honest, lows = chain.listing, []

    def listing(address, low, high):
        lows.append(low)
        if len(lows) > windows:
            raise Cut
        return honest(address, low, high)

    chain.listing = listing
    return lows, lambda: setattr(chain, "listing", honest)


@pytest.mark.engine
def test_a_first_read_that_was_cut_short_goes_on_where_it_was(chain):
    chain.page = 10
    _, heal = cut_after(chain, 4)
    with pytest.raises(Cut):
        sync(chain, Index(chain))
    reached = Cursor.objects.get(address=A).height
    assert reached > 1025
    heal()
    lows, heal = cut_after(chain, 1000)
    sync(chain, Index(chain))
    heal()
    assert lows[0] == reached - 24
    assert_true(chain)
    assert Cursor.objects.get(address=A).listed_total == chain.total(A)


def test_what_a_cut_short_read_hid_is_found_at_its_end(chain):
    chain.page = 10
    honest, lows = chain.listing, []

    def lie_then_cut(address, low, high):
        lows.append(low)
        if len(lows) > 4:
            raise Cut
        listing = honest(address, low, high)
        return replace(listing, transactions=()) if len(lows) == 2 else listing

    chain.listing = lie_then_cut
    with pytest.raises(Cut):
        sync(chain, Index(chain))
    chain.listing = honest
    with capture_logs() as logs:
        sync(chain, Index(chain))
    assert "ledger_read_again" in [entry["event"] for entry in logs]
    assert_true(chain)


@pytest.mark.parametrize("cuts", [2, 3, 5])
def test_a_first_read_cut_again_and_again_arrives(chain, cuts):
    chain.page = 60
    for _ in range(300):
        chain.mine(chain.pay(A, 5), chain.pay(B, 6))
    for _ in range(60):
        _, heal = cut_after(chain, cuts)
        try:
            sync(chain, Index(chain))
        except Cut:
            continue
        finally:
            heal()
        break
    assert_true(chain)


@pytest.mark.engine
@pytest.mark.parametrize("total", [None, 3_000_000_000], ids=["an error with a NUL", "a count that no column holds"])
def test_what_cannot_be_stored_is_the_sources_fault_and_the_next_one_is_asked(chain, total):
    bad = FakeChain()
    bad.host, bad.blocks, honest = "bad", chain.blocks, bad.listing

    def lie(address, low, high):
        if total is None:
            raise BadAnswer("bad", "tx/\x00", "an error inside a success: boom\x00")
        return replace(honest(address, low, high), total=total)

    bad.listing = lie
    report = sync(bad, chain)
    assert_true(chain)
    assert all(words.isprintable() for words in report.failed_sources)
    state = TaskState.objects.get()
    assert (state.consecutive_failures, state.last_success_at is not None) == (0, True)


@pytest.mark.engine
@pytest.mark.postgresql
def test_sums_that_cannot_be_stored_are_the_sources_fault_too(chain):
    bad = FakeChain()
    bad.host = "bad"
    bad.mine(*(bad.pay(A, MAX_SAT) for _ in range(110)))
    for _ in range(60):
        bad.mine()
    report = sync(bad, chain)
    assert len(report.failed_sources) == 1
    assert_true(chain)


def with_row(chain, change):
    """Let the listings tell the 30th block's payment to A otherwise. Return what heals them."""
    honest, wrong = chain.listing, chain.blocks[30].txs[0]

    def lie(address, low, high):
        listing = honest(address, low, high)
        told = (replace(tx, **change(tx)) if tx.txid == wrong.txid else tx for tx in listing.transactions)
        return replace(listing, transactions=tuple(told))

    chain.listing = lie
    return lambda: setattr(chain, "listing", honest)


IMPOSSIBLE = {
    "no outputs": lambda tx: {"outputs": ()},
    "outputs without addresses": lambda tx: {"outputs": tuple(replace(out, address=None) for out in tx.outputs)},
    "without addresses at all": lambda tx: {
        "outputs": tuple(replace(out, address=None) for out in tx.outputs),
        "inputs": tuple(replace(spent, address=None) for spent in tx.inputs),
    },
    "of 1970": lambda tx: {"block_time": tx.block_time.replace(year=1970)},
    "of 2096": lambda tx: {"block_time": tx.block_time.replace(year=2096)},
}


@pytest.mark.engine
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_listed_row_that_cannot_be_so_waits_and_is_read_alone(chain, what):
    heal = with_row(chain, IMPOSSIBLE[what])
    sync(chain)
    (waiting,) = Quarantined.objects.all()
    assert (waiting.txid, waiting.reason) == (chain.blocks[30].txs[0].txid, Quarantined.Reason.UNREADABLE)
    assert not Payment.objects.filter(txid=waiting.txid).exists()
    assert Payment.objects.count() == len(chain.truth([A, B], CONFIRMATIONS)) - 1
    heal()
    chain.mine()
    sync(chain)
    assert not Quarantined.objects.exists()
    assert_true(chain)


@pytest.mark.parametrize("told", [A, None])
def test_what_spends_or_may_spend_from_the_address_does_not_wait(chain, told):
    spending = chain.mine(replace(chain.pay("t1Nobody", 5), inputs=(TxInput(told, "ab" * 32, 0),))).txs
    honest = chain.listing

    def with_spending(address, low, high):
        listing = honest(address, low, high)
        listed = [tx for tx in spending if address == A and low <= tx.height <= high]
        return replace(listing, transactions=(*listed, *listing.transactions))

    chain.listing = with_spending
    for _ in range(CONFIRMATIONS):
        chain.mine()
    sync(chain)
    assert not Quarantined.objects.exists()
    assert_true(chain)
