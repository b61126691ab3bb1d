"""What a branch may not take: prices, quarantined transactions, imported rows."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from fluxtracker.upstream.http.errors import UpstreamError
from ops.jobs import runs
from revenue import ledger
from revenue.models import LedgerState, Payment, Quarantined, RemovedPayment
from tests.revenue.conftest import CONFIRMATIONS, A
from tests.revenue.ledger_checks import assert_sums_hold
from tests.revenue.proof.conftest import assert_true, clear, priced

pytestmark = pytest.mark.django_db


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
