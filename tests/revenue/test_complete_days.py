"""A day is complete when a block of a later day has its confirmations in what was read: chain time, not ours."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxtracker.env import TrackedAddress
from fluxtracker.upstream.http.errors import NotFound, Unavailable, UpstreamError
from fluxtracker.upstream.records import Block, Unreadable
from ops.jobs import runs
from revenue import ledger
from revenue.models import Cursor, LedgerState, Payment
from revenue.period_totals import Totals
from revenue.status import sync_part
from tests.marks import examples
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import FakeChain

pytestmark = pytest.mark.django_db

DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
FIRST = date(2026, 11, 20)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def clock():
    """Five minutes past midnight, until it is moved."""
    with time_machine.travel(MIDNIGHT + 5 * MINUTE, tick=False) as traveller:
        yield traveller


@pytest.fixture
def evening(clock, two_addresses):
    """A chain of 40 blocks, two minutes apart, the last at 23:58:30 with a payment in it."""
    chain = FakeChain()
    for n in range(40, 0, -1):
        chain.mine(chain.pay(A, n), at=MIDNIGHT - 90 * SECOND - 2 * MINUTE * (n - 1))
    return chain


def mine(chain, blocks, *txs, apart=2 * MINUTE):
    """Go on with the chain; the payments are in the first block."""
    for n in range(blocks):
        chain.mine(*(txs if n == 0 else ()), at=chain.blocks[-1].time + apart)


def is_complete(day=FIRST):
    return LedgerState.known().has_all_of(day, timezone.now())


def run(verb, **options):
    with runs.run(verb.__name__, trigger="command") as one:
        return verb(run=one, **options)


@pytest.mark.parametrize("after", range(1, 12))
def test_a_day_is_complete_with_the_confirmations_of_the_first_block_of_the_next(evening, clock, after):
    mine(evening, after)
    clock.move_to(MIDNIGHT + 60 * MINUTE)  # ours says so for long
    sync(evening)
    assert is_complete() is (after >= CONFIRMATIONS)
    assert Payment.objects.filter(day=FIRST).count() == min(40, 33 + after)
    assert sync_part(timezone.now()).report["completeThrough"] == ("2026-11-20" if after >= 8 else "2026-11-19")


def test_the_block_of_midnight_itself_is_enough(evening, clock):
    evening.mine(at=MIDNIGHT - SECOND)
    evening.mine(at=MIDNIGHT)
    mine(evening, 6)
    clock.move_to(MIDNIGHT + 60 * MINUTE)
    sync(evening)
    assert not is_complete()
    mine(evening, 1)
    sync(evening)
    assert is_complete()


@pytest.mark.parametrize("late", [6 * MINUTE, 12 * 60 * MINUTE, 5 * DAY])
def test_an_index_that_stands_before_midnight_completes_no_day(evening, clock, late):
    clock.move_to(MIDNIGHT + late)
    for _ in range(3):
        sync(evening)
        clock.shift(MINUTE)
    assert not is_complete()
    assert is_complete(FIRST - DAY)
    mine(evening, 9)
    sync(evening)
    assert is_complete()


def test_days_that_a_source_stood_through_before_it_was_first_read_are_not_known(evening, clock):
    clock.move_to(MIDNIGHT + 2 * DAY)
    sync(evening)
    known = LedgerState.known()
    assert [known.knows(FIRST + DAY * n) for n in range(3)] == [True, False, False]
    assert sync_part(timezone.now()).report["lagSeconds"] > 2 * 86_400


def test_a_day_without_payments_is_complete_by_the_same_rule(clock, two_addresses):
    chain = FakeChain()
    chain.mine(chain.pay(A, 5), at=MIDNIGHT - 3 * DAY)
    for n in range(400):
        chain.mine(at=MIDNIGHT - 2 * DAY + n * 10 * MINUTE)
    clock.move_to(chain.blocks[-1].time)
    sync(chain)
    assert is_complete(MIDNIGHT.date() - DAY)
    assert not is_complete(MIDNIGHT.date())


def test_today_is_not_complete_whatever_a_block_says(evening, clock):
    clock.move_to(MIDNIGHT - MINUTE)
    mine(evening, 9, apart=SECOND)
    mine(evening, 8, apart=15 * SECOND)
    sync(evening)
    assert not is_complete(FIRST)


# What it costs


def test_the_time_of_a_block_is_asked_for_around_midnight_only(evening, clock):
    clock.move_to(MIDNIGHT - MINUTE)
    sync(evening)
    for at, blocks, asks in (
        (-1, 1, False),
        (2, 1, True),
        (4, 1, True),
        (17, 7, True),
        (19, 1, False),
        (600, 9, False),
    ):
        clock.move_to(MIDNIGHT + at * MINUTE)
        mine(evening, blocks)
        sync(evening)
        assert evening.requests.count("block") == asks, at
        sync(evening)
        assert evening.requests == ["tip"], "nothing new"
    assert is_complete()


def test_the_time_of_a_payment_costs_no_request(evening, clock):
    mine(evening, 9, evening.pay(A, 7))
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    assert is_complete()
    assert "block" not in evening.requests


@pytest.mark.engine
def test_the_first_sync_after_an_upgrade_finds_out_though_nothing_is_new(evening, clock):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    LedgerState.objects.update(settled_height=None, settled_hash="", settled_at=None)
    assert not is_complete()
    sync(evening)
    assert is_complete()
    assert evening.requests == ["tip", "block"]


# What a source may say


@pytest.mark.parametrize("ahead", [3 * 60 * MINUTE, 30 * 60 * MINUTE, 90 * DAY])
def test_a_chain_ahead_of_our_clock_completes_the_days_that_are_over_by_both(evening, clock, ahead):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE - ahead)
    today = timezone.now().date()
    for _ in range(2):
        sync(evening)
        assert is_complete(today - DAY)
        assert not is_complete(today)
        assert sync_part(timezone.now()).report["completeThrough"] == str(today - DAY)
        mine(evening, 2, evening.pay(A, 5))


def test_one_wrong_time_ahead_of_our_clock_is_given_up_at_the_next_block(evening, clock, monkeypatch):
    clock.move_to(MIDNIGHT + MINUTE)
    honest = evening.block
    monkeypatch.setattr(evening, "block", lambda height: replace(honest(height), time=timezone.now() + 30 * DAY))
    sync(evening)
    monkeypatch.undo()
    mine(evening, 2)
    sync(evening)
    assert not is_complete()


@pytest.mark.parametrize("wrong", [timedelta(days=365, seconds=1), timedelta(days=400)])
def test_a_time_that_cannot_be_completes_nothing(evening, clock, monkeypatch, wrong):
    clock.move_to(MIDNIGHT + MINUTE)
    honest = evening.block
    monkeypatch.setattr(evening, "block", lambda height: replace(honest(height), time=timezone.now() + wrong))
    mine(evening, 2)
    sync(evening)
    assert not is_complete()
    monkeypatch.undo()
    mine(evening, 9)
    clock.shift(20 * MINUTE)
    sync(evening)
    assert is_complete()


def test_a_time_that_goes_back_takes_nothing_back(evening, clock, monkeypatch):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    assert is_complete()
    clock.move_to(MIDNIGHT + DAY + 2 * MINUTE)
    mine(evening, 3)
    monkeypatch.setattr(evening, "block", lambda height: Block(height, MIDNIGHT - 900 * DAY, "ab" * 32))
    sync(evening)
    assert is_complete()
    assert not is_complete(FIRST + DAY)


@pytest.mark.parametrize("error", [Unavailable("fake", "block", "HTTP 503"), NotFound("fake", "block", "not found")])
def test_without_the_time_of_a_block_the_sync_is_fine_and_a_payment_will_do(evening, clock, monkeypatch, error):
    def refuse(height):
        raise error

    monkeypatch.setattr(evening, "block", refuse)
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    assert not is_complete()
    assert LedgerState.load().completed_at == timezone.now()
    assert sync_part(timezone.now()).report["lagSeconds"] == 0
    mine(evening, 9, evening.pay(B, 3))
    clock.shift(20 * MINUTE)
    sync(evening)
    assert is_complete()


def test_a_payment_whose_block_says_yesterday_holds_yesterday_open(evening, clock):
    evening.mine(at=MIDNIGHT + 10 * SECOND)
    evening.mine(evening.pay(A, 9), at=MIDNIGHT - 5 * SECOND)
    for n in range(6):
        evening.mine(at=MIDNIGHT + (20 + n) * SECOND)
    sync(evening)
    assert not is_complete(), "the block of midnight is settled, the payment after it is not"
    mine(evening, 2)
    sync(evening)
    assert is_complete()
    assert Payment.objects.filter(day=FIRST).count() == 41


# What else has to be read


@pytest.mark.engine
def test_the_slowest_address_decides(evening, clock, monkeypatch):
    clock.move_to(MIDNIGHT - MINUTE)
    sync(evening)
    honest = evening.listing

    def fail_for_b(address, low, high):
        if address == B:
            raise Unavailable("fake", "address", "HTTP 503")
        return honest(address, low, high)

    monkeypatch.setattr(evening, "listing", fail_for_b)
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    with pytest.raises(UpstreamError):
        sync(evening)
    assert not is_complete()
    monkeypatch.undo()
    sync(evening)
    assert is_complete()


def test_an_address_that_is_new_or_read_again_leaves_no_day_complete(evening, clock, settings):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    settings.REVENUE_ADDRESSES = [*settings.REVENUE_ADDRESSES, TrackedAddress("t1" + "x" * 33, 1)]
    assert not is_complete()
    sync(evening)
    assert is_complete()
    Cursor.objects.filter(address=A).update(height=1010)
    assert not is_complete()
    Cursor.objects.filter(address=A).delete()
    assert not is_complete()


@pytest.mark.parametrize("height", [1045, 10**6])
def test_an_address_that_begins_later_has_nothing_to_be_read_before(evening, clock, settings, height):
    settings.REVENUE_ADDRESSES = [TrackedAddress(A, 1), TrackedAddress(B, height)]
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    assert is_complete()


@pytest.mark.engine
@pytest.mark.parametrize("verb", [ledger.reset_sync, ledger.clear])
def test_a_reset_and_a_wipe_forget_it(evening, clock, verb):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    run(verb)
    assert not is_complete()
    assert sync_part(timezone.now()).report["completeThrough"] is None
    sync(evening)
    assert is_complete()


def test_a_transaction_in_the_quarantine_keeps_its_day_incomplete(evening, clock):
    evening.mine(evening.pay(A, 9, sender=None), at=MIDNIGHT - SECOND)
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    assert not is_complete()
    assert is_complete(FIRST - DAY)


def test_a_record_that_cannot_be_read_keeps_its_day_incomplete(evening, clock, monkeypatch):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    honest, ask, victim = evening.listing, evening.transaction, evening.blocks[30].txs[0]

    def spoil(address, low, high):
        found = honest(address, low, high)
        good = tuple(tx for tx in found.transactions if tx.txid != victim.txid)
        bad = (
            (Unreadable(victim.txid, victim.height, "?", victim.block_time),)
            if len(good) < len(found.transactions)
            else ()
        )
        return replace(found, transactions=good, unreadable=bad)

    def refuse(txid):
        raise Unavailable("fake", "tx", "HTTP 503")

    monkeypatch.setattr(evening, "listing", spoil)
    monkeypatch.setattr(evening, "transaction", refuse)
    sync(evening)
    assert not is_complete()
    monkeypatch.setattr(evening, "transaction", ask)
    clock.shift(10 * MINUTE)
    sync(evening)
    assert is_complete()
    assert Payment.objects.filter(day=FIRST).count() == 40


@pytest.mark.engine
def test_a_reorganisation_below_the_settled_block_is_asked_about_again(evening, clock, monkeypatch):
    mine(evening, 9)
    clock.move_to(MIDNIGHT + 20 * MINUTE)
    sync(evening)
    assert is_complete()
    kept = evening.last(30)
    del evening.blocks[-30:]
    evening.fork += 1
    for n in range(40):  # the other branch is not past midnight
        evening.mine(*kept[n : n + 1], at=MIDNIGHT - 3_000 * SECOND + n * SECOND)
    sync(evening)
    assert not is_complete()
    mine(evening, 40)
    sync(evening)
    assert is_complete()


def test_a_reorganisation_above_the_settled_block_changes_nothing(evening, clock):
    mine(evening, 12)
    clock.move_to(MIDNIGHT + 30 * MINUTE)
    sync(evening)
    before = LedgerState.load().settled_hash
    evening.reorg(3, [])
    sync(evening)
    assert is_complete()
    assert LedgerState.load().settled_hash == before
    assert "block" not in evening.requests


# Closing


@pytest.mark.engine
def test_only_complete_days_are_closed(evening, clock, settings):
    settings.RETENTION_DAYS = 1
    clock.move_to(MIDNIGHT + 30 * DAY)  # ours ran ahead, or the source is late
    sync(evening)
    assert run(ledger.prune, now=timezone.now()).closed_through == FIRST - 4 * DAY
    assert Payment.objects.count() == 33
    mine(evening, 9, apart=DAY)
    sync(evening)
    assert run(ledger.prune, now=timezone.now()).closed_through == FIRST - 2 * DAY


def test_nothing_is_closed_while_the_chains_time_is_not_known(evening, clock, settings):
    settings.RETENTION_DAYS = 1
    sync(evening)
    LedgerState.objects.update(settled_height=None)
    assert run(ledger.prune, now=timezone.now() + 90 * DAY).closed_through is None


# The law


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    apart=st.lists(st.integers(-100, 4 * 3600), min_size=20, max_size=60),
    paid=st.sets(st.integers(0, 59)),
    synced=st.sets(st.integers(8, 59)),
    late=st.integers(0, 3600),
)
def test_what_was_complete_once_never_changes(two_addresses, apart, paid, synced, late):
    """Blocks whose times go back by up to 100 s: no more than the confirmations make up for."""
    run(ledger.clear)
    chain, told, start = FakeChain(), {}, MIDNIGHT - DAY
    for n, seconds in enumerate(apart):
        time = (chain.blocks[-1].time if chain.blocks else start) + seconds * SECOND
        lowest = max((block.time for block in chain.blocks[:-6]), default=start)
        chain.mine(*([chain.pay(A if n % 2 else B, 1 + n)] if n in paid else []), at=max(time, lowest))
        if n not in synced:
            continue
        newest = max(block.time for block in chain.blocks)
        with time_machine.travel(newest + late * SECOND, tick=False):
            sync(chain)
            days = {day: Totals.load(day, day).rows for day in _days(start, newest) if is_complete(day)}
        assert told.items() <= days.items()
        settled = [block.time for block in chain.blocks[: -CONFIRMATIONS + 1]]
        assert all(max(settled) >= datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY for day in days)
        told = days


def _days(first, last):
    return [first.date() + DAY * n for n in range((last - first).days + 2)]


@pytest.mark.parametrize("readable", [True, False])
def test_a_late_payment_that_is_not_settled_holds_its_day_open_at_each_sync(evening, clock, readable):
    evening.mine(evening.pay(A, 8), at=MIDNIGHT + 10 * SECOND)
    evening.mine(at=MIDNIGHT + 11 * SECOND)
    late = evening.mine(evening.pay(A, 9), at=MIDNIGHT - 5 * SECOND).txs[0]
    for number in range(6):
        evening.mine(at=MIDNIGHT + (20 + number) * SECOND)
    if not readable:
        evening.listing = without(evening.listing, late)
    for _ in range(2):
        sync(evening)
        assert not is_complete()


def without(listing, late):
    """Lists the transaction as one that cannot be read."""

    def spoiled(address, low, high):
        found = listing(address, low, high)
        rows = tuple(tx for tx in found.transactions if tx.txid != late.txid)
        if len(rows) == len(found.transactions):
            return found
        return replace(found, transactions=rows, unreadable=(Unreadable(late.txid, late.height, "?", late.block_time),))

    return spoiled
