"""A source that has stopped reports nothing new: what it cannot know is unknown, not 0."""

import copy
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from fluxtracker.upstream.http.errors import Unavailable
from ops.jobs import runs
from ops.models import TaskState
from revenue import ledger
from revenue.models import LedgerState, Payment
from revenue.selectors import Totals, daily
from revenue.status import sync_part
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import FakeChain
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
