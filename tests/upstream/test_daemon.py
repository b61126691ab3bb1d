import copy
import json
import re
from datetime import UTC, datetime

import pytest

from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.chain.transactions import daemon_tx
from fluxtracker.upstream.http.errors import BadAnswer, NotFound, Unavailable
from tests.upstream.fake_blockbook import ADDRESS, hash_of, txid_of
from tests.upstream.payloads import payload

API = "https://api.example"
DAEMON = f"{API}/daemon"
SAMPLE = payload("daemon/getrawtransaction")["data"]
TXID = SAMPLE["txid"]


def success(data):
    return {"status": "success", "data": data}


@pytest.fixture
def daemon(http):
    return Daemon(http, API)


class FakeDaemon:
    """Holds transactions of one address by height, oldest first."""

    def __init__(self, web):
        self.rows = {}
        self.spoiled = {}
        web.add_callback("GET", re.compile(f"{DAEMON}/getaddresstxids/.*"), self._txids)
        web.add_callback("GET", re.compile(f"{DAEMON}/getrawtransaction/.*"), self._transaction)

    def pay(self, height):
        row = copy.deepcopy(SAMPLE) | {"txid": txid_of(len(self.rows)), "height": height, "blockhash": hash_of(height)}
        self.rows[row["txid"]] = row

    def _txids(self, request):
        low, high = map(int, request.url.split("/")[-2:])
        rows = sorted(self.rows.values(), key=lambda row: row["height"])
        return self._json(success([row["txid"] for row in rows if low <= row["height"] <= high]))

    def _transaction(self, request):
        txid = request.url.split("/")[-2]
        return self._json(self.spoiled.get(txid) or success(self.rows[txid]))

    def _json(self, answer):
        return 200, {}, json.dumps(answer)


@pytest.fixture
def fake(web):
    return FakeDaemon(web)


def test_the_tip_stays_behind_what_the_node_counts(web, daemon):
    web.get(f"{DAEMON}/getblockcount", json=success(3_000_000))
    web.get(f"{DAEMON}/getblockhash/2999998", json=success("ab" * 32))
    tip = daemon.tip()
    assert (tip.height, tip.hash, tip.source, tip.ahead) == (2_999_998, "ab" * 32, "api.example", 2)


@pytest.mark.parametrize("count", [0, None, "3000000", True, -1, 2.5, [], {}])
def test_a_count_that_is_none_is_refused(web, daemon, count):
    web.get(f"{DAEMON}/getblockcount", json=success(count))
    with pytest.raises(BadAnswer):
        daemon.tip()


def test_a_height_out_of_range_is_not_found(web, daemon):
    web.get(f"{DAEMON}/getblockhash/9", json=payload("daemon/error_height_out_of_range"))
    with pytest.raises(NotFound):
        daemon.block_hash(9)


def test_an_unknown_transaction_is_not_found(web, daemon):
    web.get(f"{DAEMON}/getrawtransaction/{TXID}/1", json=payload("daemon/error_tx_not_found"))
    with pytest.raises(NotFound):
        daemon.transaction(TXID)


def test_a_range_beyond_the_node_is_an_error_and_asked_again_once(web, daemon, http):
    web.get(f"{DAEMON}/getaddresstxids/{ADDRESS}/1/9", json=payload("daemon/error_range"))
    with pytest.raises(BadAnswer, match="outside chain range"):
        daemon.listing(ADDRESS, 1, 9)
    assert http.requests == 2


def test_the_next_node_may_know_the_range(web, daemon):
    url = f"{DAEMON}/getaddresstxids/{ADDRESS}/1/9"
    web.get(url, json=payload("daemon/error_range"))
    web.get(url, json=payload("daemon/getaddresstxids"))
    assert len(daemon.txids(ADDRESS, 1, 9)) == 5


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "error", "data": {"message": "busy"}},
        {"status": "error", "data": "busy"},
        {"status": "error"},
        {"status": "success"},
        {"data": []},
        success({}),
        success([None]),
        success(["?"]),
        [],
        None,
    ],
)
def test_a_wrong_list_of_ids_is_refused(web, daemon, answer):
    web.get(f"{DAEMON}/getaddresstxids/{ADDRESS}/1/9", json=answer)
    with pytest.raises(BadAnswer):
        daemon.listing(ADDRESS, 1, 9)


