"""Read the chain from the Flux daemon behind FluxOS, used if no Blockbook answers (docs/upstream.md#daemon)."""

from __future__ import annotations

import re
from typing import Any

from fluxtracker.upstream.chain.transactions import ChainUpstream, daemon_tx
from fluxtracker.upstream.fluxos import envelope
from fluxtracker.upstream.http.client import MAX_BYTES, SMALL, Http
from fluxtracker.upstream.http.errors import BadAnswer, NotFound
from fluxtracker.upstream.parsing import (
    MAX_NODES,
    WRONG_SHAPE,
    count,
    full_address,
    instant,
    is_address,
    is_hash,
    or_none,
    whole,
)
from fluxtracker.upstream.records import TIERS, ChainTx, ListedNode, Listing, NodeCounts, NodeList, Tip, Unreadable

TIP_MARGIN = 2  # blocks; the nodes behind the load balancer differ by one or two
BEHIND = "outside chain range"  # reported by a node that lacks the last blocks
TRANSACTIONS_A_LISTING = 200  # each is a request
OLD_TIERS = {"cumulus": "basic", "nimbus": "super", "stratus": "bamf"}


class Daemon(ChainUpstream):
    """The daemon of a node picked by the load balancer."""

    name = "daemon"
    block_path, tx_path = "/getblock/{}/1", "/getrawtransaction/{}/1"
    read_tx = staticmethod(daemon_tx)

    def __init__(self, http: Http, base_url: str) -> None:
        super().__init__(http, base_url.rstrip("/") + "/daemon")

    def tip(self) -> Tip:
        """Return the last block that every node should have."""
        height = self.height()
        return Tip(height, self.block_hash(height), self.host, ahead=TIP_MARGIN)

    def height(self) -> int:
        """Return the height of the last block that every node should have. One request."""
        try:
            return whole(self.answer("/getblockcount", SMALL), "the block count", TIP_MARGIN + 1) - TIP_MARGIN
        except ValueError as error:
            raise self.bad("/getblockcount", str(error)) from None

    def block_hash(self, height: int) -> str:
        """Return the hash of the block at a height. NotFound past the tip."""
        path = f"/getblockhash/{height}"
        value = self.answer(path, SMALL)
        if not isinstance(value, str) or not is_hash(value):
            raise self.bad(path, "the block hash is not 64 hex digits")
        return value

    def total(self, address: str) -> None:
        """Return None, as the daemon does not count an address's transactions."""

    def txids(self, address: str, low: int, high: int) -> list[str]:
        """Return ids of the address's transactions in blocks `low` to `high`, inclusive, oldest first."""
        path = f"/getaddresstxids/{address}/{low}/{high}"
        try:
            txids = self.answer(path)
        except BadAnswer as error:
            if BEHIND not in error.detail:
                raise
            txids = self.answer(path)  # another node, maybe one that is not behind
        if not isinstance(txids, list) or not all(isinstance(txid, str) and is_hash(txid) for txid in txids):
            raise self.bad(path, "no list of transaction ids")
        return list(dict.fromkeys(txids))

    def listing(self, address: str, low: int, high: int) -> Listing:
        """Return all transactions of the address in blocks `low` to `high`, or to a lower `high` if there are many."""
        transactions: list[ChainTx] = []
        unreadable: list[Unreadable] = []
        last = low
        for txid in self.txids(address, low, high):
            tx = self._listed(txid)
            if isinstance(tx, Unreadable):
                unreadable.append(tx)
                continue
            if not last <= tx.height <= high:
                raise self.bad(f"/getrawtransaction/{txid}/1", f"block {tx.height} in the blocks {last} to {high}")
            if len(transactions) >= TRANSACTIONS_A_LISTING and tx.height > last:
                high = last  # complete, as ids come oldest first
                break
            last = tx.height
            transactions.append(tx)
        return Listing(address, low, high, tuple(reversed(transactions)), tuple(unreadable), None)

    def node_counts(self) -> NodeCounts:
        """Return the nodes of each tier. A tier may be empty, but not the network."""
        path = "/getfluxnodecount"
        answer = self.answer(path, SMALL)
        try:
            tiers = {tier: _tier_count(answer, tier) for tier in OLD_TIERS}
        except WRONG_SHAPE as error:
            raise self.bad(path, f"its node counts are not usable ({error})"[:200]) from None
        if not any(tiers.values()):
            raise self.bad(path, "it counts no node at all")
        return NodeCounts(**tiers, told_total=or_none(count, answer.get("total"), "total"))

    def node_list(self) -> NodeList:
        """Return every confirmed node. 4 MB."""
        path = "/viewdeterministicfluxnodelist"
        rows = self.answer(path)
        if not isinstance(rows, list) or not rows:
            raise self.bad(path, "no list of nodes" if rows else "an empty list")
        listed = [node for node in map(_listed_node, rows) if node]
        nodes = {node.collateral: node for node in reversed(listed)}  # the first row of each
        if not nodes:
            raise self.bad(path, f"none of {len(rows)} rows is usable")
        return NodeList(tuple(reversed(nodes.values())), len(rows), len(rows) - len(listed), len(listed) - len(nodes))

    def _listed(self, txid: str) -> ChainTx | Unreadable:
        """Return a listed transaction, Unreadable if this node does not know it or reports it in an unknown form."""
        try:
            answer = self.answer(f"/getrawtransaction/{txid}/1")
        except NotFound as error:
            return Unreadable(txid, None, error.detail[:200])
        try:
            return daemon_tx(answer)
        except WRONG_SHAPE as error:
            time = or_none(instant, answer.get("blocktime"), "the time") if isinstance(answer, dict) else None
            return Unreadable(txid, None, f"{type(error).__name__}: {error}"[:200], time)

    def answer(self, path: str, max_bytes: int = MAX_BYTES) -> Any:
        """Return the data inside the envelope."""
        return envelope(self.get(path, max_bytes=max_bytes), self.host, self.where(path))


def _tier_count(answer: dict[str, Any], tier: str) -> int:
    """Return `cumulus-enabled`, or the tier's former name `basic-enabled` (docs/upstream.md#daemon)."""
    name = f"{tier}-enabled"
    return count(answer[name if name in answer else f"{OLD_TIERS[tier]}-enabled"], name, MAX_NODES)


is_pubkey = re.compile(r"[0-9a-f]{2,130}", re.IGNORECASE).fullmatch


def _listed_node(row: Any) -> ListedNode | None:
    """Return a row of the list (docs/upstream.md#node-list), None without a node or tier."""
    try:
        txid, index, tier = row["txhash"].lower(), count(row["outidx"], "an output"), row["tier"]
    except WRONG_SHAPE:
        return None
    if not is_hash(txid) or tier not in TIERS:
        return None
    address, paid_to, key = (_text(row.get(name)) for name in ("ip", "payment_address", "pubkey"))
    return ListedNode(
        collateral=f"{txid}:{index}",
        tier=tier,
        address=full_address(address) if address else "",
        payment_address=paid_to if is_address(paid_to) else None,
        pubkey=key.lower() if is_pubkey(key) else None,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
