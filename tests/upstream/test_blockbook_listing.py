import random

import pytest
import requests

from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from tests.marks import only_in_full
from tests.upstream.fake_blockbook import ADDRESS, BASE, txid_of


def listed(listing):
    return [tx.txid for tx in listing.transactions]


def test_a_window_that_fits_a_page_takes_one_request(fake, blockbook, http):
    for height in range(100, 150):
        fake.pay(height)
    listing = blockbook.listing(ADDRESS, 110, 139)
    assert {tx.height for tx in listing.transactions} == set(range(110, 140))
    assert (listing.low, listing.high, listing.total, listing.unreadable) == (110, 139, 50, ())
    assert http.requests == 1


def test_every_request_says_the_highest_block(fake, blockbook):
    fake.pay(10, count=2500)
    blockbook.listing(ADDRESS, 1, 20)
    assert all("to" in query and "from" in query for query in fake.queries)


def test_both_ends_of_the_window_belong_to_it(fake, blockbook):
    ends = fake.pay(10) + fake.pay(20)
    fake.pay(9)
    fake.pay(21)
    assert set(listed(blockbook.listing(ADDRESS, 10, 20))) == set(ends)


def test_nothing_in_the_window_is_an_empty_listing(fake, blockbook):
    fake.pay(500)
    listing = blockbook.listing(ADDRESS, 1, 100)
    assert (listing.transactions, listing.high, listing.total) == ((), 100, 1)


def test_a_full_page_is_followed_by_the_blocks_below(fake, blockbook, http):
    for height in range(1, 1201):
        fake.pay(height, count=2)
    listing = blockbook.listing(ADDRESS, 1, 1200)
    assert set(listed(listing)) == fake.txids
    assert len(listed(listing)) == 2400
    assert http.requests == 3
    assert {query["page"] for query in fake.queries} == {"1"}


def test_a_page_that_is_full_to_the_last_row_is_not_read_for_ever(fake, blockbook):
    for height in range(1, 1001):
        fake.pay(height)
    assert set(listed(blockbook.listing(ADDRESS, 1, 1000))) == fake.txids


def test_a_block_that_fills_pages_by_itself_is_read_by_page_number(fake, blockbook):
    fake.pay(9, count=5)
    fake.pay(10, count=2300)
    fake.pay(11, count=5)
    assert set(listed(blockbook.listing(ADDRESS, 1, 20))) == fake.txids


def test_a_block_of_exactly_two_pages_ends_with_the_clamped_page(fake, blockbook):
    fake.pay(10, count=2000)
    assert set(listed(blockbook.listing(ADDRESS, 10, 10))) == fake.txids
    assert [query["page"] for query in fake.queries] == ["1", "2", "3"]


def test_a_window_of_many_pages_is_narrowed(fake, blockbook):
    for height in range(1, 10_001):
        fake.pay(height)
    listing = blockbook.listing(ADDRESS, 1, 10_000)
    assert listing.high < 10_000
    assert {tx.height for tx in listing.transactions} == set(range(1, listing.high + 1))
    assert len(fake.queries) == 2
    assert 600 <= len(listing.transactions) <= 1000


def test_a_window_whose_older_blocks_are_empty_is_not_narrowed_to_nothing(fake, blockbook):
    for height in range(900_000, 906_000):
        fake.pay(height)
    listing = blockbook.listing(ADDRESS, 1, 906_000)
    assert 50_000 < listing.high < 906_000
    assert len(fake.queries) < 8


@pytest.mark.parametrize("seed", [0, 1, *only_in_full(2, 3, 4, 5, 6, 7)])
def test_windows_one_after_the_other_read_everything_once(fake, blockbook, seed):
    chance = random.Random(seed)
    fake.most = 50
    height = 1
    for _ in range(1500):
        height += chance.choice([0, 0, 0, 1, 1, 7, 300 if chance.random() < 0.05 else 2])
        fake.pay(height)
    low, seen = 1, []
    while low <= height:
        listing = blockbook.listing(ADDRESS, low, height)
        assert low <= listing.high <= height
        assert all(low <= tx.height <= listing.high for tx in listing.transactions)
        seen += listed(listing)
        low = listing.high + 1
    assert len(seen) == len(set(seen))
    assert set(seen) == fake.txids


def test_a_server_with_small_pages_is_believed_about_their_size(fake, blockbook):
    fake.most = 25
    for height in range(1, 61):
        fake.pay(height)
    assert set(listed(blockbook.listing(ADDRESS, 1, 60))) == fake.txids


def test_a_slow_page_is_asked_again_as_a_small_one(fake, blockbook):
    fake.pay(10, count=300)

    def slow(answer, query):
        return requests.ReadTimeout() if query["pageSize"] == "1000" else answer

    fake.mischief = slow
    assert set(listed(blockbook.listing(ADDRESS, 1, 20))) == fake.txids
    blockbook.listing(ADDRESS, 1, 20)
    assert [query["pageSize"] for query in fake.queries].count("1000") == 1


def test_a_page_that_is_too_large_is_asked_again_as_a_small_one(fake, clock):
    fake.pay(10, count=900)
    narrow = Http(timeout=5, rate=0, sleep=clock.sleep, clock=clock, max_bytes=1_000_000)
    assert set(listed(Blockbook(narrow, BASE).listing(ADDRESS, 1, 20))) == fake.txids


def test_a_slow_server_fails_after_two_timeouts(fake, blockbook, http):
    fake.mischief = lambda answer, query: requests.ReadTimeout()
    with pytest.raises(Unavailable):
        blockbook.listing(ADDRESS, 1, 20)
    assert http.requests == 2


