"""Define typed records of upstream answers, app terms (docs/upstream.md#app-terms) and the chain source protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

TIERS = ("CUMULUS", "NIMBUS", "STRATUS")
FORK_HEIGHT = 2_020_000  # from here on a block comes every 30 s, before it came every 120 s
OLD_SECONDS, NEW_SECONDS = 120, 30
OLD_TERM, NEW_TERM = 22_000, 88_000  # blocks an app runs when its specification does not say
FORK_FACTOR = OLD_SECONDS // NEW_SECONDS
LAST_IN_BLOCKS = 8  # the version; above it a term is a duration
MOST_BLOCKS = 2**31 - 1
SHORTEST_S, LONGEST_S = 3_600, 3 * 365 * 86_400


class Unit(StrEnum):
    BLOCKS = "blocks"
    SECONDS = "seconds"


class Term(NamedTuple):
    """Term of an app from the block of its newest message on."""

    amount: int
    unit: Unit


def read_term(version: int, expire: object, ttl: object, height: int | None) -> Term | None:
    """Return the term that the specification of a message at this height says; None where that is not known.

    Versions 1 to 8: `expire` counts blocks; where it is missing or 0, the default of its time holds. Above: `expire`
    or `ttl` counts seconds, where they agree on a plausible duration; anything else is never taken for blocks.
    """
    if version > LAST_IN_BLOCKS:
        lengths = _numbers(expire, ttl)
        seconds = lengths.pop() if lengths and len(lengths) == 1 else 0
        return Term(seconds, Unit.SECONDS) if SHORTEST_S <= seconds <= LONGEST_S else None
    lengths = _numbers(expire)
    if version < 1 or height is None or lengths is None:
        return None
    return Term(lengths.pop() if lengths else OLD_TERM if height < FORK_HEIGHT else NEW_TERM, Unit.BLOCKS)


def end_height(height: int, blocks: int) -> int:
    """Return the end block of an app whose newest message is of that height and that was paid for in blocks.

    An app of before the fork was paid in blocks of 120 s: its blocks after the fork count four times.
    """
    end = height + blocks
    if height < FORK_HEIGHT < end:
        end = FORK_HEIGHT + FORK_FACTOR * (end - FORK_HEIGHT)
    return end


def _numbers(*values: object) -> set[int] | None:
    """Return the whole numbers above 0; None where a value is neither one nor absent."""
    if any(value is not None and (type(value) is not int or not 0 <= value <= MOST_BLOCKS) for value in values):
        return None
    return {value for value in values if isinstance(value, int)} - {0}


@dataclass(frozen=True, slots=True)
class Tip:
    """The last block of a source."""

    height: int
    hash: str
    source: str
    """Host of the source."""
    behind: int = 0
    """Blocks that the source's own node has and its index has not yet."""
    ahead: int = 0
    """Blocks that the source counts above this one: they confirm payments, and not every node has them yet."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block and its time, by its own clock. `hash` is empty where the source leaves it out."""

    height: int
    time: datetime
    hash: str = ""


@dataclass(frozen=True, slots=True)
class TxInput:
    """One input of a transaction. `address` is None where the source leaves it out."""

    address: str | None
    previous_txid: str | None
    previous_vout: int
    coinbase: bool = False


@dataclass(frozen=True, slots=True)
class TxOutput:
    """One output of a transaction. `address` is None for odd scripts and OP_RETURN."""

    n: int
    value_sat: int
    address: str | None


@dataclass(frozen=True, slots=True)
class ChainTx:
    """A transaction as a source tells it. `height` is -1 and `block_hash` empty while it is unconfirmed."""

    txid: str
    height: int
    block_hash: str
    block_time: datetime
    confirmations: int
    inputs: tuple[TxInput, ...]
    outputs: tuple[TxOutput, ...]
    op_return: bytes | None
    """Message to FluxOS: data of the last output with a script, where that is an OP_RETURN."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A transaction of a listing that could not be understood."""

    txid: str
    height: int | None
    detail: str
    time: datetime | None = None
    """Of its block; None where that could not be understood either."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All transactions that touch an address in the blocks `low` to `high`, both included.

    A source may answer less than was asked: `high` is what it really covered, never below `low`.
    """

    address: str
    low: int
    high: int
    transactions: tuple[ChainTx, ...]
    unreadable: tuple[Unreadable, ...]
    total: int | None
    """Transactions of the address over its whole history, None where the source does not count them."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest transactions of an address, those that wait in the mempool first: one page of a listing."""

    transactions: tuple[ChainTx, ...]
    unreadable: int
    """Rows that could not be understood."""
    is_cut: bool
    """Whether the page was full, so that there may be more."""


