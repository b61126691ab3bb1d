"""Retention, starting over, wiping."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from structlog.testing import capture_logs

from ops.jobs import runs
from revenue import ledger
from revenue.chain_audit import audit_revenue
from revenue.models import App, Cursor, DailyTotal, LedgerState, Payment, Quarantined
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import FakeChain
from tests.revenue.ledger_checks import assert_sums_hold, rows

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # the chain starts on 20 November at noon


@pytest.fixture(autouse=True)
def clock():
    """Some days after the chain's last block."""
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        yield


@pytest.fixture
def week(two_addresses, settings):
    """Six days of blocks, one payment an hour; two days of retention."""
    settings.RETENTION_DAYS = 2
    chain = FakeChain()
    for n in range(6 * 2880):
        chain.mine(*([chain.pay(A, 100 + n)] if n % 120 == 0 else []))
    return chain


def prune(now=NOON):
    with runs.run("prune", trigger="command") as run:
        return ledger.prune(now=now, run=run)


def test_whole_days_older_than_the_retention_and_two_go_and_their_totals_stay(week):
    sync(week)
    totals = list(DailyTotal.objects.order_by("day").values_list("day", "revenue_sat", "payments"))
    report = prune()
    assert report.closed_through == date(2026, 11, 21)
    assert report.transactions == 12 + 24
    assert not Payment.objects.filter(day__lte=date(2026, 11, 21)).exists()
    assert Payment.objects.filter(day=date(2026, 11, 22)).count() == 24
    assert list(DailyTotal.objects.order_by("day").values_list("day", "revenue_sat", "payments")) == totals
    assert_sums_hold()


def test_no_later_sync_or_audit_brings_a_closed_day_back(week):
    sync(week)
    prune()
    left, totals = rows(), set(DailyTotal.objects.values_list("day", "revenue_sat"))
    assert sync(week, full=True).added == 0
    with runs.run("audit_revenue", trigger="command") as run:
        report = audit_revenue(sources=[week], now=NOON, run=run, blocks=10**6, fix=True)
    assert (report.missing, report.extra, report.fixed) == (0, 0, 0)
    assert rows() == left
    assert set(DailyTotal.objects.values_list("day", "revenue_sat")) == totals


def test_an_address_that_is_added_later_has_no_closed_days_and_that_is_said(week, settings):
    settings.REVENUE_ADDRESSES, added = settings.REVENUE_ADDRESSES[:1], settings.REVENUE_ADDRESSES
    week.blocks[10] = replace(week.blocks[10], txs=(replace(week.pay(B, 9), height=1010),))
    sync(week)
    prune()
    settings.REVENUE_ADDRESSES = added
    with capture_logs() as logs:
        sync(week, full=True)
    said = [(entry["address"], entry["closed_through"]) for entry in logs if "closed_days" in entry["event"]]
    assert said == [(B, "2026-11-21")]
    assert not DailyTotal.objects.filter(address=B).exists()
    with runs.run("clear_revenue_data", trigger="command") as run:
        ledger.clear(run=run)
    sync(week)
    assert DailyTotal.objects.get(address=B).revenue_sat == 9


def test_retention_zero_keeps_everything(week, settings):
    settings.RETENTION_DAYS = 0
    sync(week)
    assert prune().transactions == 0
    assert rows() == week.truth([A, B], CONFIRMATIONS)


def test_nothing_is_closed_before_the_first_sync_is_through(week):
    assert prune().closed_through is None
    sync(week)
    Cursor.objects.filter(address=A).update(height=1100)
    assert prune().transactions == 0
    assert LedgerState.load().closed_through is None


def test_a_first_sync_counts_days_that_are_past_the_retention(week):
    sync(week)
    assert DailyTotal.objects.get(day=date(2026, 11, 20), address=A).payments == 12


def test_pruning_twice_changes_nothing_more(week):
    sync(week)
    prune()
    assert prune().transactions == 0
    assert prune(NOON + timedelta(days=1)).transactions == 0, "the chain as it was read is not so far"
    for _ in range(2880):
        week.mine()
    sync(week)
    assert prune(NOON + timedelta(days=1)).transactions == 24


def test_a_reset_makes_the_next_sync_read_everything_and_change_nothing(chain):
    sync(chain)
    before = rows()
    with runs.run("reset", trigger="command") as run:
        ledger.reset_sync(run=run)
    assert not Cursor.objects.exists()
    assert rows() == before
    report = sync(chain)
    assert (report.added, report.removed, report.last_sync_block) == (0, 0, 1052)
    assert report.fetched > 50


def test_clearing_leaves_nothing_of_the_ledger(chain):
    sync(chain)
    app = App.objects.create(name="minecraft", payments=3, revenue_sat=4)
    Quarantined.objects.create(txid="aa" * 32, address=A, first_seen_at=NOON, next_attempt_at=timezone.now())
    with runs.run("clear", trigger="command") as run:
        assert ledger.clear(run=run) == len(chain.truth([A, B], CONFIRMATIONS))
    for model in (Payment, DailyTotal, Cursor, Quarantined):
        assert not model.objects.exists()
    app.refresh_from_db()
    assert (app.payments, app.revenue_sat) == (0, 0)
    assert LedgerState.load().tip_height is None
    sync(chain)
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