def test_waiting_transactions_are_left_out(fake, blockbook):
    fake.pay(10)

    def with_mempool(answer, query):
        waiting = dict(answer["transactions"][0], blockHeight=-1, confirmations=0, txid=txid_of("waiting"))
        return answer | {"transactions": [waiting, *answer["transactions"]]}

    fake.mischief = with_mempool
    assert set(listed(blockbook.listing(ADDRESS, 1, 20))) == fake.txids


def test_an_unreadable_row_does_not_stop_the_others(fake, blockbook):
    fake.pay(10, count=3)

    def spoil(answer, query):
        answer["transactions"][1]["vout"] = "?"
        return answer

    fake.mischief = spoil
    listing = blockbook.listing(ADDRESS, 1, 20)
    assert len(listing.transactions) == 2
    assert [(row.txid, row.height) for row in listing.unreadable] == [(txid_of(1), 10)]
    assert listing.unreadable[0].time == listing.transactions[0].block_time, "its day is known all the same"


@pytest.mark.parametrize("time", [None, 0, "1790840344", 2**40])
def test_an_unreadable_row_without_a_usable_time_tells_no_day(fake, blockbook, time):
    fake.pay(10)
    fake.mischief = lambda answer, query: (
        answer | {"transactions": [row | {"blockTime": time, "vout": "?"} for row in answer["transactions"]]}
    )
    assert [row.time for row in blockbook.listing(ADDRESS, 1, 20).unreadable] == [None]


@pytest.mark.parametrize("row", [None, 7, {}, {"txid": "?"}, {"txid": 5, "blockHeight": 10}])
def test_a_row_without_an_id_is_found_by_the_list_of_ids(fake, blockbook, row):
    fake.pay(10, count=3)

    def spoil(answer, query):
        if query["details"] == "txs":
            answer["transactions"][1] = row
        return answer

    fake.mischief = spoil
    listing = blockbook.listing(ADDRESS, 1, 20)
    assert len(listing.transactions) == 2
    assert [(one.txid, one.height) for one in listing.unreadable] == [(txid_of(1), None)]


def test_a_transaction_that_is_read_on_another_page_is_not_unreadable(fake, blockbook):
    fake.most = 10
    for height in range(1, 16):
        fake.pay(height)

    def spoil_the_first_page(answer, query):
        if query["to"] == "15":
            answer["transactions"][-1]["vin"] = 5
        return answer

    fake.mischief = spoil_the_first_page
    listing = blockbook.listing(ADDRESS, 1, 15)
    assert set(listed(listing)) == fake.txids
    assert listing.unreadable == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer, query: answer | {"address": "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"},
        lambda answer, query: answer | {"page": 2},
        lambda answer, query: answer | {"transactions": {}},
        lambda answer, query: answer | {"transactions": answer["transactions"][::-1]},
        lambda answer, query: {k: v for k, v in answer.items() if k != "transactions"} | {"txids": [txid_of(0)]},
        lambda answer, query: [],
        lambda answer, query: {},
        lambda answer, query: (200, {}, "<html>checking your browser</html>"),
        lambda answer, query: (200, {}, '{"page":1,"address":"t3Nry'),
        lambda answer, query: (200, {}, ""),
    ],
)
def test_a_wrong_page_is_refused(fake, blockbook, spoil):
    fake.pay(10)
    fake.pay(11)
    fake.mischief = spoil
    with pytest.raises(BadAnswer):
        blockbook.listing(ADDRESS, 1, 20)


def test_a_page_from_outside_of_the_window_is_refused(fake, blockbook):
    fake.pay(10)
    fake.pay(30)
    fake.mischief = lambda answer, query: fake._answer(query | {"from": "1", "to": "99"})
    with pytest.raises(BadAnswer, match="block 30 in the blocks 5 to 20"):
        blockbook.listing(ADDRESS, 5, 20)


def test_a_page_that_comes_again_is_refused(fake, blockbook):
    for height in range(1, 1501):
        fake.pay(height)
    first = []
    fake.mischief = lambda answer, query: first[0] if first else first.append(answer) or answer
    with pytest.raises(BadAnswer):
        blockbook.listing(ADDRESS, 1, 1500)


def test_a_page_of_one_block_that_comes_again_is_refused(fake, blockbook):
    fake.pay(10, count=2500)

    def repeat(answer, query):
        return fake._answer(query | {"page": "1"}) | {"page": int(query["page"])}

    fake.mischief = repeat
    with pytest.raises(BadAnswer, match="repeats"):
        blockbook.listing(ADDRESS, 1, 20)


@pytest.mark.parametrize("count", [3_000_000_000, 2**31, 10**30, -1, True, "5"])
def test_a_count_that_no_address_has_is_not_known(fake, blockbook, count):
    fake.pay(10)
    fake.mischief = lambda answer, query: answer | {"txs": count}
    listing = blockbook.listing(ADDRESS, 1, 20)
    assert (len(listing.transactions), listing.total) == (1, None)


def test_a_count_that_is_left_out_is_not_known_where_there_are_rows(fake, blockbook):
    fake.mischief = lambda answer, query: {key: value for key, value in answer.items() if key != "txs"}
    assert blockbook.listing(ADDRESS, 1, 20).total == 0
    fake.pay(10)
    listing = blockbook.listing(ADDRESS, 1, 20)
    assert (len(listing.transactions), listing.total) == (1, None)
