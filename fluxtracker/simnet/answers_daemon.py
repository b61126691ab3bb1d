"""The Flux daemon through FluxOS (docs/upstream.md#daemon): an envelope around all, errors with HTTP 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluxtracker.simnet import clock, network
from fluxtracker.simnet import rendering as r
from fluxtracker.simnet.addresses import is_valid
from fluxtracker.simnet.answers import Answer, failure, success
from fluxtracker.simnet.chain import AddressIndex
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Tx
from fluxtracker.simnet.world import World

PARAMETERS = {
    "getblockhash": ("index",),
    "getblock": ("hashheight", "verbosity"),
    "getrawtransaction": ("txid", "verbose"),
    "getaddresstxids": ("address", "start", "end"),
    "getaddressdeltas": ("address", "start", "end"),
    "getaddressbalance": ("address",),
    "viewdeterministicfluxnodelist": ("filter",),
    "viewdeterministiczelnodelist": ("filter",),
    "listfluxnodes": ("filter",),
}
"""Methods and what their path segments are called as query keys."""


def answer(world: World, path: str, query: Mapping[str, str], tip: int, *, spent_index: bool) -> Answer:
    """Answer as a node whose last block is `tip`; without a spent index it names no senders."""
    name, *segments = path.split("/")
    given = dict(zip(PARAMETERS.get(name, ()), segments, strict=False)) | dict(query)
    return Node(world, given, tip, spent_index).call(name)


class Node:
    """One request to one node behind the balancer."""

    def __init__(self, world: World, given: Mapping[str, str], tip: int, spent_index: bool) -> None:
        self.world, self.chain, self.given = world, world.chain, given
        self.tip, self.spent_index = tip, spent_index

    def call(self, name: str) -> Answer:
        methods = {
            "getblockcount": self.block_count,
            "getblockhash": self.block_hash,
            "getblock": self.block,
            "getrawtransaction": self.raw_transaction,
            "getaddresstxids": self.address_txids,
            "getaddressdeltas": self.address_deltas,
            "getaddressbalance": self.address_balance,
            "getfluxnodecount": self.node_count,
            "getzelnodecount": self.node_count,
        }
        if name in methods:
            return methods[name]()
        if name in PARAMETERS:
            return success(network.node_list(self.world, self.given.get("filter", "")))
        return failure(f"Method {name} not found", -1)

    def block_count(self) -> Answer:
        return success(self.tip)

    def node_count(self) -> Answer:
        return success(network.node_count(self.world))

    def block_hash(self) -> Answer:
        height = self._number("index")
        if height is None:
            return failure("JSON value is not an integer as expected", -1)
        if not 0 <= height <= self.tip:
            return failure("Block height out of range", -8)
        return success(self.chain.hash(height))

    def block(self) -> Answer:
        which = self.given.get("hashheight", "")
        height = int(which) if which.isdecimal() else self.chain.height_of_hash(which)
        if height is None:
            return failure("Block not found", -5)
        if not 0 <= height <= self.tip:
            return failure("Block height out of range", -8)
        return success(self._block(height, self.given.get("verbosity", "2")))

    def _block(self, height: int, verbosity: str) -> dict[str, Any]:
        new = height >= clock.FORK_HEIGHT
        txs = self.chain.block(height)
        head: dict[str, Any] = {"hash": self.chain.hash(height), "confirmations": self.tip - height + 1}
        head |= {"size": 3042, "height": height, "version": 100 if new else 4}
        head |= {"merkleroot": digest("merkle", height), "finalsaplingroot": digest("sapling", height)}
        head["tx"] = [tx.txid if verbosity == "1" else self._verbose(tx) for tx in txs]
        head |= {"time": self.chain.time(height), "type": "PON" if new else "POW"}
        head |= {"collateral": "COutPoint(b5ffc02035, 0)", "bits": "20008fb0"}
        head |= {"difficulty": 0.05567627484096346, "chainwork": "0" * 48 + "0ee96cefdead3c2f"}
        head["previousblockhash"] = self.chain.hash(height - 1)
        return head | ({"nextblockhash": self.chain.hash(height + 1)} if height < self.tip else {})

    def raw_transaction(self) -> Answer:
        txid = self.given.get("txid", "")
        pending = (t for t in self.world.mempool if t.txid == txid)
        tx = self.chain.get(txid) or next(pending, None)
        if tx is None or tx.height > self.tip:
            return failure("No information available about transaction", -5)
        if self.given.get("verbose", "0") != "1":
            return success(r.raw_hex(tx))
        return success(self._verbose(tx))

    def _verbose(self, tx: Tx) -> dict[str, Any]:
        return r.daemon_tx(self.chain, tx, spent_index=self.spent_index, tip=self.tip)

    def address_txids(self) -> Answer:
        """Oldest first, each transaction once."""
        found = self._range()
        return found if isinstance(found, Answer) else success([tx.txid for tx in found])

    def address_deltas(self) -> Answer:
        found = self._range()
        if isinstance(found, Answer):
            return found
        address = self.given.get("address", "")
        return success([row for tx in found for row in _deltas(tx, address)])

    def address_balance(self) -> Answer:
        index = self.chain.by_address.get(self.given.get("address", "")) or AddressIndex()
        return success({"balance": max(0, index.received - index.sent), "received": index.received})

    def _range(self) -> list[Tx] | Answer:
        """The transactions asked for, or the node's complaint about address or range."""
        address = self.given.get("address", "")
        if not is_valid(address):
            return failure("Invalid address", -5)
        index = self.chain.by_address.get(address) or AddressIndex()
        if "start" not in self.given and "end" not in self.given:
            return index.between(0, self.tip)
        low, high = self._number("start"), self._number("end")
        if low is None or high is None or low < 1 or high < 1:
            return failure("Start and end are expected to be greater than zero", -5)
        if low > high:
            return failure("End value is expected to be greater than start", -5)
        if low > self.tip or high > self.tip:
            return failure("Start or end is outside chain range", -5)
        return index.between(low, high)

    def _number(self, name: str) -> int | None:
        text = self.given.get(name, "")
        return int(text) if text.removeprefix("-").isdecimal() else None


def _deltas(tx: Tx, address: str) -> list[dict[str, Any]]:
    head = {"address": address, "blockindex": 1, "height": tx.height}
    spent = [(n, -i.sat) for n, i in enumerate(tx.inputs) if i.address == address and i.told]
    paid = [(n, o.sat) for n, o in enumerate(tx.outputs) if o.address == address]
    return [head | {"index": n, "satoshis": sat, "txid": tx.txid} for n, sat in (*spent, *paid)]
