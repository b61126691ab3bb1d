"""What could not be read waits until it can be: nothing but its block's own list makes it go."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from fluxtracker.upstream.http.errors import NotFound, Unavailable
from revenue.models import Payment, Quarantined
from tests.revenue.conftest import CONFIRMATIONS, A, sync
from tests.revenue.fake_chain import Source
from tests.revenue.ledger_checks import assert_sums_hold

pytestmark = pytest.mark.django_db

DAYS = 3


@pytest.fixture
def waiting(chain):
    """A chain with a transaction whose sender no source names."""
    lost = chain.pay(A, 66, sender=None)
    chain.mine(lost)
    for _ in range(CONFIRMATIONS + 40):
        chain.mine()
    sync(chain)
    assert [row.txid for row in Quarantined.objects.all()] == [lost.txid]
    return lost


def time_passes(*sources, days=DAYS):
    """The syncs of every quarter of an hour, without those at which nothing is due; one of these asks for no more."""
    start = timezone.now()
    quarters = (start + timedelta(minutes=15 * quarter) for quarter in range(days * 24 * 4))
    early = True
    for now in quarters:
        is_due = Quarantined.objects.due(now).exists()
        if is_due or early:
            sync(*sources, now=now)
            early = is_due
            assert is_due or "transaction" not in sources[0].requests


def answers(chain, monkeypatch, failing):
    """What the source says to a question for a transaction."""

    def transaction(txid):
        raise failing(txid)

    monkeypatch.setattr(chain, "transaction", transaction)


def unknown(txid):
    return NotFound("fake", f"tx/{txid}", "HTTP 400: not found")


def test_that_the_previous_transaction_is_not_known_is_no_sign_that_this_one_has_gone(chain, waiting):
    time_passes(chain)
    (row,) = Quarantined.objects.all()
    assert (row.txid, row.absences) == (waiting.txid, 0)


def test_a_source_that_lists_it_and_knows_it_not_is_not_believed(chain, waiting, monkeypatch):
    answers(chain, monkeypatch, unknown)
    time_passes(chain)
    (row,) = Quarantined.objects.all()
    assert "but listed in block" in row.detail


def test_an_outage_counts_for_nothing(chain, waiting, monkeypatch):
    answers(chain, monkeypatch, lambda txid: Unavailable("fake", f"tx/{txid}", "timed out"))
    time_passes(chain)
    monkeypatch.setattr(chain, "listing", lambda *window: pytest.fail("too early to look into its block"))
    answers(chain, monkeypatch, unknown)
    sync(chain, now=timezone.now() + timedelta(days=DAYS + 1))
    (row,) = Quarantined.objects.all()
    assert (row.absences, row.attempts > 5) == (1, True)


@pytest.mark.parametrize(("witnesses", "left"), [(0, True), (1, False)])
def test_what_its_block_lacks_too_is_gone_if_a_second_source_has_the_block(
    chain, waiting, monkeypatch, witnesses, left
):
    answers(chain, monkeypatch, unknown)
    place = next(n for n, block in enumerate(chain.blocks) if waiting.txid in {tx.txid for tx in block.txs})
    chain.blocks[place] = replace(chain.blocks[place], txs=())
    time_passes(chain, *[Source("second", chain)] * witnesses, days=1)
    assert Quarantined.objects.exists() is left


@pytest.mark.parametrize(("hours", "left"), [(20, 1), (48, 0)])
def test_without_a_block_it_takes_a_day_of_the_same_answer(chain, waiting, monkeypatch, hours, left):
    Quarantined.objects.update(height=None, first_seen_at=timezone.now() - timedelta(hours=hours))
    answers(chain, monkeypatch, unknown)
    time_passes(chain, days=1 if not left else 0)
    for _ in range(6):
        Quarantined.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        sync(chain)
    assert Quarantined.objects.count() == left


@pytest.mark.engine
def test_it_is_counted_as_soon_as_its_sender_is_known(chain, waiting):
    time_passes(chain)
    spent = waiting.inputs[0]
    payer = replace(chain.pay("t1" + "P" * 33, 70), txid=spent.previous_txid)
    chain.mine(payer)
    Quarantined.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    sync(chain)
    assert not Quarantined.objects.exists()
    assert Payment.objects.get(txid=waiting.txid).amount_sat == 66
    assert_sums_hold()
