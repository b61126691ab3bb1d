"""The simulated chain: blocks by height, transactions by address, new blocks and reorganisations.

Blocks are not stored. A block's hash follows from the seed, the branch and the height, its time from the
height; only transactions take memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fluxtracker.simnet import clock
from fluxtracker.simnet.addresses import FUND, made_up
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Input, Output, Tx


@dataclass(slots=True)
class AddressIndex:
    """The transactions that touch one address, oldest first, and what they add up to."""

    heights: list[int] = field(default_factory=list)
    txs: list[Tx] = field(default_factory=list)
    received: int = 0
    sent: int = 0

    def add(self, address: str, tx: Tx) -> None:
        at = bisect_right(self.heights, tx.height)
        self.heights.insert(at, tx.height)
        self.txs.insert(at, tx)
        self._count(address, tx, 1)

    def remove(self, address: str, tx: Tx) -> None:
        at = self.txs.index(tx, bisect_left(self.heights, tx.height))
        del self.heights[at], self.txs[at]
        self._count(address, tx, -1)

    def _count(self, address: str, tx: Tx, sign: int) -> None:
        self.received += sign * sum(o.sat for o in tx.outputs if o.address == address)
        self.sent += sign * sum(i.sat for i in tx.inputs if i.address == address and i.told)

    def between(self, low: int, high: int) -> list[Tx]:
        """Both heights included, oldest first."""
        return self.txs[bisect_left(self.heights, low) : bisect_right(self.heights, high)]

    def newest(self, low: int, high: int, skip: int, count: int) -> tuple[list[Tx], int]:
        """`count` transactions after the first `skip`, newest first, and how many there are in all."""
        first, last = bisect_left(self.heights, low), bisect_right(self.heights, high)
        end = max(first, last - skip)
        return self.txs[max(first, end - count) : end][::-1], last - first


class Chain:
    """Blocks 1 to `tip`; up to `start` their times follow the real chain, after it `block_seconds`."""

    def __init__(self, seed: int, start: int, block_seconds: float = clock.NEW_SECONDS) -> None:
        self.seed = seed
        self.start = self.tip = start
        self.block_seconds = block_seconds
        self.branches = [(0, 0)]
        """Height from which a branch counts, and its number, in order of height."""
        self.forks = 0
        self.by_txid: dict[str, Tx] = {}
        self.by_address: dict[str, AddressIndex] = {}
        self.blocks: dict[int, list[Tx]] = {}
        self.spenders: dict[str, tuple[Tx, Input]] = {}

    def time(self, height: int) -> int:
        if height <= self.start:
            return clock.time_of(height)
        return clock.time_of(self.start) + int((height - self.start) * self.block_seconds)

    def height_at(self, seconds: float) -> int:
        """The height that the tip should have at an instant."""
        past = seconds - clock.time_of(self.start)
        if past < 0:
            return clock.height_at(seconds)
        return self.start + int(past / self.block_seconds)

    def hash(self, height: int) -> str:
        branch = next(number for low, number in reversed(self.branches) if low <= height)
        return digest(self.seed, branch, height)

    def height_of_hash(self, block_hash: str, search: int = 5_000) -> int | None:
        """The height of one of the newest blocks, or of a block with a transaction."""
        for height in range(self.tip, max(0, self.tip - search), -1):
            if self.hash(height) == block_hash:
                return height
        return next((height for height in self.blocks if self.hash(height) == block_hash), None)

    def add(self, tx: Tx) -> None:
        self.by_txid[tx.txid] = tx
        self.blocks.setdefault(tx.height, []).append(tx)
        for item in tx.inputs:
            if item.found and item.txid:
                self.spenders[item.txid] = (tx, item)
        for address in tx.addresses():
            self.by_address.setdefault(address, AddressIndex()).add(address, tx)

    def remove(self, tx: Tx) -> None:
        del self.by_txid[tx.txid]
        self.blocks[tx.height].remove(tx)
        for item in tx.inputs:
            self.spenders.pop(item.txid, None)
        for address in tx.addresses():
            self.by_address[address].remove(address, tx)
        tx.rendered.clear()

    def get(self, txid: str) -> Tx | None:
        """A transaction of the chain, or the one that an input of the chain spends."""
        return self.by_txid.get(txid) or self._spent(txid)

    def _spent(self, txid: str) -> Tx | None:
        found = self.spenders.get(txid)
        if found is None:
            return None
        tx, item = found
        paid = [Output(None, 1000 + n) for n in range(item.vout)] + [Output(item.address, item.sat)]
        source = (Input(None, digest(txid, "older"), 0, sum(o.sat for o in paid), found=False),)
        return Tx(txid, source, tuple(paid), height=max(1, tx.height - 120))

    def block(self, height: int) -> list[Tx]:
        """The transactions of a block; the first one is the miner's."""
        found = self.blocks.get(height, [])
        coinbase = [tx for tx in found if any(i.coinbase for i in tx.inputs)]
        return [*(coinbase or [self._mined(height)]), *(tx for tx in found if tx not in coinbase)]

    def _mined(self, height: int) -> Tx:
        outputs = (Output(FUND, 50_000_000), Output(made_up("miner"), 900_000_000))
        source = (Input(None, "", 0, 0, coinbase=True),)
        return Tx(digest(self.hash(height), "miner"), source, outputs, height=height)

    def above(self, height: int) -> list[Tx]:
        """Transactions in the blocks after a height, oldest first."""
        found = [tx for h, txs in self.blocks.items() if h > height for tx in txs]
        return sorted(found, key=lambda tx: tx.height)

    def fork(self, depth: int, blocks: int) -> list[Tx]:
        """Take off the last `depth` blocks, put `blocks` others on; gives back what was in the old ones."""
        root = self.tip - depth
        taken = self.above(root)
        for tx in taken:
            self.remove(tx)
        self.forks += 1
        self.branches = [(low, number) for low, number in self.branches if low <= root]
        self.branches.append((root + 1, self.forks))
        self.tip = root + blocks
        return taken

    def __iter__(self) -> Iterator[Tx]:
        return iter(self.by_txid.values())

    def extend(self, txs: Iterable[Tx]) -> None:
        for tx in txs:
            self.add(tx)
