"""Make deterministic addresses without an owner by name: of payments, app owners and newer logins."""

from __future__ import annotations

from hashlib import sha256

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
T1, T3 = bytes.fromhex("1cb8"), bytes.fromhex("1cbd")


def made_up(name: str) -> str:
    """Return a t1 address."""
    return encode(T1 + sha256(name.encode()).digest()[:20])


def zel_id(name: str) -> str:
    """Return an owner's address, which has the form of a Bitcoin address."""
    return "1" + encode(b"\0" + sha256(name.encode()).digest()[:20])


def ethereum(name: str) -> str:
    """Return an owner's address of the newer logins, in lower case."""
    return "0x" + sha256(name.encode()).hexdigest()[:40]


def encode(payload: bytes) -> str:
    number = int.from_bytes(payload + checksum(payload))
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def checksum(payload: bytes) -> bytes:
    return sha256(sha256(payload).digest()).digest()[:4]
