"""A simulated network that tests can change, and that knows the right results."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from fluxtracker.simnet import world
from fluxtracker.simnet.catalogue import App, Component
from fluxtracker.simnet.history import FLUX, customer, digest
from fluxtracker.simnet.records import MAIN, TRACKED, Input, Known, Output, Tx
from tests.simnet.chain import Chain
from tests.simnet.lives import TellsLives
from tests.simnet.oddities import Maker
from tests.simnet.peculiar import Network, Registry
from tests.simnet.truth import TellsTruth

OTHERS = 1_000_000  # what the numbers of forks and payments of another branch differ by


@dataclass(frozen=True, slots=True)
class Reorg:
    """What a reorganisation did to the payments of the blocks it replaced, by txid."""

    dropped: tuple[str, ...]
    moved: tuple[str, ...]
    kept: tuple[str, ...]


class MakesPayments:
    """The part of a world that makes transactions for later blocks."""

    seed: int
    _made: int

    def payment(
        self,
        sat: int = 10 * FLUX,
        app: str | App | None = None,
        outputs: Iterable[tuple[str, int]] | None = None,
        sender: str | None = None,
        address: str = MAIN,
        *,
        data: bytes | None = None,
        known: Known | str = Known.YES,
        more_senders: Iterable[str] = (),
        git: bool = False,
        told: bool = True,
        found: bool = True,
        coinbase: bool = False,
        change: int = 3 * FLUX,
        after: Iterable[Output] = (),
        txid: str | None = None,
        registers: bool | None = None,
    ) -> Tx:
        """A transaction for `mine`, `broadcast` or `add`: `sat` to `address`, or the `outputs` given.

        `app` puts a message hash into an OP_RETURN, `data` other bytes; `after` are outputs behind it.
        `told=False`: the sources do not name the sender, which is the owner of the first input; `found=False`: nor
        do they know the transaction that it spends. The sources name `more_senders`. `registers`: whether the message
        is a registration (None: it is when the app has none yet); an `App` says owner, term and instances.
        """
        self._made += 1
        number = self._made
        paid = [Output(to, amount) for to, amount in (outputs or [(address, sat)])]
        payer = sender or customer(number)
        spent = Input(payer, digest(self.seed, "made previous", number), number % 3, 0, told, found)
        if change and not coinbase:
            paid.append(Output(payer, change))
        tx = Tx(txid or digest(self.seed, "made", number), (), ())
        if app is not None:
            tx.app = self._app(app, git)
            tx.message_hash = digest(self.seed, "made message", number)
            data = tx.message_hash.encode()
        if data is not None:
            paid.append(Output(None, 0, data))
        paid += after
        tx.known, tx.registers = Known(known), registers
        tx.outputs = tuple(paid)
        spent = spent._replace(sat=sum(o.sat for o in paid))
        tx.inputs = (Input(None, "", 0, 0, coinbase=True) if coinbase else spent,)
        for place, other in enumerate(more_senders):
            tx.inputs += (Input(other, digest(tx.txid, "spends", place), 1, FLUX),)
        return tx

    def _app(self, app: str | App, git: bool) -> App:
        if isinstance(app, App):
            return app
        tag = "runonflux/orbit:latest" if git else "nginx:latest"
        parts = (Component("web", tag, 0.5, 500, 5),)
        return App(app, 8, "1HsodCjRyFSbbtYVXCSTYYX8DJkUKVQd64", parts, instances=3, expire=88_000)


class World(MakesPayments, TellsTruth, TellsLives, world.World):
    """The network that `make demo` simulates, with payments, reorganisations and branches that a test asks for.

    `now` is the time at its start (the real time when it is None). A `frozen` world has no clock: only `mine` and
    `advance` change it. `containers`: apps are added until about so many containers run. `images`: most nodes are older
    than FluxOS 8.18. `benchmarking` is the share of nodes whose benchmark is running.
    """

    chain_type, registry_type, maker_type = Chain, Registry, Maker
    chain: Chain
    registry: Registry
    network: Network
    _made = _sides = 0

    def __init__(
        self,
        *,
        now: datetime | None = None,
        frozen: bool = False,
        tracked: Mapping[str, int] = TRACKED,
        containers: int = 0,
        images: bool = False,
        benchmarking: float = 0.01,
        **options: Any,
    ) -> None:
        self.frozen, self.tracked = frozen, dict(tracked)
        self._skew = now.timestamp() - time.time() if now else 0.0
        self._frozen_at = now.timestamp() if now else time.time()
        self._containers, self.benchmarking = containers, benchmarking
        self.network_type = partial(Network, images=images)
        super().__init__(**options)
        if containers and not options.get("payments", 1):
            self.add_further_apps()

    def add_further_apps(self) -> None:
        super().add_further_apps()
        self.registry.add_peculiar(self.seed, self._containers)

    def clock(self) -> float:
        return self._frozen_at if self.frozen else time.time() + self._skew

    def catch_up(self) -> None:
        if not self.frozen:
            super().catch_up()

    def advance(self, seconds: float) -> int:
        """Move the clock, also of a frozen world, and add the blocks that are due; return the new tip."""
        if seconds < 0:
            raise ValueError("time does not go backwards")
        with self.lock:
            if self.frozen:
                self._frozen_at = self.now() + seconds
            else:
                self._skew += seconds
            super().catch_up()
            return self.chain.tip

    def set_nodes(self, nodes: int) -> None:
        """Change the number of nodes from now on."""
        if nodes < 0:
            raise ValueError("a network has no fewer than 0 nodes")
        with self.lock:
            self.nodes = nodes
            self.network.resized()

    def broadcast(self, tx: Tx) -> Tx:
        """Let a payment wait in the mempool for the next block."""
        self.mempool.append(tx)
        return tx

    def add(self, tx: Tx, height: int) -> Tx:
        """Put a payment into a block that exists already."""
        with self.lock:
            self._place(tx, height)
        return tx

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
            side.registry.by_key = {key: dict(messages) for key, messages in self.registry.by_key.items()}
            side.stories = copy.deepcopy(self.stories, {id(self.chain): side.chain, id(self.catalogue): self.catalogue})
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

    def reveal(self, *message_hashes: str) -> None:
        """Let the registry know messages (all that come later, when none is named)."""
        for message_hash, (_, tx) in self.registry.by_hash.items():
            if message_hash in message_hashes or (not message_hashes and tx.known == Known.LATER):
                tx.known = Known.YES
        self.registry.touch()
