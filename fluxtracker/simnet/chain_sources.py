"""Blockbook v2 (docs/upstream.md#blockbook): no envelope, newest first, a page past the end is the last page.

The Flux daemon through FluxOS (docs/upstream.md#daemon): an envelope around all, errors with HTTP 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fluxtracker.simnet import chain as r
from fluxtracker.simnet import network, records
from fluxtracker.simnet.chain import AddressIndex
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Answer, Tx, failure, is_valid, json, success, whole
from fluxtracker.simnet.world import World

MAX_PAGE = 1000
MAX_ROWS = 100_000  # page * pageSize above which newer Blockbooks serve the capped page
ABOUT = (
    "Blockbook - blockchain indexer for Trezor Suite https://trezor.io/trezor-suite. Do not use for any other purpose."
)


def blockbook(world: World, path: str, query: Mapping[str, str], tip: int, backend: int) -> Answer:
    """Answer as an instance that has indexed up to `tip` and whose daemon is at `backend`.

    `path` follows the base, without slashes around.
    """
    name, _, rest = path.partition("/")
    view = View(world, query, tip, backend)
    known = {
        "": view.status,
        "address": view.address,
        "tx": view.tx,
        "tx-specific": view.tx_specific,
        "block": view.block,
        "block-index": view.block_index,
        "utxo": view.utxo,
        "balancehistory": view.balance_history,
        "estimatefee": view.estimate_fee,
    }
    if name.startswith(("tickers", "multi-tickers")):
        return error("No tickers found!")
    return known[name](rest) if name in known else error(f"Unknown path {name}", 404)


def error(text: str, status: int = 400) -> Answer:
    return json({"error": text}, status)


class View:
    """One request to one instance."""

    def __init__(self, world: World, query: Mapping[str, str], tip: int, backend: int) -> None:
        self.world, self.chain, self.query = world, world.chain, query
        self.tip, self.backend = tip, backend

    def status(self, _: str) -> Answer:
        tip, block_time = self.tip, records.utc(self.chain.time(self.tip))
        stamp = block_time.strftime("%Y-%m-%dT%H:%M:%S.282123883Z")
        about = {"coin": "Flux", "network": "FLUX", "host": "FX-INFRA-01", "version": "0.6.0"}
        about |= {"gitCommit": "9942fc2f", "buildTime": "2026-04-30T00:18:55+00:00"}
        state: dict[str, Any] = {
            "syncMode": True,
            "initialSync": False,
            "inSync": tip == self.backend,
            "bestHeight": tip,
        }
        state |= {"lastBlockTime": stamp, "inSyncMempool": True, "lastMempoolTime": stamp}
        state |= {"mempoolSize": 0, "decimals": 8, "dbSize": 34_312_077_956, "about": ABOUT}
        backend: dict[str, Any] = {"chain": "main", "blocks": self.backend, "headers": self.backend}
        backend |= {"bestBlockHash": self.chain.hash(self.backend)}
        backend |= {"difficulty": "0.4773501176333482", "sizeOnDisk": 35_007_366_617, "version": "zebra"}
        backend["consensus"] = {"chaintip": "76b809bb", "nextblock": "76b809bb"}
        return json({"blockbook": about | state, "backend": backend})

    def estimate_fee(self, _: str) -> Answer:
        return json({"result": "-1"})

    def block_index(self, text: str) -> Answer:
        if not text.isdecimal() or int(text) > self.tip:
            return error(f"Block index {text} not found (-8: Block height out of range)")
        return json({"blockHash": self.chain.hash(int(text))})

    def tx(self, txid: str) -> Answer:
        tx = self._find(txid)
        if tx is None:
            return error(f"Transaction '{txid}' not found (txid {txid}: Not found.)")
        return Answer(r.blockbook_tx(self.chain, tx, tip=self.tip))

    def tx_specific(self, txid: str) -> Answer:
        tx = self._find(txid)
        if tx is None:
            return error(f"Transaction '{txid}' not found (txid {txid}: Not found.)")
        return json(r.daemon_tx(self.chain, tx, spent_index=True, tip=self.tip))

    def _find(self, txid: str) -> Tx | None:
        tx = self.chain.get(txid) or next((t for t in self.world.mempool if t.txid == txid), None)
        return None if tx is None or tx.height > self.tip else tx

    # Address lists

    def address(self, address: str) -> Answer:
        if not is_valid(address):
            return error(f"Invalid address '{address}', decoded address is of unknown format")
        index = self.chain.by_address.get(address) or AddressIndex()
        details = self.query.get("details", "txids")
        sums = self._sums(address, index)
        if details in ("basic", "tokens", "tokenBalances"):
            return json(sums)
        size = whole(self.query, "pageSize", MAX_PAGE)
        size = size if 0 < size <= MAX_PAGE else MAX_PAGE
        page, pages, txs = self._page(address, index, size)
        head = {"page": page, "totalPages": pages, "itemsOnPage": size} | sums
        return self._list(head, txs, details, address)

    def _sums(self, address: str, index: AddressIndex) -> dict[str, Any]:
        late = index.between(self.tip + 1, self.chain.tip)
        received = index.received - sum(o.sat for t in late for o in t.outputs if o.address == address)
        sums = {"address": address, "balance": str(max(0, received - index.sent))}
        sums |= {"totalReceived": str(received), "totalSent": str(index.sent)}
        counts = {"unconfirmedTxs": len(self._pending(address)), "txs": len(index.txs) - len(late)}
        return {**sums, "unconfirmedBalance": "0", **counts}

    def _pending(self, address: str) -> list[Tx]:
        return [tx for tx in self.world.mempool if address in tx.addresses()]

    def _page(self, address: str, index: AddressIndex, size: int) -> tuple[int, int, list[Tx]]:
        """Number of the page that is really served, number of pages (-1: not known), transactions."""
        low, high = whole(self.query, "from", 0), whole(self.query, "to", 0)
        wanted = self.query.get("filter", "")
        page = min(max(1, whole(self.query, "page", 1)), max(1, MAX_ROWS // size))
        top = min(high or self.tip, self.tip)
        txs, total = self._select(address, index, (low, top, wanted), (page - 1) * size, size)
        pages = max(1, -(-total // size))
        if page > pages:
            page = pages
            txs, _ = self._select(address, index, (low, top, wanted), (page - 1) * size, size)
        if (low or high or wanted) and len(txs) == size:
            pages = -1
        if page == 1 and not high:
            txs = [*self._pending(address), *txs][:size]
        return page, pages, txs

    def _select(
        self, address: str, index: AddressIndex, what: tuple[int, int, str], skip: int, count: int
    ) -> tuple[list[Tx], int]:
        low, high, wanted = what
        if not wanted:
            return index.newest(low, high, skip, count)
        found = [tx for tx in index.between(low, high)[::-1] if _matches(tx, address, wanted)]
        return found[skip : skip + count], len(found)

    def _list(self, head: dict[str, Any], txs: list[Tx], details: str, asked: str) -> Answer:
        """The key of the list is absent when nothing matches."""
        if not txs:
            return json(head)
        if details == "txids":
            return json(head | {"txids": [tx.txid for tx in txs]})
        if details == "txslight":
            light = [r.blockbook_light(self.chain, tx, asked, self.tip) for tx in txs]
            return json(head | {"transactions": light})
        body = b",".join([r.blockbook_tx(self.chain, tx, asked, self.tip) for tx in txs])
        return Answer(orjson.dumps(head)[:-1] + b',"transactions":[' + body + b"]}")

    # Blocks, balances

    def block(self, text: str) -> Answer:
        height = int(text) if text.isdecimal() else self.chain.height_of_hash(text)
        if height is None or not 0 < height <= self.tip:
            return error(f"Block {text} not found (Block not found)")
        txs = self.chain.block(height)
        page, pages = max(1, whole(self.query, "page", 1)), -(-len(txs) // MAX_PAGE)
        page = min(page, pages)
        shown = txs[(page - 1) * MAX_PAGE : page * MAX_PAGE]
        head: dict[str, Any] = {"page": page, "totalPages": pages, "itemsOnPage": MAX_PAGE}
        head |= {"hash": self.chain.hash(height), "previousBlockHash": self.chain.hash(height - 1)}
        if height < self.tip:
            head["nextBlockHash"] = self.chain.hash(height + 1)
        head |= {"height": height, "confirmations": self.tip - height + 1, "size": 3449}
        head |= {"time": self.chain.time(height), "version": 100 if height >= records.FORK_HEIGHT else 4}
        head |= {"merkleRoot": digest("merkle", height), "nonce": "", "bits": "1f53f10d"}
        head |= {"difficulty": "0.0953041674384684", "txCount": len(txs)}
        return json(head | {"txs": [r.blockbook_light(self.chain, tx, "", self.tip) for tx in shown]})

    def utxo(self, address: str) -> Answer:
        index = self.chain.by_address.get(address) or AddressIndex()
        return json(
            [
                {"txid": tx.txid, "vout": n, "value": str(output.sat), "height": tx.height}
                | {"confirmations": r.confirmations(self.chain, tx, self.tip)}
                for tx in index.between(0, self.tip)[::-1]
                for n, output in enumerate(tx.outputs)
                if output.address == address
            ]
        )

    def balance_history(self, address: str) -> Answer:
        """Sums by `groupBy` seconds of everything that an address received and sent."""
        step = max(1, whole(self.query, "groupBy", 3600))
        low, high = whole(self.query, "from", 0), whole(self.query, "to", 0) or 2**40
        index = self.chain.by_address.get(address) or AddressIndex()
        rows: dict[int, dict[str, int]] = {}
        for tx in index.between(0, self.tip):
            seconds = self.chain.time(tx.height)
            if low <= seconds <= high:
                start = seconds - seconds % step
                _add(rows.setdefault(start, {"txs": 0, "received": 0, "sent": 0, "sentToSelf": 0}), tx, address)
        return json(
            [
                {"time": start, "txs": row["txs"], "received": str(row["received"])}
                | {"sent": str(row["sent"]), "sentToSelf": str(row["sentToSelf"])}
                for start, row in rows.items()
            ]
        )


def _add(row: dict[str, int], tx: Tx, address: str) -> None:
    received = sum(o.sat for o in tx.outputs if o.address == address)
    sent = sum(i.sat for i in tx.inputs if i.address == address and i.told)
    row["txs"] += 1
    row["received"] += received
    row["sent"] += sent
    row["sentToSelf"] += received if sent else 0


def _matches(tx: Tx, address: str, wanted: str) -> bool:
    if wanted == "inputs":
        return any(i.address == address and i.told for i in tx.inputs)
    places = [n for n, o in enumerate(tx.outputs) if o.address == address]
    return bool(places) if wanted == "outputs" else wanted.isdecimal() and int(wanted) in places


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


def daemon(world: World, path: str, query: Mapping[str, str], tip: int, *, spent_index: bool) -> Answer:
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
        new = height >= records.FORK_HEIGHT
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
