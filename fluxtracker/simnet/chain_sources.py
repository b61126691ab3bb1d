"""Blockbook v2 (docs/upstream.md#blockbook) and the Flux daemon through FluxOS (docs/upstream.md#daemon).

Only what the clients of the project ask is served. Blockbook has no envelope and lists the newest first; a page past
the end is the last page. FluxOS wraps every answer, and its errors have HTTP status 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fluxtracker.simnet import chain as form
from fluxtracker.simnet import network, records
from fluxtracker.simnet.chain import AddressIndex
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Answer, Tx, failure, is_valid, json, success, whole
from fluxtracker.simnet.world import World

MAX_PAGE = 1000
MAX_ROWS = 100_000  # page * pageSize above which newer Blockbooks serve the capped page


def blockbook(world: World, path: str, query: Mapping[str, str], tip: int, backend: int) -> Answer:
    """Answer as an instance that has indexed up to `tip` and whose daemon is at `backend`.

    `path` is relative to the instance's base address.
    """
    name, _, rest = path.partition("/")
    view = View(world, query, tip, backend)
    known = {
        "": view.status,
        "address": view.address,
        "tx": view.tx,
        "block": view.block,
        "block-index": view.block_index,
    }
    return known[name](rest) if name in known else error(f"Unknown path {name}", 404)


def error(text: str, status: int = 400) -> Answer:
    return json({"error": text}, status)


def find(world: World, txid: str, tip: int) -> Tx | None:
    """Return a transaction of the mempool or of the blocks up to `tip`."""
    tx = world.chain.get(txid) or next((t for t in world.mempool if t.txid == txid), None)
    return None if tx is None or tx.height > tip else tx


class View:
    """One request to one Blockbook instance."""

    def __init__(self, world: World, query: Mapping[str, str], tip: int, backend: int) -> None:
        self.world, self.chain, self.query = world, world.chain, query
        self.tip, self.backend = tip, backend

    def status(self, _: str) -> Answer:
        state = {
            "coin": "Flux",
            "version": "0.6.0",
            "initialSync": False,
            "inSync": self.tip == self.backend,
            "bestHeight": self.tip,
            "lastBlockTime": records.utc(self.chain.time(self.tip)).strftime("%Y-%m-%dT%H:%M:%S.282123883Z"),
            "decimals": 8,
        }
        backend = {"chain": "main", "blocks": self.backend, "bestBlockHash": self.chain.hash(self.backend)}
        return json({"blockbook": state, "backend": backend})

    def block_index(self, text: str) -> Answer:
        if not text.isdecimal() or int(text) > self.tip:
            return error(f"Block index {text} not found (-8: Block height out of range)")
        return json({"blockHash": self.chain.hash(int(text))})

    def block(self, text: str) -> Answer:
        """Answer without the block's transactions."""
        height = int(text) if text.isdecimal() else 0
        if not 0 < height <= self.tip:
            return error(f"Block {text} not found (Block not found)")
        head = {
            "page": 1,
            "totalPages": 1,
            "itemsOnPage": MAX_PAGE,
            "hash": self.chain.hash(height),
            "previousBlockHash": self.chain.hash(height - 1),
            **({"nextBlockHash": self.chain.hash(height + 1)} if height < self.tip else {}),
            "height": height,
            "confirmations": self.tip - height + 1,
            "size": 3449,
            "time": self.chain.time(height),
            "version": 100 if height >= records.FORK_HEIGHT else 4,
            "merkleRoot": digest("merkle", height),
        }
        return json(head)

    def tx(self, txid: str) -> Answer:
        tx = find(self.world, txid, self.tip)
        if tx is None:
            return error(f"Transaction '{txid}' not found (txid {txid}: Not found.)")
        return Answer(form.blockbook_tx(self.chain, tx, tip=self.tip))

    def address(self, address: str) -> Answer:
        """Answer the sums of an address (`details=basic`), or also a page of its ids or transactions."""
        if not is_valid(address):
            return error(f"Invalid address '{address}', decoded address is of unknown format")
        index = self.chain.index(address)
        details = self.query.get("details", "txids")
        sums = self._sums(address, index)
        if details == "basic":
            return json(sums)
        size = whole(self.query, "pageSize", MAX_PAGE)
        size = size if 0 < size <= MAX_PAGE else MAX_PAGE
        page, pages, txs = self._page(address, index, size)
        head = {"page": page, "totalPages": pages, "itemsOnPage": size} | sums
        if not txs:  # the key of the list is absent when nothing matches
            return json(head)
        if details == "txids":
            return json(head | {"txids": [tx.txid for tx in txs]})
        body = b",".join([form.blockbook_tx(self.chain, tx, address, self.tip) for tx in txs])
        return Answer(orjson.dumps(head)[:-1] + b',"transactions":[' + body + b"]}")

    def _sums(self, address: str, index: AddressIndex) -> dict[str, Any]:
        late = index.between(self.tip + 1, self.chain.tip)
        received = index.received - sum(o.sat for t in late for o in t.outputs if o.address == address)
        return {
            "address": address,
            "balance": str(max(0, received - index.sent)),
            "totalReceived": str(received),
            "totalSent": str(index.sent),
            "unconfirmedBalance": "0",
            "unconfirmedTxs": len(self._pending(address)),
            "txs": len(index.txs) - len(late),
        }

    def _pending(self, address: str) -> list[Tx]:
        return [tx for tx in self.world.mempool if address in tx.addresses()]

    def _page(self, address: str, index: AddressIndex, size: int) -> tuple[int, int, list[Tx]]:
        """Return the number of the page that is served, the number of pages (-1: unknown) and the transactions."""
        low, high = whole(self.query, "from", 0), whole(self.query, "to", 0)
        page = min(max(1, whole(self.query, "page", 1)), max(1, MAX_ROWS // size))
        top = min(high or self.tip, self.tip)
        txs, total = index.newest(low, top, (page - 1) * size, size)
        pages = max(1, -(-total // size))
        if page > pages:
            page = pages
            txs, _ = index.newest(low, top, (page - 1) * size, size)
        if (low or high) and len(txs) == size:
            pages = -1
        if page == 1 and not high:
            txs = [*self._pending(address), *txs][:size]
        return page, pages, txs


PARAMETERS = {
    "getblockhash": ("index",),
    "getblock": ("hashheight", "verbosity"),
    "getrawtransaction": ("txid", "verbose"),
    "getaddresstxids": ("address", "start", "end"),
}
"""Methods, and the names of their path segments as query keys."""


def daemon(world: World, path: str, query: Mapping[str, str], tip: int, *, spent_index: bool) -> Answer:
    """Answer as a node whose last block is `tip`; a node without a spent index names no senders."""
    name, *segments = path.split("/")
    node = Node(world, dict(zip(PARAMETERS.get(name, ()), segments, strict=False)) | dict(query), tip, spent_index)
    methods = {
        "getblockcount": node.block_count,
        "getblockhash": node.block_hash,
        "getblock": node.block,
        "getrawtransaction": node.raw_transaction,
        "getaddresstxids": node.address_txids,
        "getfluxnodecount": node.node_count,
        "viewdeterministicfluxnodelist": node.node_list,
    }
    return methods[name]() if name in methods else failure(f"Method {name} not found", -1)


class Node:
    """One request to one node behind the balancer."""

    def __init__(self, world: World, given: Mapping[str, str], tip: int, spent_index: bool) -> None:
        self.world, self.chain, self.given = world, world.chain, given
        self.tip, self.spent_index = tip, spent_index

    def block_count(self) -> Answer:
        return success(self.tip)

    def node_count(self) -> Answer:
        return success(network.node_count(self.world))

    def node_list(self) -> Answer:
        return success(network.node_list(self.world, self.tip, self.given.get("filter", "")))

    def block_hash(self) -> Answer:
        height = self._number("index")
        if height is None:
            return failure("JSON value is not an integer as expected", -1)
        if not 0 <= height <= self.tip:
            return failure("Block height out of range", -8)
        return success(self.chain.hash(height))

    def block(self) -> Answer:
        """Answer with the ids of the block's transactions (verbosity 1)."""
        height = self._number("hashheight")
        if height is None:
            return failure("Block not found", -5)
        if not 0 <= height <= self.tip:
            return failure("Block height out of range", -8)
        new = height >= records.FORK_HEIGHT
        head = {
            "hash": self.chain.hash(height),
            "confirmations": self.tip - height + 1,
            "size": 3042,
            "height": height,
            "version": 100 if new else 4,
            "merkleroot": digest("merkle", height),
            "tx": [tx.txid for tx in self.chain.blocks.get(height, [])],
            "time": self.chain.time(height),
            "type": "PON" if new else "POW",
            "previousblockhash": self.chain.hash(height - 1),
        }
        return success(head | ({"nextblockhash": self.chain.hash(height + 1)} if height < self.tip else {}))

    def raw_transaction(self) -> Answer:
        tx = find(self.world, self.given.get("txid", ""), self.tip)
        if tx is None:
            return failure("No information available about transaction", -5)
        if self.given.get("verbose", "0") != "1":
            return success(form.raw_hex(tx))
        return success(form.daemon_tx(self.chain, tx, spent_index=self.spent_index, tip=self.tip))

    def address_txids(self) -> Answer:
        """Answer the ids of an address, oldest first, of all blocks or of a range."""
        address = self.given.get("address", "")
        if not is_valid(address):
            return failure("Invalid address", -5)
        low, high = 0, self.tip
        if "start" in self.given or "end" in self.given:
            low, high = self._number("start") or 0, self._number("end") or 0
            if low < 1 or high < 1:
                return failure("Start and end are expected to be greater than zero", -5)
            if low > high:
                return failure("End value is expected to be greater than start", -5)
            if high > self.tip:
                return failure("Start or end is outside chain range", -5)
        return success([tx.txid for tx in self.chain.index(address).between(low, high)])

    def _number(self, name: str) -> int | None:
        text = self.given.get(name, "")
        return int(text) if text.removeprefix("-").isdecimal() else None