@dataclass(frozen=True, slots=True)
class AppMessage:
    """Part of an app message that the ledger needs: never its specification (other people's secrets)."""

    hash: str
    app_name: str
    is_git: bool


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """The nodes of each tier, as the daemon counts them."""

    cumulus: int
    nimbus: int
    stratus: int
    told_total: int | None
    """Their sum by the daemon; None where it leaves it out."""

    @property
    def total(self) -> int:
        return self.cumulus + self.nimbus + self.stratus


@dataclass(frozen=True, slots=True)
class AppComponent:
    """A container that an app asks for. `image` is its one name with the tag; None where it is not public."""

    name: str
    image: str | None


@dataclass(frozen=True, slots=True)
class AppSpecification:
    """Public part of an app. Never its environment parameters, contacts or owner."""

    name: str
    version: int
    hash: str | None
    """Of the newest message that registered or changed it."""
    height: int | None
    """Block of that message."""
    term: Term | None
    """Term it was paid for; None where that is not known (docs/upstream.md#app-terms)."""
    instances: int | None
    encrypted: bool
    flat: bool
    """One container without a component's name: versions 1 to 3."""
    components: tuple[AppComponent, ...]
    """Empty while encrypted."""


@dataclass(frozen=True, slots=True)
class AppSpecifications:
    """The apps that are registered now, and how many rows told no usable name."""

    apps: tuple[AppSpecification, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A node that the chain knows as confirmed. Its address, with the port, is used and never stored."""

    collateral: str
    """The output that it rests on, as `txid:index`: what names a node for good."""
    tier: str
    address: str
    """Empty where the list does not tell it."""
    payment_address: str | None
    pubkey: str | None


@dataclass(frozen=True, slots=True)
class NodeList:
    """Every confirmed node once. `left_out`: rows that are no node; `repeated`: further rows of a node."""

    nodes: tuple[ListedNode, ...]
    rows: int
    left_out: int
    repeated: int


class Instance(NamedTuple):
    """An app that runs on one node. `hash` is that of the message whose specification it runs."""

    name: str
    hash: str | None


@dataclass(frozen=True, slots=True)
class Locations:
    """The running instances: at most one of an app for each node. A node that is gone lingers up to 125 minutes."""

    instances: tuple[Instance, ...]
    rows: int
    left_out: int
    repeated: int


class DeploymentPrice(NamedTuple):
    """FLUX for a month and three instances, for what is registered from `height` on. None: not told.

    `cpu` is for 0.1 core, `ram` for 100 MB, `hdd` for 1 GB; the others are fees.
    """

    height: int
    cpu: float | None
    ram: float | None
    hdd: float | None
    min_price: float | None
    port: float | None
    scope: float | None
    static_ip: float | None


@dataclass(frozen=True, slots=True)
class DeploymentTerms:
    """Prices to deploy an app, each once and in order of height, and the limits of an app by name."""

    prices: tuple[DeploymentPrice, ...]
    limits: Mapping[str, int]
    left_out: int


class ChainSource(Protocol):
    """A source of blocks and transactions. Each call raises an UpstreamError where it has no good answer."""

    name: str
    host: str

    def tip(self) -> Tip: ...

    def block_hash(self, height: int) -> str: ...

    def block(self, height: int) -> Block: ...

    def total(self, address: str) -> int | None: ...

    def listing(self, address: str, low: int, high: int) -> Listing: ...

    def transaction(self, txid: str) -> ChainTx: ...


@runtime_checkable
class TxidIndex(Protocol):
    """A source with an address index of its own that lists bare txids cheaply: the second opinion."""

    def tip(self) -> Tip: ...

    def block_hash(self, height: int) -> str: ...

    def txids(self, address: str, low: int, high: int) -> list[str]: ...