def test_a_payment_is_read_whole(web, daemon):
    web.get(f"{DAEMON}/getrawtransaction/{TXID}/1", json=success(SAMPLE))
    tx = daemon.transaction(TXID)
    assert (tx.height, tx.confirmations) == (2996916, 26)
    assert tx.inputs[0].address == "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"
    assert [(output.n, output.value_sat, output.address) for output in tx.outputs] == [
        (0, 2_000_000, ADDRESS),
        (1, 353_709_000_000, "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"),
        (2, 0, None),
    ]
    assert tx.op_return == b"82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"


def test_the_float_amount_is_never_used():
    row = copy.deepcopy(SAMPLE)
    row["vout"][0]["value"] = 999.0
    assert daemon_tx(row).outputs[0].value_sat == 2_000_000


def test_an_amount_without_integers_is_refused(web, daemon):
    row = copy.deepcopy(SAMPLE)
    del row["vout"][0]["valueSat"], row["vout"][0]["valueZat"]
    web.get(f"{DAEMON}/getrawtransaction/{TXID}/1", json=success(row))
    with pytest.raises(BadAnswer):
        daemon.transaction(TXID)


def test_an_input_that_the_index_does_not_know_tells_no_sender():
    row = copy.deepcopy(SAMPLE)
    del row["vin"][0]["address"]
    spent = daemon_tx(row).inputs[0]
    assert (spent.address, spent.previous_txid, spent.previous_vout) == (None, SAMPLE["vin"][0]["txid"], 1)


def test_a_coinbase_input_is_known_as_one():
    row = copy.deepcopy(SAMPLE) | {"vin": [{"coinbase": "03b2ba2d00", "sequence": 1}]}
    assert daemon_tx(row).inputs[0].coinbase


def test_an_unconfirmed_transaction_has_no_block():
    row = copy.deepcopy(SAMPLE)
    for key in ("height", "blockhash", "time", "blocktime", "confirmations"):
        del row[key]
    tx = daemon_tx(row)
    assert (tx.height, tx.block_hash, tx.confirmations) == (-1, "", 0)


def test_the_op_return_is_read_from_its_text_where_the_script_is_missing():
    row = copy.deepcopy(SAMPLE)
    del row["vout"][2]["scriptPubKey"]["hex"]
    assert daemon_tx(row).op_return == b"82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"


HASH = b"82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"
MESSAGE = {"type": "nulldata", "hex": "6a40" + HASH.hex(), "asm": f"OP_RETURN {HASH.hex()}"}
PAID = {"type": "scripthash", "hex": "a914" + "2a" * 20 + "87", "asm": "OP_HASH160 2a OP_EQUAL", "addresses": [ADDRESS]}
OTHER = {"type": "nulldata", "hex": "6a03616263", "asm": "OP_RETURN 616263"}
ODD = {"type": "nonstandard", "hex": "51", "asm": "1"}
EMPTY = {"type": "nonstandard", "hex": "", "asm": ""}


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ([PAID, MESSAGE], HASH),
        ([MESSAGE, PAID], None),
        ([PAID, MESSAGE, ODD], None),
        ([PAID, MESSAGE, {"asm": "1"}], None),
        ([PAID, MESSAGE, EMPTY], HASH),
        ([PAID, MESSAGE, {}], HASH),
        ([MESSAGE, OTHER], b"abc"),
        ([OTHER, MESSAGE], HASH),
        ([PAID, {**MESSAGE, "hex": "6a4d4000" + HASH.hex()}], HASH),
        ([PAID, {"asm": f"OP_RETURN {HASH.hex()} 00"}], HASH + b"\x00"),
    ],
)
def test_only_the_last_output_with_a_script_says_anything(scripts, said):
    row = copy.deepcopy(SAMPLE)
    row["vout"] = [{"n": n, "valueSat": 5, "scriptPubKey": script} for n, script in enumerate(scripts)]
    assert daemon_tx(row).op_return == said
    assert daemon_tx(row | {"vout": row["vout"][::-1]}).op_return == said, "the numbers count, not the places"


@pytest.mark.parametrize(("version", "said"), [(1, HASH), (4, HASH), (None, HASH), (0, None), (5, None), (6, None)])
def test_only_transactions_of_usual_versions_say_anything(version, said):
    assert daemon_tx(copy.deepcopy(SAMPLE) | {"version": version}).op_return == said


def test_a_window_is_read_newest_first(fake, daemon):
    for height in (5, 7, 6, 20):
        fake.pay(height)
    listing = daemon.listing(ADDRESS, 5, 10)
    assert [tx.height for tx in listing.transactions] == [7, 6, 5]
    assert (listing.high, listing.total) == (10, None)


