from datetime import UTC, datetime

import pytest

from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.chain.transactions import blockbook_tx
from fluxtracker.upstream.http.errors import BadAnswer, NotFound, Unavailable
from fluxtracker.upstream.records import Tip
from tests.upstream.fake_blockbook import ADDRESS, BASE
from tests.upstream.payloads import payload

FREE_SENDER = "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"
TXID = payload("blockbook/tx_app_payment")["txid"]


def test_the_tip_is_the_best_block_of_the_index(web, blockbook, http):
    status = payload("blockbook/status")
    web.get(BASE, json=status)
    assert blockbook.tip() == Tip(2996932, status["backend"]["bestBlockHash"], "blockbook.example")
    assert http.requests == 1


def test_the_tip_asks_for_the_hash_while_the_backend_is_ahead(web, blockbook, http):
    status = payload("blockbook/status")
    status["backend"]["blocks"] += 1
    web.get(BASE, json=status)
    web.get(f"{BASE}/block-index/2996932", json={"blockHash": "ab" * 32})
    assert blockbook.tip().hash == "ab" * 32
    assert http.requests == 2


def test_the_tip_counts_while_the_next_block_is_being_indexed(web, blockbook):
    status = payload("blockbook/status")
    status["blockbook"]["inSync"] = False
    web.get(BASE, json=status)
    assert blockbook.tip().height == 2996932


@pytest.mark.parametrize(
    "change",
    [
        {"initialSync": True},
        {"bestHeight": 0},
        {"bestHeight": None},
        {"bestHeight": "2996932"},
        {"bestHeight": True},
        {"bestHeight": -4},
        {"bestHeight": 1e300},
    ],
)
def test_a_status_without_a_usable_height_is_refused(web, blockbook, change):
    status = payload("blockbook/status")
    status["blockbook"] |= change
    web.get(BASE, json=status)
    with pytest.raises(BadAnswer, match=r"blockbook\.example /api/v2"):
        blockbook.tip()


@pytest.mark.parametrize("answer", [[], {}, {"blockbook": None}, {"blockbook": []}, None, 7, "ok"])
def test_a_status_of_another_shape_is_refused(web, blockbook, answer):
    web.get(BASE, json=answer)
    with pytest.raises(BadAnswer):
        blockbook.tip()


def test_a_block_past_the_tip_is_not_found(web, blockbook):
    web.get(f"{BASE}/block-index/99", json={"error": "Block not found"}, status=400)
    with pytest.raises(NotFound):
        blockbook.block_hash(99)


def test_a_block_without_a_hash_is_not_found(web, blockbook):
    web.get(f"{BASE}/block-index/99", json={"blockHash": ""})
    with pytest.raises(NotFound):
        blockbook.block_hash(99)


def test_a_broken_proxy_is_not_taken_for_a_missing_block(web, blockbook):
    web.get(f"{BASE}/block-index/99", body="<html>502</html>", status=502)
    with pytest.raises(Unavailable):
        blockbook.block_hash(99)


def test_the_count_of_an_address_is_its_whole_history(fake, blockbook):
    fake.pay(10, count=3)
    assert blockbook.total(ADDRESS) == 3


def test_the_count_for_another_address_is_refused(fake, blockbook):
    with pytest.raises(BadAnswer):
        blockbook.total("t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6")


def test_a_payment_is_read_whole(web, blockbook):
    web.get(f"{BASE}/tx/{TXID}", json=payload("blockbook/tx_app_payment"))
    tx = blockbook.transaction(TXID)
    assert (tx.height, tx.confirmations) == (2998352, 30)
    assert tx.block_time == datetime(2026, 10, 1, 7, 39, 4, tzinfo=UTC)
    assert [(output.n, output.value_sat, output.address) for output in tx.outputs] == [
        (0, 2_593_000_000, ADDRESS),
        (1, 52_511_000_000, FREE_SENDER),
        (2, 0, None),
    ]
    assert tx.inputs[0].address == FREE_SENDER
    assert tx.inputs[0].previous_vout == 1
    assert tx.op_return == b"4a474ea9e79e7ba84ec93651b1ea13b979d413508d7cef9662c9cc14cce5bd85"


