"""The app registry: messages behind payments, a crowd of older messages, current specifications."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import ceil
from typing import Any

import orjson

from fluxtracker.simnet import clock
from fluxtracker.simnet.addresses import TRACKED
from fluxtracker.simnet.catalogue import App, Catalogue
from fluxtracker.simnet.chain import Chain
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Known, Message, Tx

LEGACY_BELOW = 1_000_000  # older messages carry the keys of ZelCash's days
BATCH = 500  # records that are written at once
CROWD = 200  # different apps among the old messages


class Registry:
    """What the network's nodes know of app messages at the tip they have."""

    def __init__(self, chain: Chain, catalogue: Catalogue, old_messages: int) -> None:
        self.chain = chain
        self.catalogue = catalogue
        self.old_messages = old_messages
        self.by_hash: dict[str, Message] = {}
        self.lingering: set[str] = set()
        """Apps whose specification is still listed after their end (docs/upstream.md#apps)."""
        self.leftover: list[str] = []
        """Apps that have ended, are not listed, and still run."""
        self.crowd: set[str] = set()
        self.edition = 0
        """Grows whenever `current` changes."""
        self._changes = 0
        self._current: dict[str, Message] = {}
        self._current_of: tuple[int, int] = (-1, -1)
        self._bodies: dict[str, bytes] = {}

    def add(self, tx: Tx) -> None:
        """Remember the message of a payment; it stays when a reorganisation takes the payment away."""
        if tx.message_hash and tx.app:
            self.by_hash[tx.message_hash] = Message(tx.app, tx)
            self.touch()

    def touch(self) -> None:
        """What is known has changed."""
        self._changes += 1

    def knows(self, tx: Tx) -> bool:
        return tx.known == Known.YES or (tx.known == Known.LATER and self.chain.tip >= tx.known_from)

    def known(self) -> list[Message]:
        return [message for message in self.by_hash.values() if self.knows(message.tx)]

    def find(self, message_hash: str) -> Message | None:
        message = self.by_hash.get(message_hash)
        return message if message and self.knows(message.tx) else None

    def record(self, message: Message) -> bytes:
        """A permanentmessages record (docs/upstream.md#app-messages)."""
        tx = message.tx
        paid = sum(o.sat for o in tx.outputs if o.address in TRACKED)
        height = max(tx.height, 0)
        return self._record(message.app, tx.message_hash, tx.txid, height, self.chain.time(height), paid)

    def _record(self, app: App, message_hash: str, txid: str, height: int, seconds: int, sat: int) -> bytes:
        kind = "update" if int(message_hash[0], 16) > 3 else "register"
        family, key = ("zelapp", "zelAppSpecifications") if self._is_legacy(message_hash) else ("fluxapp", "")
        return b'{"type":"%b","version":1,"%b":%b,"hash":"%b","timestamp":%d,"signature":"%b","txid":"%b",' % (
            f"{family}{kind}".encode(),
            (key or "appSpecifications").encode(),
            self._body(app),
            message_hash.encode(),
            seconds * 1000 - 61_483,
            b"H" + message_hash[:40].encode() * 2 + b"=",
            txid.encode(),
        ) + b'"height":%d,"valueSat":%d}' % (height, sat)

    def _is_legacy(self, message_hash: str) -> bool:
        return message_hash.startswith("00")

    def _body(self, app: App) -> bytes:
        body = self._bodies.get(app.name)
        if body is None:
            body = self._bodies[app.name] = orjson.dumps(app.specification())
        return body

    def dump(self) -> Iterator[bytes]:
        """All records with commas between them, in batches, about in the order of time."""
        records, comma = self._all(), b""
        while batch := list(islice(records, BATCH)):
            yield comma + b",".join(batch)
            comma = b","

    def _all(self) -> Iterator[bytes]:
        for number in range(self.old_messages):
            message_hash = digest(self.chain.seed, "old message", number)
            height = 694_307 + number * 18
            app = self.catalogue[1_000_000 + number % CROWD]
            yield self._record(app, message_hash, digest(message_hash), height, clock.time_of(height), 10**9)
        for message in self.known():
            yield self.record(message)

    def current(self) -> dict[str, Message]:
        """The latest message of each app that is listed, by app name. Do not change it."""
        now = (self.chain.tip, self._changes)
        if now != self._current_of:
            found = self._listed()
            self._current_of = now
            if found != self._current:
                self._current = found
                self.edition += 1
        return self._current

    def _listed(self) -> dict[str, Message]:
        latest = self.latest()
        return {name: m for name, m in latest.items() if name in self.lingering or self.has_time_left(m)}

    def latest_of(self, name: str) -> Message | None:
        found = [m for m in self.by_hash.values() if m.app.name == name and self.knows(m.tx)]
        return max(found, key=lambda message: message.tx.height, default=None)

    def hash_of(self, name: str) -> str:
        """The hash of an app's latest message, also when it is no longer listed."""
        message = self.current().get(name) or self.latest_of(name)
        return message.tx.message_hash if message else ""

    def has_time_left(self, message: Message) -> bool:
        end = self.end_of(message)
        return end is None or end >= self.chain.tip

    def end_of(self, message: Message) -> int | None:
        """The block at which an app ends; None where its term makes no sense: it is never taken off the list."""
        app, height = message.app, message.tx.height
        if app.version < 9:
            return expiry(app, height)
        if app.seconds is None:
            return None
        left = self.chain.time(height) + app.seconds - self.chain.time(self.chain.tip)
        return self.chain.tip + ceil(left / clock.NEW_SECONDS)

    def latest(self) -> dict[str, Message]:
        """The latest message of each app, ended or not."""
        latest: dict[str, Message] = {}
        for message in self.by_hash.values():
            tx = message.tx
            if tx.height > 0 and (self.knows(tx) or tx.known == Known.SPECIFICATION):
                before = latest.get(message.app.name)
                if before is None or before.tx.height <= tx.height:
                    latest[message.app.name] = message
        return latest


def specification(message: Message) -> dict[str, Any]:
    """A globalappsspecifications record."""
    found = message.app.specification()
    return found | {"hash": message.tx.message_hash, "height": message.tx.height}


def expiry(app: App, height: int) -> int:
    """The block at which a specification of versions 1 to 8 of that height ends (docs/upstream.md#app-terms)."""
    default = 22_000 if height < clock.FORK_HEIGHT else 88_000
    end = height + (app.expire if app.version >= 6 else default)
    if height < clock.FORK_HEIGHT < end:
        end = clock.FORK_HEIGHT + 4 * (end - clock.FORK_HEIGHT)
    return end
