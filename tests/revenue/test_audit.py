"""The ledger against the chain."""

import pytest

from fluxtracker.upstream.http.errors import UpstreamError
from revenue import ledger
from revenue.models import Payment
from tests.revenue.conftest import CONFIRMATIONS, A, B, audit, sync
from tests.revenue.fake_chain import Source
from tests.revenue.ledger_checks import assert_sums_hold, rows

pytestmark = [pytest.mark.django_db, pytest.mark.engine]


def numbers(report):
    return report.missing, report.extra, report.different


@pytest.fixture
def spoiled(chain):
    """A ledger with a lost row, a wrong amount and a row that the chain never had."""
    sync(chain)
    lost, wrong, stray = Payment.objects.filter(address=A).order_by("height")[:3]
    Payment.objects.filter(pk=lost.pk).delete()
    Payment.objects.filter(pk=wrong.pk).update(amount_sat=1)
    Payment.objects.filter(pk=stray.pk).update(txid="00" * 32, block_hash="ff" * 32)
    ledger.recompute_days({(lost.day, A)})
    return chain


def test_a_true_ledger_has_no_differences(chain):
    sync(chain)
    report = audit(chain)
    assert numbers(report) == (0, 0, 0)
    assert report.checked == Payment.objects.count()


def test_what_differs_is_counted_and_left_alone(spoiled):
    before = rows()
    assert numbers(audit(spoiled)) == (2, 1, 1)
    assert rows() == before


def test_with_fix_it_is_mended(spoiled):
    assert audit(spoiled, fix=True).fixed == 4
    assert rows() == spoiled.truth([A, B], CONFIRMATIONS)
    assert_sums_hold()
    assert numbers(audit(spoiled)) == (0, 0, 0)


def test_what_a_sync_mends_while_it_is_compared_is_no_difference(spoiled, monkeypatch):
    honest, asked = spoiled.listing, []

    def listing(*window):
        asked.append(window)
        if len(asked) == 3:  # two addresses were looked at once
            monkeypatch.setattr(spoiled, "listing", honest)
            sync(spoiled, Source("second", spoiled), full=True)
        return honest(*window)

    monkeypatch.setattr(spoiled, "listing", listing)
    assert numbers(audit(spoiled)) == (0, 0, 0)


def test_a_branch_that_no_sync_has_followed_yet_is_not_mended(chain):
    """Its newest payments would hide from the next sync how far down the ledger is of the old one."""
    sync(chain)
    chain.reorg(30, chain.last(30)[::2])
    with pytest.raises(UpstreamError):
        audit(chain, blocks=5, fix=True)
    sync(chain, Source("second", chain))
    assert rows() == chain.truth([A, B], CONFIRMATIONS)
    assert audit(chain, fix=True).fixed == 0


def test_only_the_last_blocks_are_checked(spoiled):
    report = audit(spoiled, blocks=10)
    assert numbers(report) == (0, 0, 0)
    assert report.checked == len([row for row in spoiled.truth([A, B], CONFIRMATIONS) if row[3] > 1052 - 10])


def test_more_blocks_than_there_are_is_the_whole_chain(chain):
    sync(chain)
    assert audit(chain, blocks=100_000_000).checked == Payment.objects.count()


def test_what_was_not_synced_yet_is_not_missing(chain):
    sync(chain)
    for _ in range(20):
        chain.mine(chain.pay(A, 5))
    assert numbers(audit(chain)) == (0, 0, 0)


def test_a_fix_does_not_remove_what_a_lying_source_hides(chain, monkeypatch):
    sync(chain)
    before, honest = rows(), chain._touching
    chain._touching = lambda *window: honest(*window)[5:]
    second = Source("second", chain)
    monkeypatch.setattr(second, "listing", chain.listing)
    with pytest.raises(UpstreamError, match="whose block is still in the chain"):
        audit(chain, fix=True, second=second)
    assert rows() == before
    assert numbers(audit(chain, fix=True)) == (0, 0, 0), "the second source lists everything"
    assert rows() == before