def test_a_window_of_many_ends_at_the_last_whole_block(fake, daemon, http):
    for height in range(1, 151):
        fake.pay(height)
        fake.pay(height)
    listing = daemon.listing(ADDRESS, 1, 400)
    assert listing.high == 100
    assert len(listing.transactions) == 200
    assert http.requests == 202


def test_a_block_of_many_is_read_to_its_end(fake, daemon):
    for _ in range(230):
        fake.pay(3)
    fake.pay(4)
    listing = daemon.listing(ADDRESS, 1, 400)
    assert (listing.high, len(listing.transactions)) == (3, 230)


@pytest.mark.parametrize("answer", [payload("daemon/error_tx_not_found"), success({"txid": "?"}), success(5)])
def test_an_unreadable_transaction_does_not_stop_the_others(fake, daemon, answer):
    for height in (1, 2, 3):
        fake.pay(height)
    fake.spoiled[txid_of(1)] = answer
    listing = daemon.listing(ADDRESS, 1, 9)
    assert [tx.height for tx in listing.transactions] == [3, 1]
    assert [row.txid for row in listing.unreadable] == [txid_of(1)]


def test_an_unreadable_transaction_tells_the_time_of_its_block(fake, daemon):
    fake.pay(1)
    row = fake.rows[txid_of(0)]
    fake.spoiled[txid_of(0)] = success(row | {"vout": "?", "blocktime": 1_790_797_144})
    (unreadable,) = daemon.listing(ADDRESS, 1, 9).unreadable
    assert unreadable.time == datetime(2026, 9, 30, 19, 39, 4, tzinfo=UTC)


def test_an_error_of_the_node_is_not_the_transactions_fault(fake, daemon):
    fake.pay(1)
    fake.spoiled[txid_of(0)] = {"status": "error", "data": {"message": "Daemon is syncing"}}
    with pytest.raises(BadAnswer, match="syncing"):
        daemon.listing(ADDRESS, 1, 9)


def test_a_transaction_that_moved_meanwhile_fails_the_window(fake, daemon):
    fake.pay(1)
    fake.spoiled[txid_of(0)] = success(fake.rows[txid_of(0)] | {"height": 50})
    with pytest.raises(BadAnswer, match="block 50"):
        daemon.listing(ADDRESS, 1, 9)


def test_a_daemon_that_is_down_is_an_outage(web, daemon):
    web.get(f"{DAEMON}/getblockcount", status=502)
    with pytest.raises(Unavailable):
        daemon.tip()


COUNTS = payload("daemon_getzelnodecount")["data"]


def test_nodes_are_counted_by_tier(web, daemon):
    web.get(f"{DAEMON}/getfluxnodecount", json=payload("daemon_getzelnodecount"))
    found = daemon.node_counts()
    assert (found.cumulus, found.nimbus, found.stratus) == (3378, 1582, 1764)
    assert found.total == found.told_total == 6724


def test_counts_may_be_text_and_have_the_names_of_before(web, daemon):
    told = {"total": "6724", "basic-enabled": "3378", "super-enabled": 1582.0, "bamf-enabled": " 1764 "}
    web.get(f"{DAEMON}/getfluxnodecount", json=success(told))
    assert daemon.node_counts().total == 6724


@pytest.mark.parametrize("told", [None, -3, "many", [], {}])
def test_the_sum_of_the_tiers_is_the_total_whatever_is_told(web, daemon, told):
    web.get(f"{DAEMON}/getfluxnodecount", json=success(COUNTS | {"total": told}))
    found = daemon.node_counts()
    assert (found.total, found.told_total) == (6724, None)


@pytest.mark.parametrize("wrong", [None, -1, "-1", "", "many", True, 1.5, [], {}, 10**30, "9" * 18, 2**31 - 1])
def test_a_wrong_count_is_refused(web, daemon, wrong):
    web.get(f"{DAEMON}/getfluxnodecount", json=success(COUNTS | {"nimbus-enabled": wrong}))
    with pytest.raises(BadAnswer, match="nimbus"):
        daemon.node_counts()


@pytest.mark.parametrize(
    "answer", [{}, [], 6724, "text", {"total": 5}, dict.fromkeys(COUNTS, 0), {"cumulus-enabled": 4}]
)
def test_counts_without_every_tier_or_without_a_node_are_refused(web, daemon, answer):
    web.get(f"{DAEMON}/getfluxnodecount", json=success(answer))
    with pytest.raises(BadAnswer):
        daemon.node_counts()
