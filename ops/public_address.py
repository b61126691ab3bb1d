"""Which addresses are somebody else's machine on the public internet: nothing of ours, nothing beside us."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address, IPv6Network

GLOBAL_UNICAST = IPv6Network("2000::/3")
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Whether it is a public unicast address. What wraps an IPv4 address counts as that address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return _is_public_v4(found)
    if getattr(found, "scope_id", None):
        return False
    wrapped = _wrapped(found)
    if wrapped is not None:
        return _is_public_v4(wrapped)
    return found in GLOBAL_UNICAST and found.is_global and not found.is_private and found.teredo is None


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_private)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that this one stands for."""
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
