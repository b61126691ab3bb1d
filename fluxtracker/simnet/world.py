"""The simulated network as one object: its past and its blocks to come.

The same arguments make the same world. `frozen=True`: time stands still and only `mine` changes it. Otherwise new
blocks come as time passes, each time somebody looks (`catch_up`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from fluxtracker.simnet import history, records, registry
from fluxtracker.simnet.catalogue import Catalogue
from fluxtracker.simnet.chain import AddressIndex, Chain, blockbook_halves
from fluxtracker.simnet.history import Maker, Plan, digest, transactions
from fluxtracker.simnet.network import Network
from fluxtracker.simnet.records import TRACKED, Tx
from fluxtracker.simnet.registry import Registry

Progress = Callable[[int], None]
LATER_BLOCKS = 40  # how long the registry does not know a message that comes later


class World:
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

    def live_price(self) -> float:
        return history.live(self.seed, self.now())

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

    def _place(self, tx: Tx, height: int) -> None:
        tx.height = height
        tx.known_from = tx.known_from or height + LATER_BLOCKS
        self.chain.add(tx)
        self.registry.add(tx)

    def warm(self) -> None:
        """Write every transaction once now, so that the first client does not wait for it."""
        for address in self.tracked:
            for tx in (self.chain.by_address.get(address) or AddressIndex()).txs:
                blockbook_halves(self.chain, tx, address)