def test_an_unknown_transaction_is_not_found(web, blockbook):
    web.get(f"{BASE}/tx/{TXID}", json={"error": f"Transaction '{TXID}' not found (-5)"}, status=400)
    with pytest.raises(NotFound):
        blockbook.transaction(TXID)


def test_another_complaint_is_not_taken_for_a_missing_transaction(web, blockbook):
    web.get(f"{BASE}/tx/{TXID}", json={"error": "Backend is not reachable"}, status=400)
    with pytest.raises(BadAnswer, match="Backend is not reachable"):
        blockbook.transaction(TXID)


def test_an_error_inside_a_success_is_refused(web, blockbook):
    web.get(f"{BASE}/tx/{TXID}", json={"error": "Internal server error"})
    with pytest.raises(BadAnswer, match="Internal server error"):
        blockbook.transaction(TXID)


def test_another_transaction_than_asked_for_is_refused(web, blockbook):
    web.get(f"{BASE}/tx/{'ab' * 32}", json=payload("blockbook/tx_app_payment"))
    with pytest.raises(BadAnswer):
        blockbook.transaction("ab" * 32)


def test_the_host_names_no_credentials(http):
    assert Blockbook(http, "https://user:secret@node.example/api/v2").host == "node.example"


def test_an_input_without_vout_spends_output_zero():
    tx = blockbook_tx(payload("blockbook/address_txs")["transactions"][2])
    assert [spent.previous_vout for spent in tx.inputs] == [0, 1]


def test_a_coinbase_has_no_sender():
    tx = blockbook_tx(payload("blockbook/tx_coinbase"))
    assert tx.inputs[0].coinbase
    assert tx.inputs[0].address is None
    assert sum(output.value_sat for output in tx.outputs) == 1_400_000_000


def test_a_fluxnode_confirmation_has_neither_inputs_nor_outputs():
    tx = blockbook_tx(payload("blockbook/tx_fluxnode_confirm"))
    assert (tx.inputs, tx.outputs, tx.op_return) == ((), (), None)


def test_an_unconfirmed_transaction_has_no_block():
    tx = blockbook_tx(payload("blockbook/tx_unconfirmed"))
    assert (tx.height, tx.block_hash, tx.confirmations) == (-1, "", 0)


def test_an_output_without_value_is_worth_nothing():
    row = payload("blockbook/tx_app_payment")
    del row["vout"][0]["value"]
    assert blockbook_tx(row).outputs[0].value_sat == 0


@pytest.mark.parametrize("addresses", [None, []])
def test_an_odd_script_pays_no_address(addresses):
    row = payload("blockbook/tx_app_payment")
    row["vout"][0]["addresses"] = addresses
    assert blockbook_tx(row).outputs[0].address is None


def test_an_input_without_addresses_tells_no_sender():
    row = payload("blockbook/tx_app_payment")
    del row["vin"][0]["addresses"]
    spent = blockbook_tx(row).inputs[0]
    assert (spent.address, spent.previous_txid) == (None, row["vin"][0]["txid"])


def test_the_op_return_is_read_from_its_text_where_the_script_is_missing():
    row = payload("blockbook/tx_app_payment")
    del row["vout"][2]["hex"]
    assert blockbook_tx(row).op_return == b"4a474ea9e79e7ba84ec93651b1ea13b979d413508d7cef9662c9cc14cce5bd85"


