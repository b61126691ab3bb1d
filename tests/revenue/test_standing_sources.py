"""A source that stops, lags or reports a wrong tip: what it cannot know is unknown, not 0, and no sync stays stuck."""

import copy
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from ops.jobs import runs
from ops.models import TaskState
from revenue import ledger
from revenue.models import LedgerState, Payment
from revenue.period_totals import Totals, daily
from revenue.status import sync_part
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import FakeChain, Source
from tests.revenue.ledger_checks import assert_sums_hold, rows

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def longer(chain):
    """The same chain as another source has it: 100 blocks further, with payments."""
    other = copy.deepcopy(chain)
    other.host = "second"
    for _ in range(100):
        other.mine(other.pay(A, 5))
    return other


def stands_since(span):
    """The tip was first seen so long ago."""
    LedgerState.objects.update(tip_changed_at=timezone.now() - span)


def test_the_next_source_is_read_where_it_is_farther_than_one_that_stands(chain, longer):
    sync(chain, longer)
    assert longer.requests == []
    stands_since(16 * MINUTE)
    report = sync(chain, longer)
    assert report.failed_sources == ["fake tip: stands at block 1059, second is at 1159"]
    assert rows() == longer.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()
    assert LedgerState.load().tip_source == "second"


@pytest.mark.parametrize("minutes", [0, 14])
def test_a_tip_that_stands_for_some_minutes_is_one_request(chain, longer, minutes):
    sync(chain, longer)
    stands_since(minutes * MINUTE)
    sync(chain, longer)
    assert (chain.requests, longer.requests) == (["tip"], [])


def test_where_all_stand_the_chain_does(chain):
    others = [copy.deepcopy(chain), FakeChain()]
    others[1].tip = lambda: (_ for _ in ()).throw(Unavailable("broken", "api", "HTTP 503"))
    sync(chain, *others)
    stands_since(2 * DAY)
    assert sync(chain, *others).failed_sources == []


def test_a_source_far_behind_its_own_node_is_not_the_end_of_the_chain(chain, longer, monkeypatch):
    behind = chain.tip().__class__(1059, chain.blocks[-1].hash, "fake", 200)
    monkeypatch.setattr(chain, "tip", lambda: behind)
    sync(chain)
    assert LedgerState.load().completed_at is None
    assert Payment.objects.exists(), "what it has is read all the same"
    sync(chain, longer)
    assert LedgerState.load().completed_at is not None
    assert rows() == longer.truth([A, B], CONFIRMATIONS)


def test_days_after_the_tip_stood_still_are_not_known(chain):
    read_at = chain.blocks[-1].time
    for later in (0, 3):
        with time_machine.travel(read_at + later * DAY, tick=False):
            sync(chain)
    now = read_at + 3 * DAY
    days = {report.day: report for report in daily(Totals.load(now.date() - 5 * DAY, now.date()), now.date(), 5, now)}
    for back in (0, 1, 2):
        report = days[now.date() - back * DAY]
        assert (report.sums.revenue_sat, report.sums.payments, report.complete) == (None, None, False), back
    assert days[now.date() - 3 * DAY].complete is False
    assert days[now.date() - 4 * DAY].complete is True
    assert LedgerState.known().is_stale(now)
    assert sync_part(now).report["lagSeconds"] >= 3 * 24 * 3600


def test_days_are_closed_no_later_than_the_source_could_tell(chain, settings):
    settings.RETENTION_DAYS = 1
    read_at = chain.blocks[-1].time
    for later in (0, 10):
        with time_machine.travel(read_at + later * DAY, tick=False):
            sync(chain)
    TaskState.objects.all().delete()
    for later in (400 * DAY, 10 * DAY, timedelta()):  # a clock that ran ahead; the clock as it is; one set back
        with runs.run("prune", trigger="command") as run:
            report = ledger.prune(now=read_at + later, run=run)
        assert report.closed_through == read_at.date() - 4 * DAY


def test_one_wrong_tip_is_asked_again_where_nothing_else_is_new(chain):
    for _ in range(CONFIRMATIONS):
        chain.mine()
    sync(chain)
    honest, lies = chain.tip, [replace(chain.tip(), height=6_000, hash="ab" * 32)]
    chain.tip = lambda: lies.pop() if lies else honest()
    chain.mine()
    sync(chain)
    assert LedgerState.load().tip_height == chain.blocks[-1].height
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()


@pytest.mark.parametrize("height", [1_150, 6_000, 2**31 - 1])
def test_a_wrong_tip_that_was_believed_is_given_up_where_no_source_has_it(chain, height):
    second = Source("second", chain)
    sync(chain, second)
    honest, honest_hash = chain.tip, chain.block_hash
    lie = replace(chain.tip(), height=height, hash="ab" * 32)
    chain.tip, chain.block_hash = (lambda: lie), (lambda at: lie.hash if at == height else honest_hash(at))
    sync(chain, second)
    assert LedgerState.load().tip_height == height
    chain.tip, chain.block_hash = honest, honest_hash
    for _ in range(30):
        chain.mine(chain.pay(A, 5))
    with pytest.raises(UpstreamError):
        sync(chain, second)
    later = timezone.now() + timedelta(minutes=16)
    sync(chain, second, now=later)
    assert LedgerState.load().tip_height == chain.blocks[-1].height
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()
    chain.mine(chain.pay(A, 6))
    sync(chain, second, now=later)
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()


def test_a_source_that_lags_gives_up_no_tip_that_another_has(chain):
    second = Source("second", chain)
    sync(chain, second)
    lagging = Source("lagging", chain, lag=40)
    later = timezone.now() + timedelta(minutes=16)
    report = sync(lagging, second, now=later)
    assert report.failed_codes == ["behind"]
    assert LedgerState.load().tip_height == chain.blocks[-1].height
