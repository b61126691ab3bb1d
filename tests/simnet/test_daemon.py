from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fluxtracker.simnet.records import MAIN
from tests.simnet.asking import get
from tests.simnet.server import SimServer
from tests.simnet.world import World


@pytest.fixture
def node(world: World) -> Iterator[SimServer]:
    """A server whose daemon is one node at the tip of the chain."""
    with SimServer(world, daemon_lags=(0,)) as server:
        yield server


def data(sim: SimServer, path: str) -> Any:
    answer = get(sim, f"/daemon/{path}")
    assert answer["status"] == "success"
    return answer["data"]


def complaint(sim: SimServer, path: str) -> tuple[int, str]:
    answer = get(sim, f"/daemon/{path}")
    assert answer["status"] == "error"
    return answer["data"]["code"], answer["data"]["message"]


def test_nodes_behind_the_balancer_differ(world: World, sim: SimServer) -> None:
    assert [world.tip_height - data(sim, "getblockcount") for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_transactions_are_listed_oldest_first(world: World, node: SimServer) -> None:
    paid = [world.payment() for _ in range(3)]
    for tx in paid:
        world.mine(1, [tx])
    listed = data(node, f"getaddresstxids/{MAIN}/{world.tip_height - 5}/{world.tip_height}")
    assert listed == [tx.txid for tx in paid]


def test_a_range_past_the_tip_or_from_zero_is_an_error(world: World, node: SimServer) -> None:
    tip = world.tip_height
    outside = (-5, "Start or end is outside chain range")
    assert complaint(node, f"getaddresstxids/{MAIN}/{tip}/{tip + 1}") == outside
    assert complaint(node, f"getaddresstxids/{MAIN}/0/{tip}")[0] == -5


def test_parameters_may_be_in_the_query(world: World, node: SimServer) -> None:
    world.mine(1, [world.payment()])
    path = f"getaddresstxids?address={MAIN}&start={world.tip_height}&end={world.tip_height}"
    assert len(data(node, path)) == 1


def test_what_is_not_there_is_an_error_with_status_200(world: World, node: SimServer) -> None:
    nothing = (-5, "No information available about transaction")
    assert complaint(node, f"getrawtransaction/{'0' * 64}/1") == nothing
    assert complaint(node, f"getblockhash/{world.tip_height + 1}") == (-8, "Block height out of range")
    assert complaint(node, "getsomething")[0] == -1


def test_a_node_with_a_spent_index_names_the_sender(world: World, node: SimServer) -> None:
    tx = world.payment(sat=5)
    world.mine(1, [tx])
    found = data(node, f"getrawtransaction/{tx.txid}/1")
    assert found["vin"][0]["address"] == tx.inputs[0].address
    assert found["vout"][0]["valueSat"] == 5
    assert (found["height"], found["blockhash"]) == (world.tip_height, world.tip_hash)


def test_a_node_without_one_does_not_but_knows_what_was_spent(world: World) -> None:
    tx = world.payment()
    world.mine(1, [tx])
    with SimServer(world, spent_index=False, daemon_lags=(0,)) as sim:
        [source] = data(sim, f"getrawtransaction/{tx.txid}/1")["vin"]
        assert not source.keys() & {"address", "value", "valueSat"}
        spent = data(sim, f"getrawtransaction/{source['txid']}/1")["vout"][source["vout"]]
    assert spent["scriptPubKey"]["addresses"] == [tx.inputs[0].address]


def test_op_returns_have_no_address(world: World, node: SimServer) -> None:
    tx = world.payment(app="Thing")
    world.mine(1, [tx])
    script = data(node, f"getrawtransaction/{tx.txid}/1")["vout"][-1]["scriptPubKey"]
    assert script["type"] == "nulldata"
    assert "addresses" not in script
    assert script["hex"] == "6a40" + tx.message_hash.encode().hex()


def test_a_waiting_transaction_has_no_block(world: World, node: SimServer) -> None:
    tx = world.broadcast(world.payment())
    found = data(node, f"getrawtransaction/{tx.txid}/1")
    assert found["confirmations"] == 0
    assert "blockhash" not in found


def test_blocks_come_with_the_ids_of_their_transactions(world: World, node: SimServer) -> None:
    tx = world.payment()
    world.mine(1, [tx])
    block = data(node, f"getblock/{tx.height}/1")
    assert (block["tx"], block["hash"]) == ([tx.txid], world.tip_hash)


def test_the_tiers_add_up(node: SimServer) -> None:
    count = data(node, "getfluxnodecount")
    tiers = (count[f"{name}-enabled"] for name in ("cumulus", "nimbus", "stratus"))
    assert sum(tiers) == count["total"] == 20
