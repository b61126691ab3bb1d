"""The app registry: messages behind payments, many older messages, current specifications.

Further apps run without a payment in the world. Their messages are as old as the other ones.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import ceil
from typing import Any

import orjson

from fluxtracker.simnet import records
from fluxtracker.simnet.catalogue import RARE, TEMPLATES, App, Component, make_app
from fluxtracker.simnet.chain import Chain
from fluxtracker.simnet.history import FLUX, digest
from fluxtracker.simnet.records import MAIN, TRACKED, Act, Known, Message, Output, Tx, expiry
from fluxtracker.simnet.scenarios import OldMessage, old_hash, old_messages

HASH = re.compile("[0-9a-f]{64}")
LEGACY_UNTIL = 1_004_000  # block until which half of the messages carry the keys of ZelCash
BATCH = 500  # records written at once
FURTHER_FROM = 3_000_000  # numbers of the further apps in the catalogue
BY_NAME = tuple(template for template in TEMPLATES if template.by_name and not template.site)
LONG = 264_000  # blocks


class Registry:
    """App messages known to the network's nodes at their tip."""

    def __init__(self, chain: Chain, old_messages: int, old_until: int) -> None:
        """`old_messages` lie before block `old_until`: their payments are not in this world."""
        self.chain = chain
        self.old_messages, self.old_until = old_messages, old_until
        self.by_hash: dict[str, Message] = {}
        self.by_key: dict[str, dict[str, Message]] = {}
        """The messages of each app by hash; names are the same in any case."""
        self.edition = 0
        """Grows whenever `current` changes."""
        self._changes = 0
        self._current: dict[str, Message] = {}
        self._current_of: tuple[int, int] = (-1, -1)

    def add(self, tx: Tx) -> None:
        """Remember the message of a payment; it stays when a reorganisation takes the payment away."""
        if tx.message_hash and tx.app:
            others = self.by_key.setdefault(tx.app.name.lower(), {})
            if tx.registers is None:
                tx.registers = not others
            self.by_hash[tx.message_hash] = others[tx.message_hash] = Message(tx.app, tx)
            self.touch()

    def touch(self) -> None:
        """Note that the known messages have changed."""
        self._changes += 1

    def knows(self, tx: Tx) -> bool:
        return tx.known == Known.YES or (tx.known == Known.LATER and self.chain.tip >= tx.known_from)

    def known(self) -> list[Message]:
        return [message for message in self.by_hash.values() if self.knows(message.tx)]

    def find(self, message_hash: str) -> Message | None:
        message = self.by_hash.get(message_hash)
        return message if message and self.knows(message.tx) else None

    def records_of(self, message_hash: str) -> list[bytes]:
        """Return the permanentmessages records with a hash: one or none."""
        message = self.find(message_hash)
        if message:
            return [self.record(message)]
        number = int(message_hash[56:], 16) if HASH.fullmatch(message_hash) else self.old_messages
        if number >= self.old_messages or old_hash(self.chain.seed, number) != message_hash:
            return []
        return [_old_record(message) for message in islice(self._old(), number, number + 1)]

    def record(self, message: Message) -> bytes:
        """Return a permanentmessages record (docs/upstream.md#app-messages)."""
        tx = message.tx
        paid = sum(o.sat for o in tx.outputs if o.address in TRACKED)
        height = max(tx.height, 0)
        seconds = self.chain.time(height)
        legacy = tx.message_hash.startswith("00")
        return _record(message.app, tx.message_hash, tx.txid, height, seconds, paid, bool(tx.registers), legacy)

    def dump(self, name: str | None = None, owner: str | None = None) -> Iterator[bytes]:
        """Yield records in batches with commas between them, about in the order of time: all, of an app or an owner."""
        return _batched(self._all(name, owner))

    def index(self) -> Iterator[bytes]:
        """Yield rows of paid hashes, with whether their message is known, in the same batches."""
        return _batched(self._indexed())

    def _indexed(self) -> Iterator[bytes]:
        for old in self._old():
            yield _index_row(old.hash, digest(old.hash), old.height, 10**9, known=True)
        for message_hash, message in self.by_hash.items():
            paid = sum(o.sat for o in message.tx.outputs if o.address in TRACKED)
            height = max(message.tx.height, 0)
            yield _index_row(message_hash, message.tx.txid, height, paid, known=self.knows(message.tx))

    def _all(self, name: str | None, owner: str | None) -> Iterator[bytes]:
        def is_wanted(app: App) -> bool:
            return name in (None, app.name) and owner in (None, app.owner)

        yield from (_old_record(message) for message in self._old() if is_wanted(message.app))
        yield from (self.record(message) for message in self.known() if is_wanted(message.app))

    def _old(self) -> Iterator[OldMessage]:
        return old_messages(self.chain.seed, self.old_messages, self.old_until, self.chain)

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
        """Return the block at which an app ends, None for an app that is never delisted."""
        app, chain = message.app, self.chain
        if app.version < 9:
            return expiry(app, message.tx.height)
        if app.seconds is None:
            return None
        left = chain.time(message.tx.height) + app.seconds - chain.time(chain.tip)
        return chain.tip + ceil(left / records.NEW_SECONDS)

    def _latest(self) -> dict[str, Message]:
        """Return the latest message that counts of each app, ended or not, by its name."""
        latest: dict[str, Message] = {}
        for message in self.by_hash.values():
            if self.counts(message):
                key = message.app.name.lower()
                before = latest.get(key)
                if before is None or before.tx.height <= message.tx.height:
                    latest[key] = message
        return {message.app.name: message for message in latest.values()}

    def counts(self, message: Message) -> bool:
        tx = message.tx
        return tx.height > 0 and tx.act != Act.IGNORED and (self.knows(tx) or tx.known == Known.SPECIFICATION)

    def before(self, message: Message) -> Message | None:
        """Return the message of an app that counted before this one."""
        others = self.by_key.get(message.app.name.lower(), {}).values()
        found = [one for one in others if one.tx.height < message.tx.height and self.counts(one)]
        return max(found, key=lambda one: one.tx.height, default=None)

    def ended_since(self, seconds: float) -> Iterator[Message]:
        """Yield the last messages of the apps that ended after an instant."""
        for message in self._latest().values():
            end = self.end_of(message)
            if end is not None and end < self.chain.tip and self.chain.time(end) >= seconds:
                yield message


