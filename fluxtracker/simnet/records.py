"""What the simulated chain is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from fluxtracker.simnet.catalogue import App


class Known(StrEnum):
    """What the app registry knows of the message behind a payment."""

    YES = "yes"
    LATER = "later"  # after some blocks, or when `World.reveal` says so
    NEVER = "never"
    SPECIFICATION = "specification"  # only globalappsspecifications has it


class Input(NamedTuple):
    """What a transaction spends. `told` says whether Blockbook and a daemon name the address."""

    address: str | None
    txid: str
    vout: int
    sat: int
    told: bool = True
    found: bool = True
    """Whether the sources know the transaction that is spent."""
    coinbase: bool = False


class Output(NamedTuple):
    address: str | None
    sat: int
    data: bytes | None = None
    """Bytes of an OP_RETURN output."""
    script: str | None = None
    """The script in hex, where it is not the usual one for the address or the data. Empty: there is none."""


@dataclass(slots=True, eq=False)
class Tx:
    """One transaction; `height` is -1 while no block holds it."""

    txid: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    height: int = -1
    app: App | None = None
    message_hash: str = ""
    known: Known = Known.YES
    known_from: int = 0
    """Height of the tip from which the registry knows a message that is `Known.LATER`."""
    version: int = 4
    rendered: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Blockbook's JSON before and behind the confirmations, by the address that was asked for."""

    def addresses(self) -> set[str]:
        """Every address the index files this transaction under."""
        found = {o.address for o in self.outputs if o.address}
        return found | {i.address for i in self.inputs if i.address and i.told}


class Message(NamedTuple):
    """An app message: what it says of which app, and the payment that carries its hash."""

    app: App
    tx: Tx


class TruthRow(NamedTuple):
    """One output that is revenue, by the meanings of the contract."""

    txid: str
    vout: int
    address: str
    amount_sat: int
    height: int
    from_address: str | None
    message_hash: str
