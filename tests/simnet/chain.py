"""A simulated chain that can be reorganised."""

from __future__ import annotations

from bisect import bisect_left

from fluxtracker.simnet import chain, records
from fluxtracker.simnet.chain import AddressIndex
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Input, Output, Tx


class Chain(chain.Chain):
    def __init__(self, seed: int, start: int, block_seconds: float = records.NEW_SECONDS) -> None:
        super().__init__(seed, start, block_seconds)
        self.branches = [(0, 0)]
        """The first height of each branch and its number, in order of height."""
        self.forks = 0
        self.spenders: dict[str, tuple[Tx, Input]] = {}

    def add(self, tx: Tx) -> None:
        super().add(tx)
        for item in tx.inputs:
            if item.found and item.txid:
                self.spenders[item.txid] = (tx, item)

    def get(self, txid: str) -> Tx | None:
        """Return a transaction of the chain, or one that a transaction of the chain spends."""
        return super().get(txid) or self._spent(txid)

    def _spent(self, txid: str) -> Tx | None:
        found = self.spenders.get(txid)
        if found is None:
            return None
        tx, item = found
        paid = [Output(None, 1000 + n) for n in range(item.vout)] + [Output(item.address, item.sat)]
        source = (Input(None, digest(txid, "older"), 0, sum(o.sat for o in paid), found=False),)
        return Tx(txid, source, tuple(paid), height=max(1, tx.height - 120))

    def hash(self, height: int) -> str:
        branch = next(number for low, number in reversed(self.branches) if low <= height)
        return digest(self.seed, branch, height)

    def fork(self, depth: int, blocks: int) -> list[Tx]:
        """Replace the last `depth` blocks by `blocks` others; return the transactions of the old ones."""
        root = self.tip - depth
        taken = sorted((tx for tx in self if tx.height > root), key=lambda tx: tx.height)
        for tx in taken:
            self.remove(tx)
        self.forks += 1
        self.branches = [(low, number) for low, number in self.branches if low <= root]
        self.branches.append((root + 1, self.forks))
        self.tip = root + blocks
        return taken

    def remove(self, tx: Tx) -> None:
        del self.by_txid[tx.txid]
        self.blocks[tx.height].remove(tx)
        for item in tx.inputs:
            self.spenders.pop(item.txid, None)
        for address in tx.addresses():
            _remove(self.by_address[address], address, tx)
        tx.rendered.clear()


def _remove(index: AddressIndex, address: str, tx: Tx) -> None:
    at = index.txs.index(tx, bisect_left(index.heights, tx.height))
    del index.heights[at], index.txs[at]
    index.count(address, tx, -1)
