"""Who sends a request: one notion of a client for the limits, signing in and the audit log."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from django.http import HttpRequest

NEAR = tuple(  # where a proxy of ours may be; `is_private` would be too wide
    map(ipaddress.ip_network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"))
)
FORWARDING = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "X-Forwarded-Host")
MOST_HOPS = 20  # of X-Forwarded-For that are read, from its end
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str | None:
    """Return the address of the client. None for a direct client on this machine.

    A proxy of ours (loopback or a private network) writes the client to the end of X-Forwarded-For; further proxies
    of ours may follow it, and all before it is hearsay. Where something else than an address stands in its place, the
    peer is the client: rubbish never makes a new one.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    known = _parsed(peer)
    if not any(name in request.headers for name in FORWARDING):
        is_this_machine = known.is_loopback if known else not peer
        return None if is_this_machine else str(known or peer)
    return str((_told(request) if is_near(peer) else None) or known or peer)


def client_of(address: str) -> str:
    """Return the client that an address belongs to: the IPv4 address, also one inside an IPv6 address, else the /64."""
    known = _parsed(address)
    if not isinstance(known, IPv6Address):
        return str(known or address)
    if known in TRANSLATED:
        return str(IPv4Address(int(known) & 0xFFFFFFFF))
    return str(known.sixtofour or IPv6Address(int(known) >> 64 << 64))


def is_near(peer: str) -> bool:
    """Whether a proxy of ours may be there. A Unix socket has no address."""
    known = _parsed(peer)
    return _is_near(known) if known else not peer


def _told(request: HttpRequest) -> Address | None:
    """The last address that is not a proxy's; None where something else stands in its place."""
    told = request.headers.get("X-Forwarded-For", "") or request.headers.get("X-Real-IP", "")
    hops = [_parsed(word.strip()) for word in told.rsplit(",", MOST_HOPS)[-MOST_HOPS:]]
    hops = [None if getattr(hop, "scope_id", None) else hop for hop in hops]  # a zone is this machine's own
    return next((hop for hop in reversed(hops) if hop is None or not _is_near(hop)), hops[-1])


def _is_near(address: Address) -> bool:
    return any(address in network for network in NEAR)


def _parsed(text: str) -> Address | None:
    """None: not an address. A dual-stack listener writes IPv4 peers as IPv6 ones."""
    try:
        known = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known
