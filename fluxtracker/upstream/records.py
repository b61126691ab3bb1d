"""Typed records of what the chain's sources answer. Past this package nobody sees their dicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fluxtracker.terms import Term


@dataclass(frozen=True, slots=True)
class Tip:
    """The last block of a source."""

    height: int
    hash: str
    source: str
    """Host that told it."""
    behind: int = 0
    """Blocks that the source's own node has and its index has not yet."""


@dataclass(frozen=True, slots=True)
class Block:
    """When a block was made, by its own clock. `hash` is empty where it is not told."""

    height: int
    time: datetime
    hash: str = ""


@dataclass(frozen=True, slots=True)
class TxInput:
    """What a transaction spends. `address` is None where the source does not tell it."""

    address: str | None
    previous_txid: str | None
    previous_vout: int
    coinbase: bool = False


@dataclass(frozen=True, slots=True)
class TxOutput:
    """What a transaction pays. `address` is None for odd scripts and OP_RETURN."""

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
    """What the transaction says to FluxOS: data of the last output with a script, where that is an OP_RETURN."""


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
class AppMessage:
    """What the ledger needs of an app message: never its specification (other people's secrets)."""

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
    """What the daemon says they add up to; None where it does not say."""

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
    """What is public of an app. Never its environment parameters, contacts or owner."""

    name: str
    version: int
    hash: str | None
    """Of the newest message that registered or changed it."""
    height: int | None
    """Block of that message."""
    term: Term | None
    """How long it was paid for; None where that is not known (docs/upstream.md#app-terms)."""
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