HASH = b"4a474ea9e79e7ba84ec93651b1ea13b979d413508d7cef9662c9cc14cce5bd85"
MESSAGE = {"value": "0", "hex": "6a40" + HASH.hex(), "addresses": [f"OP_RETURN ({HASH.decode()})"], "isAddress": False}
PAID = {
    "value": "5",
    "hex": "a9142a52ee887a2a44d1b9e3a4c7e1a7a0f0b87f3d1387",
    "addresses": [ADDRESS],
    "isAddress": True,
}
OTHER = {"value": "0", "hex": "6a03616263", "addresses": ["OP_RETURN (abc)"], "isAddress": False}
ODD = {"value": "5", "hex": "51", "addresses": None, "isAddress": False}
EMPTY = {"value": "5", "hex": "", "addresses": None, "isAddress": False}


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([PAID, MESSAGE], HASH),
        ([MESSAGE, PAID], None),
        ([PAID, MESSAGE, ODD], None),
        ([PAID, MESSAGE, {**ODD, "addresses": []}], None),
        ([PAID, MESSAGE, {key: PAID[key] for key in ("value", "hex")}], None),
        ([PAID, MESSAGE, {key: PAID[key] for key in ("value", "addresses")}], None),
        ([PAID, MESSAGE, EMPTY], HASH),
        ([PAID, MESSAGE, {"value": "5"}], HASH),
        ([MESSAGE, OTHER], b"abc"),
        ([OTHER, MESSAGE], HASH),
        ([MESSAGE, {**OTHER, "hex": "6a"}], None),
        ([{**MESSAGE, "hex": "6a4c40" + HASH.hex()}], HASH),
        ([{**MESSAGE, "hex": "6a40" + HASH.hex() + "51"}], None),
    ],
)
def test_only_the_last_output_with_a_script_says_anything(outputs, said):
    row = payload("blockbook/tx_app_payment") | {"vout": [{**vout, "n": n} for n, vout in enumerate(outputs)]}
    assert blockbook_tx(row).op_return == said
    assert blockbook_tx(row | {"vout": row["vout"][::-1]}).op_return == said, "the numbers count, not the places"


@pytest.mark.parametrize("version", [0, 5, 6, 100, -1])
def test_a_transaction_of_another_version_says_nothing(version):
    assert blockbook_tx(payload("blockbook/tx_app_payment") | {"version": version}).op_return is None


@pytest.mark.parametrize("version", [1, 2, 3, 4, None, "4"])
def test_a_transaction_of_a_usual_version_or_none_is_read(version):
    assert blockbook_tx(payload("blockbook/tx_app_payment") | {"version": version}).op_return == HASH


def test_inputs_and_outputs_are_ordered_by_their_numbers():
    row = payload("blockbook/address_txs")["transactions"][2]
    turned = row | {"vin": row["vin"][::-1], "vout": row["vout"][::-1]}
    assert blockbook_tx(turned) == blockbook_tx(row)


def test_a_binary_op_return_is_read_from_its_hex():
    row = payload("blockbook/tx_app_payment")
    row["vout"][2] |= {"hex": "", "addresses": ["OP_RETURN 00ff10"]}
    assert blockbook_tx(row).op_return == b"\x00\xff\x10"


@pytest.mark.parametrize(
    "change",
    [
        {"txid": "not hex"},
        {"txid": None},
        {"blockHeight": "2998352"},
        {"blockHeight": True},
        {"blockTime": None},
        {"blockTime": "yesterday"},
        {"blockTime": 10**15},
        {"blockHash": 7},
        {"vout": 7},
        {"vin": [None]},
        {"vout": [{"n": 0, "value": "12.5"}]},
        {"vout": [{"n": 0, "value": "-5"}]},
        {"vout": [{"n": 0, "value": 1.0}]},
        {"vout": [{"n": 0, "value": "9" * 30}]},
        {"vout": [{"n": -1, "value": "1"}]},
    ],
)
def test_a_transaction_of_a_wrong_shape_is_refused(web, blockbook, change):
    web.get(f"{BASE}/tx/{TXID}", json=payload("blockbook/tx_app_payment") | change)
    with pytest.raises(BadAnswer, match="not usable"):
        blockbook.transaction(TXID)


def test_an_error_inside_a_success_holds_printable_words_only(web, blockbook):
    web.get(f"{BASE}/tx/{TXID}", json={"error": "boom\x00\x1b[31m"})
    with pytest.raises(BadAnswer) as caught:
        blockbook.transaction(TXID)
    assert caught.value.detail == "an error inside a success: boom  [31m"


@pytest.mark.parametrize("count", [3_000_000_000, 2**31, 10**30, -1, True, "5"])
def test_a_count_that_no_address_has_is_refused(fake, blockbook, count):
    fake.mischief = lambda answer, query: answer | {"txs": count}
    with pytest.raises(BadAnswer, match="txs"):
        blockbook.total(ADDRESS)


@pytest.mark.parametrize("count", [0, 1])
def test_a_listing_of_more_than_it_counts_is_refused(fake, blockbook, count):
    fake.pay(10, 2)
    fake.mischief = lambda answer, query: answer | {"txs": count}
    with pytest.raises(BadAnswer, match="lists more"):
        blockbook.listing(ADDRESS, 1, 2_000_000_000)
