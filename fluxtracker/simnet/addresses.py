"""Flux addresses: the real ones of the fact sheet, and made-up ones with valid checksums."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
T1, T3 = bytes.fromhex("1cb8"), bytes.fromhex("1cbd")

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
"""What the development wallet pays for a free change of an app: no revenue."""


def made_up(name: str) -> str:
    """A t1 address that belongs to nobody, always the same for one name."""
    return _encode(T1 + sha256(name.encode()).digest()[:20])


def _encode(payload: bytes) -> str:
    number = int.from_bytes(payload + _checksum(payload), "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(payload: bytes) -> bytes:
    return sha256(sha256(payload).digest()).digest()[:4]


@lru_cache(maxsize=100_000)
def decode(address: str) -> bytes:
    """Prefix and hash behind an address. ValueError when it is none."""
    if len(address) != 35 or not set(address) <= set(ALPHABET):
        raise ValueError("not a Flux address")
    number = 0
    for character in address:
        number = number * 58 + ALPHABET.index(character)
    raw = number.to_bytes(26, "big")
    if raw[:2] not in (T1, T3) or _checksum(raw[:22]) != raw[22:]:
        raise ValueError("not a Flux address")
    return raw[:22]


def is_valid(address: str) -> bool:
    try:
        decode(address)
    except ValueError:
        return False
    return True


def script(address: str) -> str:
    """The output script that pays an address, in hex."""
    raw = decode(address)
    if raw[:2] == T3:
        return f"a914{raw[2:].hex()}87"
    return f"76a914{raw[2:].hex()}88ac"


def push(data: bytes) -> str:
    """The OP_RETURN script that carries data, in hex, with the shortest push that fits."""
    size = len(data)
    if size < 0x4C:
        head = bytes([0x6A, size])
    elif size <= 0xFF:
        head = bytes([0x6A, 0x4C, size])
    else:
        head = bytes([0x6A, 0x4D]) + size.to_bytes(2, "little")
    return (head + data).hex()
