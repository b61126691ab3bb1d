from __future__ import annotations

from typing import Any

import pytest
import requests

from fluxtracker.simnet.base58 import made_up
from fluxtracker.simnet.records import DEVELOPMENT, MAIN, MIDDLE
from tests.simnet.asking import get
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE

BASE = "/blockbook/api/v2"
LIST = f"{BASE}/address/{MAIN}"


def pay(world: World, count: int = 1, **options: Any) -> list[str]:
    """One payment in each of `count` new blocks; their ids, oldest first."""
    found = [world.payment(**options) for _ in range(count)]
    for tx in found:
        world.mine(1, [tx])
    return [tx.txid for tx in found]


def test_it_lists_the_newest_first(world: World, sim: SimServer) -> None:
    paid = pay(world, 5)
    assert get(sim, LIST)["txids"] == paid[::-1]


def test_a_later_transaction_of_a_block_comes_first(world: World, sim: SimServer) -> None:
    first, second = world.payment(), world.payment()
    world.mine(1, [first, second])
    assert get(sim, LIST)["txids"] == [second.txid, first.txid]


def test_a_page_past_the_end_is_the_last_page(world: World, sim: SimServer) -> None:
    paid = pay(world, 5)
    answer = get(sim, LIST, page=9, pageSize=2)
    assert (answer["page"], answer["totalPages"], answer["txids"]) == (3, 3, paid[:1])


def test_a_full_page_of_a_range_does_not_know_how_many_pages_there_are(world: World, sim: SimServer) -> None:
    pay(world, 4)
    ask = {"from": 1, "to": world.tip_height}
    assert get(sim, LIST, pageSize=2, **ask)["totalPages"] == -1
    assert get(sim, LIST, pageSize=10, **ask)["totalPages"] == 1
    assert get(sim, LIST, pageSize=2)["totalPages"] == 2


def test_both_ends_of_a_range_are_included(world: World, sim: SimServer) -> None:
    paid, tip = pay(world, 4), world.tip_height
    assert get(sim, LIST, **{"from": tip - 2, "to": tip - 1})["txids"] == [paid[2], paid[1]]


def test_the_list_is_absent_when_nothing_matches(world: World, sim: SimServer) -> None:
    pay(world, 2)
    answer = get(sim, LIST, details="txs", **{"from": 1, "to": 5})
    assert "transactions" not in answer
    assert "txids" not in answer
    assert answer["txs"] == 2


def test_too_large_a_page_falls_back_to_the_largest(world: World, sim: SimServer) -> None:
    assert get(sim, LIST, pageSize=5000)["itemsOnPage"] == 1000


def test_the_basic_answer_has_no_pages(world: World, sim: SimServer) -> None:
    pay(world, 3)
    answer = get(sim, LIST, details="basic")
    assert answer["txs"] == 3
    assert not answer.keys() & {"page", "totalPages", "itemsOnPage", "txids"}


def test_unconfirmed_payments_come_first_unless_an_end_is_given(world: World, sim: SimServer) -> None:
    paid = pay(world, 2)
    waiting = world.broadcast(world.payment())
    assert get(sim, LIST)["txids"] == [waiting.txid, *paid[::-1]]
    assert get(sim, LIST, pageSize=2)["txids"] == [waiting.txid, paid[1]]
    assert get(sim, LIST, to=world.tip_height)["txids"] == paid[::-1]
    tx = get(sim, f"{BASE}/tx/{waiting.txid}")
    assert (tx["blockHeight"], tx["confirmations"], "blockHash" in tx) == (-1, 0, False)


def test_amounts_are_text_and_zeros_are_left_out(world: World, sim: SimServer) -> None:
    for txid in pay(world, 3, sat=1_234_567_890):
        tx = get(sim, f"{BASE}/tx/{txid}")
        assert tx["vout"][0]["value"] == "1234567890"
        assert tx["vin"][0].get("vout") != 0
        assert "isOwn" not in tx["vout"][0]
    listed = get(sim, LIST, details="txs")["transactions"]
    assert all(tx["vout"][0]["isOwn"] for tx in listed)


@pytest.mark.parametrize(
    ("data", "script", "text"),
    [
        (b"FLUXDRIVEqv8my", "6a0e464c555844524956457176386d79", "OP_RETURN (FLUXDRIVEqv8my)"),
        (b"\xff" * 3, "6a03ffffff", "OP_RETURN ffffff"),
        (b"a" * 80, "6a4c50" + "61" * 80, f"OP_RETURN ({'a' * 80})"),
        (b"a" * 300, "6a4d2c01" + "61" * 300, f"OP_RETURN ({'a' * 300})"),
    ],
)
def test_op_returns_are_written_as_text_or_hex(
    world: World, sim: SimServer, data: bytes, script: str, text: str
) -> None:
    [txid] = pay(world, data=data)
    last = get(sim, f"{BASE}/tx/{txid}")["vout"][-1]
    assert (last["value"], last["hex"], last["addresses"]) == ("0", script, [text])


