"""The parts of the simulated network: transactions, addresses, heights and times, answers.

The tracked addresses are real; the others are made up and have valid checksums. A block takes 120 seconds before the
fork and 30 after it (docs/upstream.md#chain).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from fluxtracker.simnet.base58 import ALPHABET, T1, T3, checksum
from fluxtracker.simnet.catalogue import App


class Known(StrEnum):
    """Whether the app registry knows the message behind a payment."""

    YES = "yes"
    LATER = "later"  # after some blocks
    NEVER = "never"
    SPECIFICATION = "specification"  # only globalappsspecifications has it


class Act(StrEnum):
    """Effect of a payment's message on its app, or the intended one until `Stories` decides."""

    USUAL = "usual"
    FREE = "free"  # a change that costs 0.02 FLUX
    UNDERPAID = "underpaid"
    NEW = "new"
    REREGISTERED = "reregistered"
    WON_BACK = "won_back"
    RENEWAL = "renewal"
    CHANGE = "change"
    SHORTENED = "shortened"
    CANCELLED = "cancelled"
    IGNORED = "ignored"


class Input(NamedTuple):
    """An output that a transaction spends. `named`: Blockbook and a daemon name its address."""

    address: str | None
    txid: str
    vout: int
    sat: int
    named: bool = True
    found: bool = True
    """Whether the sources know the spent transaction."""
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
    """One transaction; `height` is -1 in the mempool."""

    txid: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    height: int = -1
    app: App | None = None
    message_hash: str = ""
    known: Known = Known.YES
    act: str = ""
    """An `Act`; empty where a test made the message, which has no story."""
    registers: bool | None = None
    """Whether its message is a registration, else an update; None: as it is the first of its app or not."""
    known_from: int = 0
    """Height of the tip from which the registry knows a message that is `Known.LATER`."""
    version: int = 4
    rendered: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Blockbook's JSON before and after the confirmations, by the address of the list."""

    def addresses(self) -> set[str]:
        """Return the addresses whose lists hold this transaction."""
        found = {o.address for o in self.outputs if o.address}
        return found | {i.address for i in self.inputs if i.address and i.named}


class Message(NamedTuple):
    """An app message: the app, and the payment that carries the hash of the message."""

    app: App
    tx: Tx


FORK_HEIGHT = 2_020_000
FORK_TIME = 1_761_415_235  # 2025-10-25T18:00:35Z
OLD_SECONDS, NEW_SECONDS = 120, 30


def time_of(height: int) -> int:
    """Return the Unix seconds of a block of the history."""
    past = height - FORK_HEIGHT
    return FORK_TIME + past * (NEW_SECONDS if past >= 0 else OLD_SECONDS)


def height_at(seconds: float) -> int:
    """Return the last block at or before an instant."""
    past = int(seconds) - FORK_TIME
    return FORK_HEIGHT + past // (NEW_SECONDS if past >= 0 else OLD_SECONDS)


def expiry(app: App, height: int) -> int:
    """Return the block at which a specification of versions 1 to 8 ends (docs/upstream.md#app-terms)."""
    default = 22_000 if height < FORK_HEIGHT else 88_000
    end = height + (app.expire if app.version >= 6 else default)
    if height < FORK_HEIGHT < end:
        end = FORK_HEIGHT + 4 * (end - FORK_HEIGHT)
    return end


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def day_of(seconds: float) -> date:
    return utc(seconds).date()


MAIN = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"
MIDDLE = "t3aGJvdtd8NR6GrnqnRuVEzH6MbrXuJFLUX"
OLDEST = "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"
TRACKED = {OLDEST: 694_000, MIDDLE: 1_300_000, MAIN: 1_670_000}
"""Accepted app payment addresses and the height from which each is valid (docs/upstream.md#app-payments)."""

DEVELOPMENT = "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"
GATEWAY = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5"
TEAM = "t1gjUUxBpBeVC1sWwAFrtSsVCbSaFdZx8UY"
FUND = "t3hPu1YDeGUCp8m7BQCnnNUmRMJBa5RadyA"
FREE_FEE_SAT = 2_000_000
"""Payment by the development wallet for a free change of an app: no revenue."""


@lru_cache(maxsize=100_000)
def decode(address: str) -> bytes:
    """Return the prefix and hash of an address; raise ValueError for anything else."""
    if len(address) != 35 or not set(address) <= set(ALPHABET):
        raise ValueError("not a Flux address")
    number = 0
    for character in address:
        number = number * 58 + ALPHABET.index(character)
    raw = number.to_bytes(26)
    if raw[:2] not in (T1, T3) or checksum(raw[:22]) != raw[22:]:
        raise ValueError("not a Flux address")
    return raw[:22]


def is_valid(address: str) -> bool:
    try:
        decode(address)
    except ValueError:
        return False
    return True


def script(address: str) -> str:
    """Return the output script that pays an address, in hex."""
    raw = decode(address)
    if raw[:2] == T3:
        return f"a914{raw[2:].hex()}87"
    return f"76a914{raw[2:].hex()}88ac"


def push(data: bytes) -> str:
    """Return the OP_RETURN script that carries data, in hex, with the shortest push that fits."""
    size = len(data)
    if size < 0x4C:
        head = bytes([0x6A, size])
    elif size <= 0xFF:
        head = bytes([0x6A, 0x4C, size])
    else:
        head = bytes([0x6A, 0x4D]) + size.to_bytes(2, "little")
    return (head + data).hex()


JSON = "application/json; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """Status, body and headers; a body that is an iterator is sent in chunks."""

    body: bytes | Iterator[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


def json(data: Any, status: int = 200) -> Answer:
    return Answer(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS), status)


def success(data: Any) -> Answer:
    """Answer in the envelope of FluxOS."""
    return json({"status": "success", "data": data})


def failure(message: str, code: int | None = None) -> Answer:
    """Answer as FluxOS does for an error: with HTTP 200."""
    data: dict[str, Any] = {} if code is None else {"code": code}
    return json({"status": "error", "data": data | {"name": "Error", "message": message}})


def whole(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a number of the query, or the default if missing or invalid."""
    try:
        return int(query.get(name, default))
    except ValueError:
        return default
