"""What is true of a world: what the ledger, the names, the metrics and the prices should be."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING, cast

from fluxtracker.simnet import clock, network_truth, prices, truth
from fluxtracker.simnet.chain import Chain
from fluxtracker.simnet.network_truth import ExpectedMetrics
from fluxtracker.simnet.records import TruthRow
from fluxtracker.simnet.registry import Registry

if TYPE_CHECKING:
    from fluxtracker.simnet.world import World


class TellsTruth:
    """The part of a world that says what is so."""

    seed: int
    lock: threading.RLock
    chain: Chain
    registry: Registry
    tracked: dict[str, int]

    @property
    def _world(self) -> World:
        return cast("World", self)

    def truth(self, min_confirmations: int = 8, tip: int | None = None) -> list[TruthRow]:
        """The revenue rows that a ledger should hold once it has read up to the tip."""
        with self.lock:
            tip = self.chain.tip if tip is None else tip
            return truth.rows(self.chain, self.tracked, tip=tip, min_confirmations=min_confirmations)

    def expected_daily(self, min_confirmations: int = 8) -> dict[tuple[date, str], tuple[int, int]]:
        """Satoshi and number of payments by UTC day and address."""
        found: dict[tuple[date, str], tuple[int, int]] = {}
        for row in self.truth(min_confirmations):
            key = (clock.day_of(self.chain.time(row.height)), row.address)
            sat, count = found.get(key, (0, 0))
            found[key] = (sat + row.amount_sat, count + 1)
        return found

    def expected_names(self) -> dict[str, tuple[str, bool]]:
        """App name and whether it is a git deploy, by the hash of each message that is known now."""
        return {tx.message_hash: (app.name, app.is_git) for app, tx in self.registry.known()}

    def expected_metrics(self, without: Collection[int] = ()) -> ExpectedMetrics:
        """What a collection should find now, when the rows of some nodes (by number) are no good."""
        with self.lock:
            return network_truth.metrics(self._world, without)

    def expected_expiring(self, limit: int) -> list[tuple[str, int]]:
        """The apps that end next, with the height at which they do."""
        with self.lock:
            return network_truth.expiring(self._world)[:limit]

    def expected_deployed(self, hours: float = 24) -> list[str]:
        """Names of the apps whose current specification is of the last hours, newest first."""
        with self.lock:
            return network_truth.deployed(self._world, hours)

    def day_price(self, day: date) -> float:
        """The close of a UTC day: CoinGecko's point at the next midnight."""
        return prices.close_on(self.seed, day)

    def live_price(self) -> float:
        return prices.live(self.seed, self._world.now())
