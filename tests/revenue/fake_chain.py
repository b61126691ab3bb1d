"""A chain in memory that answers what the ledger asks of a source: fast enough for hypothesis."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fluxtracker.upstream import records
from fluxtracker.upstream.http.errors import NotFound, Unavailable
from fluxtracker.upstream.records import ChainTx, Listing, Tip, TxInput, TxOutput

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PAYER = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5"


def digest(*words: object) -> str:
    return hashlib.sha256(":".join(map(str, words)).encode()).hexdigest()


@dataclass(frozen=True)
class Block:
    height: int
    hash: str
    time: datetime
    txs: tuple[ChainTx, ...]


class FakeChain:
    """Blocks from `first` on; `mine` adds one, `reorg` replaces the last ones."""

    name = "blockbook"
    host = "fake"

    def __init__(self, first: int = 1000, page: int = 1000) -> None:
        self.first = first
        self.page = page
        self.blocks: list[Block] = []
        self.fork = 0
        self.made = 0
        self.requests: list[str] = []

    def pay(self, address: str, *sats: int, sender: str | None = PAYER, op_return: bytes | None = None) -> ChainTx:
        """A transaction that is not in a block yet."""
        self.made += 1
        outputs = [TxOutput(n, sat, address) for n, sat in enumerate(sats)]
        inputs = (TxInput(sender, digest("previous", self.made), 0),)
        return ChainTx(digest("tx", self.made), -1, "", START, 0, inputs, tuple(outputs), op_return)

    def mine(self, *txs: ChainTx, at: datetime | None = None) -> Block:
        """Add a block, 30 s after the one before where nothing else is said."""
        height = self.first + len(self.blocks)
        block_hash = digest(self.fork, height)
        time = at or (self.blocks[-1].time + timedelta(seconds=30) if self.blocks else START)
        placed = tuple(
            replace(tx, height=height, block_hash=block_hash, block_time=time, confirmations=1) for tx in txs
        )
        self.blocks.append(Block(height, block_hash, time, placed))
        return self.blocks[-1]

    def reorg(self, depth: int, keep: list[ChainTx], extra: int = 1) -> None:
        """Replace the last `depth` blocks by `depth + extra` new ones with `keep` spread over them."""
        del self.blocks[len(self.blocks) - depth :]
        self.fork += 1
        new = depth + extra
        for n in range(new):
            self.mine(*keep[n::new])

    def copy(self) -> FakeChain:
        """Return a chain of the same blocks that goes its own way from here; a block never changes."""
        other = copy.copy(self)
        other.blocks, other.requests = [*self.blocks], []
        return other

    def branch(self, depth: int, keep: list[ChainTx], extra: int = 1) -> FakeChain:
        """Return another chain that leaves this one so many blocks ago, with hashes and payments of its own."""
        other = self.copy()
        other.fork += 1000
        other.made += 1000
        other.reorg(depth, keep, extra)
        return other

    def last(self, depth: int) -> list[ChainTx]:
        return [tx for block in self.blocks[len(self.blocks) - depth :] for tx in block.txs]

    # what a source answers

    def tip(self) -> Tip:
        self.requests.append("tip")
        return Tip(self.blocks[-1].height, self.blocks[-1].hash, self.host)

    def block_hash(self, height: int) -> str:
        self.requests.append("block_hash")
        if not self.first <= height <= self.blocks[-1].height:
            raise NotFound(self.host, f"block-index/{height}", "Block not found")
        return self.blocks[height - self.first].hash

    def block(self, height: int) -> records.Block:
        self.requests.append("block")
        if not self.first <= height <= self.blocks[-1].height:
            raise NotFound(self.host, f"block/{height}", "Block not found")
        found = self.blocks[height - self.first]
        return records.Block(height, found.time, found.hash)

    def total(self, address: str) -> int | None:
        self.requests.append("total")
        return len(self._touching(address, 0, 10**9))

    def listing(self, address: str, low: int, high: int) -> Listing:
        self.requests.append("listing")
        found = self._touching(address, low, high)
        if len(found) > self.page:
            high = max(found[self.page].height - 1, low)
            found = self._touching(address, low, high)
        return Listing(address, low, high, tuple(reversed(found)), (), len(self._touching(address, 0, 10**9)))

    def transaction(self, txid: str) -> ChainTx:
        self.requests.append("transaction")
        for block in self.blocks:
            for tx in block.txs:
                if tx.txid == txid:
                    return tx
        raise NotFound(self.host, f"tx/{txid}", "not found")

    def _touching(self, address: str, low: int, high: int) -> list[ChainTx]:
        return [
            tx
            for block in self.blocks
            if low <= block.height <= high
            for tx in block.txs
            if any(output.address == address for output in tx.outputs)
        ]

    def truth(self, addresses: list[str], confirmations: int) -> set[tuple[str, int, int, int, str]]:
        """What the ledger must hold: (txid, vout, satoshi, height, block hash)."""
        settled = self.blocks[-1].height - confirmations + 1
        return {
            (tx.txid, output.n, output.value_sat, tx.height, tx.block_hash)
            for block in self.blocks
            if block.height <= settled
            for tx in block.txs
            for output in tx.outputs
            if output.address in addresses
        }


class Source(FakeChain):
    """A source of its own that answers as a chain does, `lag` blocks late, or not at all."""

    def __init__(self, host: str, chain: FakeChain, *, up: bool = True, lag: int = 0) -> None:
        super().__init__(chain.first, chain.page)
        self.host, self.chain, self.up, self.lag = host, chain, up, lag

    @property
    def blocks(self) -> list[Block]:
        if not self.up:
            raise Unavailable(self.host, "api", "connection refused")
        return self.chain.blocks[: len(self.chain.blocks) - self.lag]

    @blocks.setter
    def blocks(self, blocks: list[Block]) -> None:
        """Those of the chain that it follows."""


class Daemon(Source):
    """The same with an index of bare txids, and no counts."""

    name = "daemon"

    def total(self, address: str) -> None:
        return

    def listing(self, address: str, low: int, high: int) -> Listing:
        return replace(super().listing(address, low, high), total=None)

    def txids(self, address: str, low: int, high: int) -> list[str]:
        return [tx.txid for tx in self._touching(address, low, high)]
