"""Define typed records of upstream answers, app terms (docs/upstream.md#app-terms) and the chain source protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

TIERS = ("CUMULUS", "NIMBUS", "STRATUS")
FORK_HEIGHT = 2_020_000  # from here on a block every 30 s, before every 120 s
OLD_SECONDS, NEW_SECONDS = 120, 30
OLD_TERM, NEW_TERM = 22_000, 88_000  # default blocks that an app runs
FORK_FACTOR = OLD_SECONDS // NEW_SECONDS
LAST_IN_BLOCKS = 8  # version above which a term is a duration
MOST_BLOCKS = 2**31 - 1
SHORTEST_S, LONGEST_S = 3_600, 3 * 365 * 86_400


class Unit(StrEnum):
    BLOCKS = "blocks"
    SECONDS = "seconds"


class Term(NamedTuple):
    """Term of an app from the block of its newest message."""

    amount: int
    unit: Unit


def read_term(version: int, expire: object, ttl: object, height: int | None) -> Term | None:
    """Return the term in a message's specification at this height, None if not known.

    Versions 1 to 8: `expire` counts blocks; if missing or 0, the default of its time applies. Above: `expire` or `ttl`
    counts seconds, if they agree on a plausible duration; anything else is never read as blocks.
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
    """Return the end block of an app paid in blocks, with its newest message at this height.

    Before the fork, apps were paid in blocks of 120 s, so their blocks after the fork count four times.
    """
    end = height + blocks
    if height < FORK_HEIGHT < end:
        end = FORK_HEIGHT + FORK_FACTOR * (end - FORK_HEIGHT)
    return end


def _numbers(*values: object) -> set[int] | None:
    """Return the whole numbers above 0, None if any value is neither that nor absent."""
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

    @property
    def counted(self) -> int:
        """Return the last block as the source counts: confirmations are counted from there."""
        return self.height + self.ahead


@dataclass(frozen=True, slots=True)
class Block:
    """A block and its own time. `hash` is empty if the source omits it."""

    height: int
    time: datetime
    hash: str = ""


@dataclass(frozen=True, slots=True)
class TxInput:
    """One input of a transaction. `address` is None if the source omits it."""

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
    """A transaction as reported by a source. `height` is -1 and `block_hash` empty while unconfirmed."""

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
    """A transaction in a listing that could not be parsed."""

    txid: str
    height: int | None
    detail: str
    time: datetime | None = None
    """Of its block; None where that could not be understood either."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All transactions that touch an address in blocks `low` to `high`, inclusive.

    A source may return less than requested: `high` is the end it covered, never below `low`.
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
    """The newest transactions of an address, mempool first: one page of a listing."""

    transactions: tuple[ChainTx, ...]
    unreadable: int
    """Rows that could not be understood."""
    is_cut: bool
    """Whether the page was full, so that there may be more."""


@dataclass(frozen=True, slots=True)
class AppMessage:
    """The part of an app message needed by the ledger, never its specification (other people's secrets)."""

    hash: str
    app_name: str
    is_git: bool


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """Nodes by tier, as counted by the daemon."""

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
    """A container of an app. `image` is its normalised name with the tag, None if not public."""

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
    """The registered apps, and the number of rows without a usable name."""

    apps: tuple[AppSpecification, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A node confirmed by the chain. Its address and port are used but never stored."""

    collateral: str
    """The output that it rests on, as `txid:index`: what names a node for good."""
    tier: str
    address: str
    """Empty where the list does not tell it."""
    payment_address: str | None
    pubkey: str | None


@dataclass(frozen=True, slots=True)
class NodeList:
    """Every confirmed node once. `left_out`: rows that are not nodes; `repeated`: further rows of a node."""

    nodes: tuple[ListedNode, ...]
    rows: int
    left_out: int
    repeated: int


class Instance(NamedTuple):
    """An app running on a node. `hash` is that of the message with its specification."""

    name: str
    hash: str | None


@dataclass(frozen=True, slots=True)
class Locations:
    """The running instances: at most one per app and node. A node that left lingers up to 125 minutes."""

    instances: tuple[Instance, ...]
    rows: int
    left_out: int
    repeated: int


class DeploymentPrice(NamedTuple):
    """FLUX per month and three instances, for registrations from `height` on. None: not reported.

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
    """Distinct prices to deploy an app in order of height, and the limits of an app by name."""

    prices: tuple[DeploymentPrice, ...]
    limits: Mapping[str, int]
    left_out: int


class ChainSource(Protocol):
    """A source of blocks and transactions. Each call raises an UpstreamError without a valid answer."""

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
    """A source with its own address index that lists bare txids cheaply, for a second opinion."""

    def tip(self) -> Tip: ...

    def block_hash(self, height: int) -> str: ...

    def txids(self, address: str, low: int, high: int) -> list[str]: ...
