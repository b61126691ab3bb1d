"""Simulate the network as one object: its past, its clock and its future blocks.

The same arguments make the same world. New blocks come as time passes, whenever a client asks (`catch_up`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from fluxtracker.simnet import history, records
from fluxtracker.simnet.app_registry import Registry, further_apps, further_message
from fluxtracker.simnet.catalogue import Catalogue
from fluxtracker.simnet.chain import Chain, blockbook_halves
from fluxtracker.simnet.history import Maker, Plan, digest, transactions
from fluxtracker.simnet.network import Network
from fluxtracker.simnet.records import TRACKED, Tx
from fluxtracker.simnet.scenarios import Stories

Progress = Callable[[int], None]
LATER_BLOCKS = 40  # until the registry knows a message that it learns later


class World:
    """A simulated Flux network.

    `payments` transactions that touch a tracked address lie in the last `days` days before its start;
    `payments_per_block` says how many come with each new block. `since` continues a world that was started then: its
    past ends there, and all blocks since then have come.
    """

    chain_type, registry_type, network_type, maker_type = Chain, Registry, Network, Maker
    benchmarking = 0.01  # share of the nodes whose benchmark is running

    def __init__(
        self,
        seed: int = 1,
        payments: int = 2000,
        days: int = 400,
        nodes: int = 200,
        block_seconds: float = records.NEW_SECONDS,
        *,
        since: datetime | None = None,
        old_messages: int = 2000,
        payments_per_block: float = 0.2,
        progress: Progress | None = None,
    ) -> None:
        self.seed, self.days, self.nodes = seed, days, nodes
        self.payments_per_block = payments_per_block
        self.lock = threading.RLock()
        self.started = since.timestamp() if since else self.clock()
        self.chain = self.chain_type(seed, records.height_at(self.started), block_seconds)
        self.catalogue = Catalogue(seed)
        plan = Plan.ending_at(self.chain.tip, seed=seed, payments=payments, days=days)
        self.registry = self.registry_type(self.chain, old_messages, plan.low)
        self.stories = Stories(seed, self.catalogue, self.chain)
        self.network = self.network_type(self)
        self.mempool: list[Tx] = []
        self._announced = 0
        self._maker = self.maker_type(seed, customers=50, name="live")
        for number, tx in enumerate(transactions(plan, self.maker_type)):
            self._place(tx, tx.height)
            if progress and number % 1000 == 0:
                progress(number)
        if payments:
            self.add_further_apps()
        self.catch_up()

    def add_further_apps(self) -> None:
        """Let apps run whose payments are not in this world."""
        for app, height in further_apps(self.seed, self.chain.tip):
            self.registry.add(further_message(self.seed, app, height))

    # Time and blocks

    @property
    def tip_height(self) -> int:
        return self.chain.tip

    @property
    def tip_hash(self) -> str:
        return self.chain.hash(self.chain.tip)

    def clock(self) -> float:
        """Return the time that decides which blocks are due, in Unix seconds."""
        return time.time()

    def now(self) -> float:
        """Return the time of the network in Unix seconds, never before its last block."""
        return max(self.clock(), self.chain.time(self.chain.tip))

    def live_price(self) -> float:
        return history.live(self.seed, self.now())

    def catch_up(self) -> None:
        """Add the blocks that are due."""
        with self.lock:
            due = self.chain.height_at(self.clock())
            while self.chain.tip < due:
                self._announce()
                self.mine()
            self._announce()

    def _announce(self) -> None:
        """Put the payments of the next block into the mempool, once."""
        height = self.chain.tip + 1
        if self._announced < height:
            self._announced = height
            self.mempool += self._arrivals(height)

    def _arrivals(self, height: int) -> list[Tx]:
        draw = int(digest(self.seed, "arrivals", height)[:8], 16) / 0xFFFFFFFF
        count = int(self.payments_per_block) + (draw < self.payments_per_block % 1)
        if not count:
            return []
        self._maker.rng.seed(f"{self.seed}:arrivals:{height}")
        seconds = self.chain.time(height)
        return [self._maker.make(height * 100 + number, seconds=seconds) for number in range(count)]

    def mine(self, blocks: int = 1, payments: Iterable[Tx] = ()) -> int:
        """Add blocks, with the payments and the mempool in the first one; return the new tip."""
        with self.lock:
            height = self.chain.tip + 1
            self.chain.tip += blocks
            for tx in (*self.mempool, *payments):
                self._place(tx, height)
            self.mempool.clear()
            return self.chain.tip

    def _place(self, tx: Tx, height: int) -> None:
        tx.height = height
        tx.rendered.clear()  # of the mempool
        tx.known_from = tx.known_from or height + LATER_BLOCKS
        if tx.act and not tx.app:
            self.stories.tell(tx)
        self.chain.add(tx)
        self.registry.add(tx)

    def warm(self) -> None:
        """Write every transaction once now, so that the first client does not wait for it."""
        for address in TRACKED:
            for tx in self.chain.index(address).txs:
                blockbook_halves(self.chain, tx, address)