def test_confirmations_follow_the_tip(world: World, sim: SimServer) -> None:
    [txid] = pay(world)
    assert get(sim, f"{BASE}/tx/{txid}")["confirmations"] == 1
    world.mine(9)
    assert get(sim, f"{BASE}/tx/{txid}")["confirmations"] == 10
    assert get(sim, LIST, details="txs")["transactions"][0]["confirmations"] == 10


def test_a_coinbase_input_tells_nothing(world: World, sim: SimServer) -> None:
    [txid] = pay(world, coinbase=True)
    [source] = get(sim, f"{BASE}/tx/{txid}")["vin"]
    assert source.keys() == {"sequence", "n", "isAddress", "coinbase"}


def test_the_spent_output_names_a_sender_that_was_not_told(world: World, sim: SimServer) -> None:
    [txid] = pay(world, sender=DEVELOPMENT, told=False)
    [source] = get(sim, f"{BASE}/tx/{txid}")["vin"]
    assert "addresses" not in source
    spent = get(sim, f"{BASE}/tx/{source['txid']}")["vout"][source.get("vout", 0)]
    assert spent["addresses"] == [DEVELOPMENT]
    assert spent["value"] == source["value"]


def test_a_spent_transaction_that_nobody_knows_is_not_found(world: World, sim: SimServer) -> None:
    [txid] = pay(world, told=False, found=False)
    previous = get(sim, f"{BASE}/tx/{txid}")["vin"][0]["txid"]
    answer = requests.get(f"{sim.url}{BASE}/tx/{previous}", timeout=AMPLE)
    assert answer.status_code == 400
    assert "not found" in answer.json()["error"]


def test_a_transaction_with_two_tracked_addresses_is_listed_under_both(world: World, sim: SimServer) -> None:
    [txid] = pay(world, outputs=[(MAIN, 5), (MIDDLE, 7), (MAIN, 9)])
    assert get(sim, LIST)["txids"] == get(sim, f"{BASE}/address/{MIDDLE}")["txids"] == [txid]


def test_past_the_tip_there_is_no_block(world: World, sim: SimServer) -> None:
    tip = world.tip_height
    assert get(sim, f"{BASE}/block-index/{tip}") == {"blockHash": world.tip_hash}
    answer = requests.get(f"{sim.url}{BASE}/block-index/{tip + 1}", timeout=AMPLE)
    assert answer.status_code == 400


def test_blocks_hang_together(world: World, sim: SimServer) -> None:
    pay(world, 3)
    tip = world.tip_height
    block, before = get(sim, f"{BASE}/block/{tip}"), get(sim, f"{BASE}/block/{tip - 1}")
    assert block["previousBlockHash"] == before["hash"]
    assert before["nextBlockHash"] == block["hash"]
    assert "nextBlockHash" not in block
    assert block["height"] == tip


def test_the_status_tells_the_tip(world: World, sim: SimServer) -> None:
    answer = get(sim, BASE)
    assert answer["blockbook"]["bestHeight"] == answer["backend"]["blocks"] == world.tip_height
    assert answer["backend"]["bestBlockHash"] == world.tip_hash
    assert answer["blockbook"]["inSync"]


def test_an_instance_may_lag_behind_its_daemon(world: World, sim: SimServer) -> None:
    [older] = pay(world)
    pay(world)
    sim.lags["blockbook2"] = 1
    answer = get(sim, "/blockbook2/api/v2")
    assert answer["blockbook"]["bestHeight"] == answer["backend"]["blocks"] - 1
    assert not answer["blockbook"]["inSync"]
    listed = get(sim, f"/blockbook2/api/v2/address/{MAIN}")
    assert (listed["txids"], listed["txs"]) == ([older], 1)


def test_addresses_are_checked(sim: SimServer) -> None:
    assert requests.get(f"{sim.url}{BASE}/address/{MAIN[:-1]}Y", timeout=AMPLE).status_code == 400
    answer = get(sim, f"{BASE}/address/{made_up('nobody')}")
    assert (answer["txs"], answer["balance"]) == (0, "0")


def test_pages_in_a_range_give_every_transaction_once(busy: SimServer) -> None:
    ask = {"from": 1, "to": busy.world.tip_height, "pageSize": 400}
    seen: list[str] = []
    for page in range(1, 9):
        answer = get(busy, LIST, page=page, **ask)
        if answer["page"] != page:
            break
        seen += answer["txids"]
    assert len(seen) == len(set(seen)) == answer["txs"]
