"""The simulated network as one object: its past, its blocks to come, and what the truth about it is.

The same arguments make the same world. `frozen=True`: time stands still and only `mine` and `reorg` change
it. Otherwise new blocks come as time passes, each time somebody looks (`catch_up`).
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fluxtracker.simnet import records, registry
from fluxtracker.simnet.catalogue import Catalogue
from fluxtracker.simnet.chain import AddressIndex, Chain, blockbook_halves
from fluxtracker.simnet.history import Maker, MakesPayments, Plan, digest, transactions
from fluxtracker.simnet.network import Network
from fluxtracker.simnet.records import TRACKED, Known, Tx
from fluxtracker.simnet.registry import Registry
from fluxtracker.simnet.truth import TellsTruth

Progress = Callable[[int], None]
LATER_BLOCKS = 40  # how long the registry does not know a message that comes later
OTHERS = 1_000_000  # what the numbers of forks and payments of another branch differ by


@dataclass(frozen=True, slots=True)
class Reorg:
    """What a reorganisation did to the payments of the blocks it replaced, by txid."""

    dropped: tuple[str, ...]
    moved: tuple[str, ...]
    kept: tuple[str, ...]


class World(MakesPayments, TellsTruth):
    """A Flux network of one's own.

    `payments` transactions that touch a tracked address lie in the last `days` days before `now`
    (the real time when it is None); `payments_per_block` says how many come with each new block. `since`
    takes up a world again that was started then: its past ends there, and all blocks since have come.

    `containers`: further apps come in until about so many containers run (0: those of the payments' apps, and
    one app of every peculiar kind where there are payments). `images`: most nodes are older than FluxOS 8.18.
    `benchmarking` is the share of nodes whose benchmark is running.
    """

    def __init__(
        self,
        seed: int = 1,
        payments: int = 2000,
        days: int = 400,
        nodes: int = 200,
        now: datetime | None = None,
        block_seconds: float = records.NEW_SECONDS,
        frozen: bool = False,
        *,
        since: datetime | None = None,
        old_messages: int = 2000,
        payments_per_block: float = 0.2,
        tracked: Mapping[str, int] = TRACKED,
        progress: Progress | None = None,
        containers: int = 0,
        images: bool = False,
        benchmarking: float = 0.01,
    ) -> None:
        self.seed, self.nodes, self.frozen = seed, nodes, frozen
        self.images, self.benchmarking = images, benchmarking
        self.tracked = dict(tracked)
        self.payments_per_block = payments_per_block
        self.lock = threading.RLock()
        started = now.timestamp() if now else time.time()
        self._skew = started - time.time()
        self._frozen_at = started
        start = self.started = since.timestamp() if since else started
        self.chain = Chain(seed, records.height_at(start), block_seconds)
        self.catalogue = Catalogue(seed)
        self.registry = Registry(self.chain, self.catalogue, old_messages)
        self.mempool: list[Tx] = []
        self.days = days
        self._made = self._sides = 0
        self._maker = Maker(seed, self.catalogue, apps=max(12, payments // 10), customers=50, name="live")
        self.network = Network(self)
        self._fill(Plan.ending_at(self.chain.tip, seed=seed, payments=payments, days=days), progress)
        if payments or containers:
            registry.settle(seed, self.registry, containers)
        self.catch_up()

    def _fill(self, plan: Plan, progress: Progress | None) -> None:
        for number, tx in enumerate(transactions(plan, self.catalogue)):
            self._place(tx, tx.height)
            if progress and number % 1000 == 0:
                progress(number)

    # Time and blocks

    @property
    def tip_height(self) -> int:
        return self.chain.tip

    @property
    def tip_hash(self) -> str:
        return self.chain.hash(self.chain.tip)

    def now(self) -> float:
        """Unix seconds of the world's clock; never before its last block."""
        real = self._frozen_at if self.frozen else time.time() + self._skew
        return max(real, self.chain.time(self.chain.tip))

    def catch_up(self) -> None:
        """Let the blocks come that are due."""
        if self.frozen:
            return
        self._mine_until(time.time() + self._skew)

    def _mine_until(self, seconds: float) -> None:
        with self.lock:
            due = self.chain.height_at(seconds)
            while self.chain.tip < due:
                self.mine(1, self._arrivals(self.chain.tip + 1))

    def advance(self, seconds: float) -> int:
        """Move the clock on, also that of a frozen world, and let the blocks come that are due. The new tip."""
        if seconds < 0:
            raise ValueError("time does not go backwards")
        with self.lock:
            if self.frozen:
                self._frozen_at = self.now() + seconds
                self._mine_until(self._frozen_at)
            else:
                self._skew += seconds
                self.catch_up()
            return self.chain.tip

    def set_nodes(self, nodes: int) -> None:
        """Let nodes come or go: the network has so many from now on."""
        if nodes < 0:
            raise ValueError("a network has no fewer than 0 nodes")
        with self.lock:
            self.nodes = nodes
            self.network.resized()

    def _arrivals(self, height: int) -> list[Tx]:
        draw = int(digest(self.seed, "arrivals", height)[:8], 16) / 0xFFFFFFFF
        count = int(self.payments_per_block) + (draw < self.payments_per_block % 1)
        if not count:
            return []
        self._maker.rng.seed(f"{self.seed}:arrivals:{height}")
        return [self._maker.make(height * 100 + number) for number in range(count)]

    def mine(self, blocks: int = 1, payments: Iterable[Tx] = ()) -> int:
        """Add blocks; payments (and what waits in the mempool) go into the first of them. The new tip."""
        with self.lock:
            height = self.chain.tip + 1
            self.chain.tip += blocks
            for tx in (*self.mempool, *payments):
                self._place(tx, height)
            self.mempool.clear()
            return self.chain.tip

    def broadcast(self, tx: Tx) -> Tx:
        """Let a payment wait in the mempool for the next block."""
        self.mempool.append(tx)
        return tx

    def add(self, tx: Tx, height: int) -> Tx:
        """Put a payment into a block that exists already."""
        with self.lock:
            self._place(tx, height)
        return tx

    def _place(self, tx: Tx, height: int) -> None:
        tx.height = height
        tx.known_from = tx.known_from or height + LATER_BLOCKS
        self.chain.add(tx)
        self.registry.add(tx)

    def reorg(
        self,
        depth: int,
        *,
        drop: Collection[str] | float = (),
        move: Collection[str] | float = (),
        keep: Collection[str] | None = None,
        blocks: int | None = None,
        payments: Iterable[Tx] = (),
    ) -> Reorg:
        """Replace the last `depth` blocks by as many others, or by `blocks`.

        `drop` and `move` name the payments that vanish and that go to another block, or say which share of
        those in the replaced blocks does. With `keep`, all that is not named anywhere vanishes, else it
        stays at its height, in a block with another hash. `payments` are new in the first new block.
        """
        with self.lock:
            blocks = depth if blocks is None else blocks
            root = self.chain.tip - depth
            taken = self.chain.fork(depth, blocks)
            fates = {tx.txid: self._fate(tx, drop, move, keep) for tx in taken}
            for tx in taken:
                if fates[tx.txid] != "dropped":
                    self._place(tx, self._new_height(tx, root, blocks, moved=fates[tx.txid] == "moved"))
            for tx in payments:
                self._place(tx, root + 1)
            found = {fate: tuple(t for t, f in fates.items() if f == fate) for fate in set(fates.values())}
            return Reorg(found.get("dropped", ()), found.get("moved", ()), found.get("kept", ()))

    def branched(self) -> World:
        """Return the same network with a chain of its own from here on: nothing that changes is shared."""
        with self.lock:
            side = copy.copy(self)
            side.chain = copy.deepcopy(self.chain)
            self._sides += 1
            side.chain.forks += OTHERS * self._sides
            side._made += OTHERS * self._sides
            side.mempool = []
            side.registry = copy.copy(self.registry)
            side.registry.chain, side.registry.by_hash = side.chain, dict(self.registry.by_hash)
            return side

    def _fate(
        self,
        tx: Tx,
        drop: Collection[str] | float,
        move: Collection[str] | float,
        keep: Collection[str] | None,
    ) -> str:
        draw = int(digest(self.seed, "fate", self.chain.forks, tx.txid)[:8], 16) / 0xFFFFFFFF
        share = drop if isinstance(drop, float) else 0.0
        if (draw < share) if isinstance(drop, float) else tx.txid in drop:
            return "dropped"
        if (draw < share + move) if isinstance(move, float) else tx.txid in move:
            return "moved"
        return "kept" if keep is None or tx.txid in keep else "dropped"

    def _new_height(self, tx: Tx, root: int, blocks: int, *, moved: bool) -> int:
        """A moved payment goes one block on, or back to the first where there is none."""
        if moved:
            return tx.height + 1 if tx.height < root + blocks else root + 1
        return min(tx.height, root + blocks)

    def warm(self) -> None:
        """Write every transaction once now, so that the first client does not wait for it."""
        for address in self.tracked:
            for tx in (self.chain.by_address.get(address) or AddressIndex()).txs:
                blockbook_halves(self.chain, tx, address)

    def reveal(self, *message_hashes: str) -> None:
        """Let the registry know messages (all that come later, when none is named)."""
        for message_hash, (_, tx) in self.registry.by_hash.items():
            if message_hash in message_hashes or (not message_hashes and tx.known == Known.LATER):
                tx.known = Known.YES
        self.registry.touch()