def _batched(rows: Iterator[bytes]) -> Iterator[bytes]:
    comma = b""
    while batch := list(islice(rows, BATCH)):  # the simulated network uses nothing of the product
        yield comma + b",".join(batch)
        comma = b","


def _index_row(message_hash: str, txid: str, height: int, sat: int, *, known: bool) -> bytes:
    row = {"txid": txid, "height": height, "hash": message_hash, "value": sat, "message": known}
    return orjson.dumps(row | {"messageNotFound": False})


def _old_record(message: OldMessage) -> bytes:
    seconds, legacy = records.time_of(message.height), message.height < LEGACY_UNTIL and message.hash[0] < "8"
    txid = digest(message.hash)
    return _record(message.app, message.hash, txid, message.height, seconds, 10**9, message.registers, legacy)


def _record(
    app: App, message_hash: str, txid: str, height: int, seconds: int, sat: int, registers: bool, legacy: bool
) -> bytes:
    """Return a record; a `legacy` one is written with the keys of ZelCash."""
    family, key = ("zelapp", "zelAppSpecifications") if legacy else ("fluxapp", "appSpecifications")
    return orjson.dumps(
        {
            "type": f"{family}{'register' if registers else 'update'}",
            "version": 1,
            key: app.specification(),
            "hash": message_hash,
            "timestamp": seconds * 1000 - 61_483,
            "signature": f"H{message_hash[:40] * 2}=",
            "txid": txid,
            "height": height,
            "valueSat": sat,
        }
    )


def specification(message: Message) -> dict[str, Any]:
    """Return a globalappsspecifications record."""
    found = message.app.specification()
    return found | {"hash": message.tx.message_hash, "height": message.tx.height}


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
