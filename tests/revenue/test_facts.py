"""What is kept of payments for splits, and which days are noted as changed."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from ops.jobs import runs
from revenue import ledger, naming, pricing
from revenue.models import ChangedDay, Label, LedgerState, Message, Payment, PrunedPayment, ShareRule
from revenue.selectors import facts, facts_of
from tests.factories import MAIN, NOON, SECOND, AppFactory, PaymentFactory, digest, imported, pay, settle
from tests.revenue.conftest import A, sync

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

DAY = date(2026, 11, 20)
OLD = NOON - timedelta(days=400)


def changed():
    return set(ChangedDay.objects.values_list("day", flat=True))


def prune(now=NOON + timedelta(hours=10)):
    with runs.run("prune", trigger="command") as run:
        return ledger.prune(now=now, run=run)


def summed(found):
    """Return the sums by transaction, without what pruning merges."""
    sums = {}
    for fact in found:
        key = (fact.day, fact.height, fact.txid, fact.from_address, fact.kind, fact.message_hash)
        sums.setdefault((*key, fact.app_id), Counter()).update(
            sat=fact.revenue_sat, payments=fact.payments, usd=fact.usd_micro, priced=fact.priced
        )
    return sums


def test_pruning_keeps_one_row_a_transaction_with_all_that_a_split_needs():
    first = pay("10", app="web", at=OLD)
    PaymentFactory(txid=first.txid, vout=1, address=SECOND, amount_sat=7, paid_at=OLD,
                   height=first.height, app=first.app, usd_micro=None, price_usd=None)  # fmt: skip
    pay("3", at=OLD + timedelta(hours=1), kind="fluxdrive", message_hash="", from_address=None)
    imported(paid_at=OLD, app=AppFactory(name="old"), message_hash="")
    pay("4", at=NOON)
    settle()
    before = summed(facts([OLD.date(), DAY]))
    assert len(before) == 4
    assert prune().transactions == 4
    assert (Payment.objects.count(), PrunedPayment.objects.count()) == (1, 3)
    assert summed(facts([OLD.date(), DAY])) == before
    assert [fact.payments for fact in facts_of([first.txid])] == [2]


def test_pruning_changes_no_day():
    pay(at=OLD)
    settle()
    ChangedDay.objects.all().delete()
    prune()
    assert changed() == set()


def test_clearing_leaves_nothing_but_the_days_that_have_to_be_split_again():
    pay(at=OLD)
    settle()
    prune()
    pay(at=NOON)
    settle(closed_through=LedgerState.load().closed_through)
    ChangedDay.objects.all().delete()
    with runs.run("clear_revenue_data", trigger="command") as run:
        ledger.clear(run=run)
    assert list(facts([OLD.date(), DAY])) == []
    assert changed() == {OLD.date(), DAY}


def test_a_sync_notes_the_days_of_what_came_and_of_what_went(chain):
    sync(chain)
    assert changed() == set(Payment.objects.values_list("day", flat=True)) != set()
    ChangedDay.objects.all().delete()
    sync(chain)
    assert changed() == set()
    chain.mine(chain.pay(A, 5))
    for _ in range(8):
        chain.mine()
    sync(chain)
    assert changed() == {Payment.objects.get(amount_sat=5).day}


def test_a_name_changes_the_days_of_its_payments():
    row = pay(at=NOON)
    pay(at=NOON - timedelta(days=1))
    settle()
    ChangedDay.objects.all().delete()
    Message.objects.create(hash=row.message_hash, app=AppFactory(name="web"))
    assert naming.name_known_payments() == 1
    assert changed() == {DAY}


def test_a_price_changes_its_day_and_no_closed_one():
    pay(at=NOON, price_usd=None)
    settle()
    ChangedDay.objects.all().delete()
    rows = list(Payment.objects.values_list(*pricing.COLUMNS))
    with ledger.writing():
        pricing._set_prices(rows, {DAY: pricing.Decimal("0.08")})
    assert changed() == {DAY}
    settle(closed_through=DAY)
    ChangedDay.objects.all().delete()
    settle(closed_through=DAY)
    assert changed() == set()


def test_a_day_is_noted_once():
    ChangedDay.mark([DAY, DAY])
    ChangedDay.mark(iter([DAY]))
    assert ChangedDay.objects.count() == 1


def test_a_new_installation_knows_the_senders_and_the_shares():
    assert dict(Label.objects.values_list("subject", "category")) == {
        "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5": "card",
        "t1gjUUxBpBeVC1sWwAFrtSsVCbSaFdZx8UY": "team",
        "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A": "platform",
        "196GJWyLxzAw3MirTT7Bqs2iGpUQio29GH": "team",
    }
    rules = list(ShareRule.objects.values_list("from_height", "foundation_ppm", "operators_ppm"))
    assert rules == [(0, 1_000_000, 0), (3_787_502, 800_000, 200_000)]


@pytest.mark.parametrize("shares", [(800_000, 100_000), (0, 1_000_000), (1_000_001, 0)])
def test_shares_that_are_no_whole_are_refused(shares):
    foundation, operators = shares
    with pytest.raises(IntegrityError), transaction.atomic():
        ShareRule.objects.create(
            from_height=5, from_day=DAY, foundation_ppm=foundation, operators_ppm=operators, words="x"
        )


@pytest.mark.parametrize("ends", [(None, None), (DAY, None)])
def test_a_subject_has_one_label_from_a_day_on(ends):
    first, last = ends
    values = {"subject": MAIN, "category": "team", "words": "x", "valid_from": first, "valid_to": last}
    Label.objects.create(**values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.create(**values)


def test_a_transaction_is_told_by_its_id():
    row = pay("1.5", at=datetime(2026, 11, 20, 1, tzinfo=UTC))
    pay("2")
    (fact,) = facts_of([row.txid, digest("unknown")])
    assert (fact.txid, fact.revenue_sat, fact.payments, fact.priced) == (row.txid, 150_000_000, 1, 1)
