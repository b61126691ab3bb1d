"""Which outputs are revenue."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.records import ChainTx, TxInput, TxOutput
from revenue.sync.classify import FREE_CHANGE_SENDER, SenderUnknown, purpose, revenue_outputs

APP = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"
OLD_APP = "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"
PAYER = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5"
TRACKED = frozenset([APP, OLD_APP])
HASH = b"82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"


def transaction(outputs, inputs=(PAYER,), op_return=HASH):
    """A transaction with (address, satoshi) outputs; None as an input is one whose address is not told."""
    return ChainTx(
        txid="aa" * 32,
        height=2_996_916,
        block_hash="bb" * 32,
        block_time=datetime(2026, 9, 30, 19, 40, 4, tzinfo=UTC),
        confirmations=26,
        inputs=tuple(TxInput(address, "cc" * 32, 1) for address in inputs),
        outputs=tuple(TxOutput(n, sat, address) for n, (address, sat) in enumerate(outputs)),
        op_return=op_return,
    )


def amounts(tx, address=APP):
    return [(out.vout, out.amount_sat) for out in revenue_outputs(tx, address, TRACKED)]


def test_each_output_to_the_address_is_one_payment():
    tx = transaction([(APP, 100), (PAYER, 5), (APP, 200), (OLD_APP, 300)])
    assert amounts(tx) == [(0, 100), (2, 200)]
    assert amounts(tx, OLD_APP) == [(3, 300)]


def test_a_payment_says_who_paid_when_and_for_what():
    (out,) = revenue_outputs(transaction([(APP, 2_593_000_000)]), APP, TRACKED)
    assert (out.from_address, out.height, out.block_hash) == (PAYER, 2_996_916, "bb" * 32)
    assert (out.kind, out.message_hash, str(out.day)) == ("app", HASH.decode(), "2026-09-30")


@pytest.mark.parametrize("sender", [APP, OLD_APP])
def test_what_a_tracked_address_sends_is_change(sender):
    assert amounts(transaction([(APP, 100)], inputs=[sender, PAYER])) == []


def test_only_the_first_sender_counts():
    assert amounts(transaction([(APP, 100)], inputs=[PAYER, APP])) == [(0, 100)]


def test_a_coinbase_is_no_revenue():
    tx = transaction([(APP, 100)])
    coinbase = ChainTx(
        **{name: getattr(tx, name) for name in tx.__slots__} | {"inputs": (TxInput(None, None, 0, True),)}
    )
    assert amounts(coinbase) == []


@given(st.integers(0, 10_000_000_000))
def test_only_exactly_two_million_satoshi_from_the_free_wallet_are_left_out(sat):
    kept = amounts(transaction([(APP, sat)], inputs=[FREE_CHANGE_SENDER]))
    assert kept == ([] if sat == 2_000_000 else [(0, sat)])


@pytest.mark.parametrize("sat", [1_999_999, 2_000_001])
def test_near_misses_of_the_free_fee_count(sat):
    assert amounts(transaction([(APP, sat)], inputs=[FREE_CHANGE_SENDER])) == [(0, sat)]


def test_the_free_fee_from_somebody_else_counts():
    assert amounts(transaction([(APP, 2_000_000)])) == [(0, 2_000_000)]


def test_two_halves_of_the_fee_are_not_the_fee():
    tx = transaction([(APP, 1_000_000), (APP, 1_000_000)], inputs=[FREE_CHANGE_SENDER])
    assert len(amounts(tx)) == 2


def test_a_sender_that_is_not_told_has_to_be_learned():
    with pytest.raises(SenderUnknown) as unknown:
        amounts(transaction([(APP, 100)], inputs=[None]))
    assert (unknown.value.spends.previous_txid, unknown.value.spends.previous_vout) == ("cc" * 32, 1)


def test_a_transaction_that_pays_others_needs_no_sender():
    assert amounts(transaction([(PAYER, 100)], inputs=[None])) == []


@pytest.mark.parametrize("second", [PAYER, APP, FREE_CHANGE_SENDER])
def test_a_first_input_that_is_not_told_is_not_made_up_for_by_the_next(second):
    tx = transaction([(APP, 100)], inputs=[None, second])
    with pytest.raises(SenderUnknown) as unknown:
        amounts(tx)
    assert unknown.value.spends is tx.inputs[0]


def test_without_transparent_inputs_there_is_no_sender():
    (out,) = revenue_outputs(transaction([(APP, 100)], inputs=[]), APP, TRACKED)
    assert out.from_address is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (HASH, "app"),
        (HASH.upper(), "app"),
        (b"FLUXDRIVEqv8myqxipfe6dwiyky9y3nli", "fluxdrive"),
        (bytes(range(32)), "plain"),
        (HASH[:-1], "plain"),
        (HASH + b"0", "plain"),
        (HASH[:-1] + b"g", "plain"),
        (b"", "plain"),
        (None, "plain"),
    ],
)
def test_the_op_return_says_what_it_is_for(data, kind):
    assert purpose(data) == (kind, HASH.decode() if kind == "app" else "")


@given(st.binary(max_size=100))
def test_any_op_return_has_a_purpose(data):
    kind, message_hash = purpose(data)
    assert (kind == "app") == (len(message_hash) == 64)
