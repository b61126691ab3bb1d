"""The app registry: messages behind payments, a crowd of older messages, current specifications.

Apps that are on the network without a payment on the chain: one of every peculiarity, and a crowd.

Their messages are as old as those of the dump: the payments behind them are not among those of the world.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import ceil
from typing import Any

import orjson

from fluxtracker.simnet import records as simnet_records
from fluxtracker.simnet.catalogue import RARE, SPELLINGS, TEMPLATES, App, Catalogue, Component, crowd_app, make_app
from fluxtracker.simnet.chain import Chain
from fluxtracker.simnet.history import FLUX, digest
from fluxtracker.simnet.records import MAIN, TRACKED, Known, Message, Output, Tx

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
            yield self._record(app, message_hash, digest(message_hash), height, simnet_records.time_of(height), 10**9)
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
        return self.chain.tip + ceil(left / simnet_records.NEW_SECONDS)

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
    default = 22_000 if height < simnet_records.FORK_HEIGHT else 88_000
    end = height + (app.expire if app.version >= 6 else default)
    if height < simnet_records.FORK_HEIGHT < end:
        end = simnet_records.FORK_HEIGHT + 4 * (end - simnet_records.FORK_HEIGHT)
    return end


PECULIAR_FROM = 3_000_000  # their numbers in the catalogue
CANCELLED_AGO = 4_000  # blocks; an owner who cancels sets `expire` to 100
YOUNG = 60_000  # blocks within which the crowd was deployed: three weeks
LONG = 264_000
BY_NAME = tuple(template for template in TEMPLATES if template.by_name and not template.site)
PART = (Component("web", "nginx:1.27", 0.5, 500, 5),)
OLD = (
    ("fluxfrontier", 2, False),  # begins with the prefix of container names
    ("ZelBridge", 3, False),  # and with the old one
    ("Bitgert", 3, True),
    ("Koda", 4, True),
)
"""Name, version, and whether the containers are still called `/zel...`."""
TIMED: tuple[tuple[str, Any, Any, int], ...] = (
    ("Andromeda", 604_800, None, 20_000),
    ("Borealis", None, 604_800, 19_000),
    ("Cassini", 88_000, 88_000, 1_500),  # its owner still thinks in blocks
    ("Draco", 100, None, 1_000),  # and this one wanted to cancel
    ("Eris", 604_800, 2_592_000, 1_200),
    ("Fornax", None, "604800", 1_400),
    ("Gemini", None, None, 1_600),
)
"""Apps of version 9: name, `expire` and `ttl` in seconds, and how many blocks ago. The last four make no sense."""
WANDERERS = ("/fluxworker_Vanished1700000000001", "/fluxwanderer", "/fluxtool_v2_Vanished")
"""Containers that belong to no app."""


def settle(seed: int, registry: Registry, containers: int) -> None:
    """Let the peculiar apps in, then apps of the crowd until about so many containers run."""
    for app, height in peculiar(seed, registry.chain.tip):
        registry.add(_message(seed, app, height))
    registry.lingering.add("Lingering")
    registry.leftover.append("Leftover")
    running = sum(_size(message.app) for message in registry.current().values())
    number = 0
    while running < containers:
        app = crowd_app(seed, number)
        height = registry.chain.tip - random.Random(f"{seed}:age:{number}").randrange(YOUNG)
        registry.add(_message(seed, app, height))
        registry.crowd.add(app.name)
        running, number = running + _size(app), number + 1


def _size(app: App) -> int:
    return app.instances * len(app.components)


def peculiar(seed: int, tip: int) -> Iterator[tuple[App, int]]:
    """Each app with the height of its message."""
    for number, template in enumerate(RARE + BY_NAME):
        rng = random.Random(f"{seed}:peculiar:{number}")
        app = make_app(rng, PECULIAR_FROM + number, (template,))
        if template.site or template.by_name:
            app = replace(app, version=8, encrypted=True, components=_all(app))
        else:
            app = replace(app, version=max(app.version, 4), encrypted=False, components=_all(app))
        yield replace(app, instances=3, expire=LONG), tip - 3_000 - number * 700
    owner = Catalogue(seed)[0].owner
    for number, (name, version, zel) in enumerate(OLD):
        yield App(name, version, owner, PART, 3, 88_000, zel=zel), tip - 10_000 - number
    for name, expire, ttl, ago in TIMED:
        yield App(name, 9, owner, PART, 3, expire, ttl=ttl), tip - ago
    for number, image in enumerate(SPELLINGS):
        part = Component("web", f"{image}:1.{number}", 0.5, 500, 5)
        yield App(f"Spelled{number}", 8, owner, (part,), 3, LONG), tip - 2_000 - number
    for name in ("Lingering", "Leftover"):
        yield App(name, 7, owner, PART, 3, 100), tip - CANCELLED_AGO


def _all(app: App) -> tuple[Component, ...]:
    """Every component of the template, also when a flat specification was drawn."""
    parts = app.template.components if app.template else ()
    known = {part.name: part for part in app.components}
    return tuple(known.get(name) or Component(name, tag, 0.5, 700, 5) for name, tag in parts)


def _message(seed: int, app: App, height: int) -> Tx:
    txid = digest(seed, "resident", app.name)
    tx = Tx(txid, (), (Output(MAIN, 10 * FLUX),), height=max(1, height), app=app)
    tx.message_hash = digest(seed, "resident message", app.name)
    return tx
