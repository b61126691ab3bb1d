"""Post a JSON body to an https address on the public internet, and nowhere else.

All addresses of the host must be public, and the connection goes to a checked address, which prevents DNS
rebinding. Redirects are checked the same way. Errors and logs contain only the host, as a webhook's path is its
secret. Proxies from the environment are not used.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import structlog
from requests.utils import DEFAULT_CA_BUNDLE_PATH

GLOBAL_UNICAST = IPv6Network("2000::/3")
TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address


def is_public(address: str) -> bool:
    """Return whether it is a public unicast address. One that wraps an IPv4 address counts as that address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    if getattr(parsed, "scope_id", None):
        return False
    wrapped = _wrapped(parsed)
    if wrapped is not None:
        return _is_public_v4(wrapped)
    return parsed in GLOBAL_UNICAST and parsed.is_global and not parsed.is_private and parsed.teredo is None


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_private)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address contained in this one."""
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0  # per attempt: name, connection, TLS, redirects, response
TRIES = 3
PAUSE_S = 1.0  # between attempts, doubled each time
MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 307, 308)
TRY_AGAIN = (408, 429)
GATEWAY_LATE = (504, 524)  # a proxy forwarded it and got no answer (524: Cloudflare)

Resolve = Callable[[str, int], list[str]]
Connect = Callable[[tuple[str, int], float], socket.socket]


class NotDelivered(Exception):
    """Delivery of a message was not confirmed; the text names only the host.

    `again`: whether a retry may help at once. `maybe`: whether it may have been delivered.
    """

    def __init__(self, reason: str, *, again: bool = False, maybe: bool = False) -> None:
        super().__init__(f"{reason}; it may have been delivered" if maybe else reason)
        self.again = again and not maybe
        self.maybe = maybe


def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of the host."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook's URL, and how to reach it."""

    url: str
    timeout: float = TIMEOUT_S
    resolve: Resolve = resolve
    connect: Connect = socket.create_connection
    sleep: Callable[[float], None] = time.sleep
    tls: ssl.SSLContext = field(default_factory=lambda: trusting())

    def post(self, body: Mapping[str, Any], delivery_id: str) -> None:
        """Deliver it in at most three attempts of 5 s, stopping after one that may have succeeded.

        Raise NotDelivered.
        """
        data, pause = json.dumps(body).encode(), PAUSE_S
        for number in range(1, TRIES + 1):
            try:
                return _Try(self, data, delivery_id).run()
            except NotDelivered as failed:
                log.info("webhook_try_failed", host=urlsplit(self.url).hostname, number=number, reason=str(failed))
                if number == TRIES or not failed.again:
                    raise
            self.sleep(pause)
            pause *= 2
        return None


class _Try:
    """One attempt, in a thread, so that slow name servers and dripping responses cannot exceed the timeout."""

    def __init__(self, webhook: Webhook, data: bytes, delivery_id: str) -> None:
        self._webhook, self._data, self._delivery_id = webhook, data, delivery_id
        self._socket: socket.socket | None = None
        self._outcome: list[NotDelivered | None] = []
        self._late = False
        self._is_sent = False
        """Whether the body was sent and not answered yet."""

    def run(self) -> None:
        thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        thread.start()
        thread.join(self._webhook.timeout)
        if not self._outcome:
            late = self._late_answer()  # first: a response cut off below looks complete
            self._give_up()
            raise late
        failed = self._outcome[0]
        if failed is not None:
            raise failed

    def _late_answer(self) -> NotDelivered:
        return NotDelivered(f"no answer within {self._webhook.timeout:g} s", again=True, maybe=self._is_sent)

    def _give_up(self) -> None:
        self._late = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _work(self) -> None:
        try:
            self._deliver(self._webhook.url)
            self._outcome.append(None)
        except NotDelivered as failed:
            self._outcome.append(failed)
        except ssl.SSLCertVerificationError:
            self._outcome.append(NotDelivered("its certificate is not valid for it"))
        except TimeoutError:
            self._outcome.append(self._late_answer())
        except (OSError, http.client.HTTPException) as error:
            words = f"the connection failed ({type(error).__name__})"
            self._outcome.append(NotDelivered(words, again=True, maybe=self._is_sent))
        except Exception as error:
            # Anything else is a bug; its text may contain the URL.
            words = f"it could not be sent ({type(error).__name__})"
            self._outcome.append(NotDelivered(words, maybe=self._is_sent))

    def _deliver(self, url: str) -> None:
        for _ in range(MAX_REDIRECTS + 1):
            status, location = self._ask(url)
            if status not in REDIRECTS:
                return _judge(status)
            url = urljoin(url, location)
        raise NotDelivered(f"more than {MAX_REDIRECTS} redirects")

    def _ask(self, url: str) -> tuple[int, str]:
        """Return the status of the response, and its redirect target."""
        parts, port = _checked(url)
        host = parts.hostname or ""
        addresses = self._public_addresses(host, port)
        if self._late:
            raise TimeoutError
        raw = self._connected(addresses, port)
        with raw, self._webhook.tls.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False) as secure:
            self._socket = secure
            if self._late:
                raise TimeoutError
            secure.do_handshake()
            connection = http.client.HTTPSConnection(host, port)
            connection.sock = secure
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, self._data, _headers(self._delivery_id))
            self._is_sent = True
            response = connection.getresponse()
            self._is_sent = False
            return response.status, response.getheader("Location") or ""

    def _connected(self, addresses: list[str], port: int) -> socket.socket:
        """Return a connection to the first address that accepts one."""
        wait = self._webhook.timeout / len(addresses)
        for address in addresses[:-1]:
            with suppress(OSError):
                return self._webhook.connect((address, port), wait)
        return self._webhook.connect((addresses[-1], port), wait)

    def _public_addresses(self, host: str, port: int) -> list[str]:
        """Return the host's addresses, which must all be public."""
        try:
            addresses = self._webhook.resolve(host, port)
        except (OSError, UnicodeError):
            raise NotDelivered(f"the name {host} is not known", again=True) from None
        private = [address for address in addresses if not is_public(address)]
        if private or not addresses:
            raise NotDelivered(f"{host} is not on the public internet ({', '.join(private) or 'no address'})")
        return addresses


def trusting() -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and those of our other clients."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def _checked(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise NotDelivered("it leads to what is no address") from None
    if parts.scheme != "https" or not parts.hostname:
        raise NotDelivered("it leads to an address that is not https")
    return parts, port


def _headers(delivery_id: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "fluxtracker",
        "Connection": "close",
        "X-Fluxtracker-Delivery": delivery_id,
    }


def _judge(status: int) -> None:
    if not 200 <= status < 300:
        raise NotDelivered(f"HTTP {status}", again=status >= 500 or status in TRY_AGAIN, maybe=status in GATEWAY_LATE)
