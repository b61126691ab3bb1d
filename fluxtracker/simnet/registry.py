"""The app registry: messages behind payments, many older messages, current specifications.

Further apps run without a payment in the world. Their messages are as old as the other ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import orjson

from fluxtracker.simnet import records
from fluxtracker.simnet.catalogue import RARE, TEMPLATES, App, Catalogue, Component, make_app
from fluxtracker.simnet.chain import Chain
from fluxtracker.simnet.history import FLUX, digest
from fluxtracker.simnet.records import MAIN, TRACKED, Known, Message, Output, Tx

BATCH = 500  # records that are written at once
OLD_APPS = 200  # different apps among the old messages
FURTHER_FROM = 3_000_000  # numbers of the further apps in the catalogue
BY_NAME = tuple(template for template in TEMPLATES if template.by_name and not template.site)
LONG = 264_000  # blocks


class Registry:
    """What the nodes of the network know of app messages at their tip."""

    def __init__(self, chain: Chain, catalogue: Catalogue, old_messages: int) -> None:
        self.chain = chain
        self.catalogue = catalogue
        self.old_messages = old_messages
        self.by_hash: dict[str, Message] = {}
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
        """Note that what is known has changed."""
        self._changes += 1

    def knows(self, tx: Tx) -> bool:
        return tx.known == Known.YES or (tx.known == Known.LATER and self.chain.tip >= tx.known_from)

    def known(self) -> list[Message]:
        return [message for message in self.by_hash.values() if self.knows(message.tx)]

    def find(self, message_hash: str) -> Message | None:
        message = self.by_hash.get(message_hash)
        return message if message and self.knows(message.tx) else None

    def record(self, message: Message) -> bytes:
        """Return a permanentmessages record (docs/upstream.md#app-messages)."""
        tx = message.tx
        paid = sum(o.sat for o in tx.outputs if o.address in TRACKED)
        height = max(tx.height, 0)
        return self._record(message.app, tx.message_hash, tx.txid, height, self.chain.time(height), paid)

    def _record(self, app: App, message_hash: str, txid: str, height: int, seconds: int, sat: int) -> bytes:
        kind = "update" if int(message_hash[0], 16) > 3 else "register"
        legacy = message_hash.startswith("00")  # written with the keys of ZelCash
        family, key = ("zelapp", "zelAppSpecifications") if legacy else ("fluxapp", "appSpecifications")
        if app.name not in self._bodies:
            self._bodies[app.name] = orjson.dumps(app.specification())
        return b'{"type":"%b","version":1,"%b":%b,"hash":"%b","timestamp":%d,"signature":"%b","txid":"%b",' % (
            f"{family}{kind}".encode(),
            key.encode(),
            self._bodies[app.name],
            message_hash.encode(),
            seconds * 1000 - 61_483,
            b"H" + message_hash[:40].encode() * 2 + b"=",
            txid.encode(),
        ) + b'"height":%d,"valueSat":%d}' % (height, sat)

    def dump(self) -> Iterator[bytes]:
        """Yield all records in batches with commas between them, about in the order of time."""
        rows, comma = self._all(), b""
        while batch := list(islice(rows, BATCH)):
            yield comma + b",".join(batch)
            comma = b","

    def _all(self) -> Iterator[bytes]:
        for number in range(self.old_messages):
            message_hash = digest(self.chain.seed, "old message", number)
            height = 694_307 + number * 18
            app = self.catalogue[1_000_000 + number % OLD_APPS]
            yield self._record(app, message_hash, digest(message_hash), height, records.time_of(height), 10**9)
        for message in self.known():
            yield self.record(message)

    def current(self) -> dict[str, Message]:
        """Return the latest message of each listed app, by app name. Do not change it."""
        now = (self.chain.tip, self._changes)
        if now != self._current_of:
            found = {name: message for name, message in self._latest().items() if self.is_listed(message)}
            self._current_of = now
            if found != self._current:
                self._current = found
                self.edition += 1
        return self._current

    def is_listed(self, message: Message) -> bool:
        end = self.end_of(message)
        return end is None or end >= self.chain.tip

    def end_of(self, message: Message) -> int | None:
        """Return the block at which an app ends; None for an app that is never taken off the list."""
        return expiry(message.app, message.tx.height)

    def _latest(self) -> dict[str, Message]:
        """Return the latest message of each app, ended or not."""
        latest: dict[str, Message] = {}
        for message in self.by_hash.values():
            tx = message.tx
            if tx.height > 0 and (self.knows(tx) or tx.known == Known.SPECIFICATION):
                before = latest.get(message.app.name)
                if before is None or before.tx.height <= tx.height:
                    latest[message.app.name] = message
        return latest


def specification(message: Message) -> dict[str, Any]:
    """Return a globalappsspecifications record."""
    found = message.app.specification()
    return found | {"hash": message.tx.message_hash, "height": message.tx.height}


def expiry(app: App, height: int) -> int:
    """Return the block at which a specification of versions 1 to 8 ends (docs/upstream.md#app-terms)."""
    default = 22_000 if height < records.FORK_HEIGHT else 88_000
    end = height + (app.expire if app.version >= 6 else default)
    if height < records.FORK_HEIGHT < end:
        end = records.FORK_HEIGHT + 4 * (end - records.FORK_HEIGHT)
    return end


def further_apps(seed: int, tip: int) -> Iterator[tuple[App, int]]:
    """Yield an app of each rare kind and of each kind that its name identifies, with the height of its message."""
    for number, template in enumerate(RARE + BY_NAME):
        app = make_app(random.Random(f"{seed}:peculiar:{number}"), FURTHER_FROM + number, (template,))
        hidden = template.site or bool(template.by_name)
        known = {part.name: part for part in app.components}
        parts = (known.get(name) or Component(name, tag, 0.5, 700, 5) for name, tag in template.components)
        yield (
            replace(
                app,
                version=8 if hidden else max(app.version, 4),
                encrypted=hidden,
                components=tuple(parts),
                instances=3,
                expire=LONG,
            ),
            tip - 3_000 - number * 700,
        )


def further_message(seed: int, app: App, height: int) -> Tx:
    """Return a payment that is not on the chain, with the message of a further app."""
    tx = Tx(digest(seed, "resident", app.name), (), (Output(MAIN, 10 * FLUX),), height=max(1, height), app=app)
    tx.message_hash = digest(seed, "resident message", app.name)
    return tx
