"""What is true of the apps of a simulated network: the kind of each message, ends and owners, and who paid for what.

Nothing here is shared with the production code, nor with the stories that the network tells: it is worked out from the
messages as they are answered, the chain and the rules of docs/metrics.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import chain as joined
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from fluxtracker.simnet import records as a

if TYPE_CHECKING:
    from tests.simnet.world import World

LEAST_SAT = 1_000_000
TOLERANCE = 8  # blocks
CANCELLING = 100  # blocks
LOST_AFTER = 7 * 86_400  # seconds
CLASSES = {a.GATEWAY: "card", a.TEAM: "team", a.DEVELOPMENT: "platform"}
WORDS = {"fluxappregister": True, "zelappregister": True, "fluxappupdate": False, "zelappupdate": False}


class Said(NamedTuple):
    """What a message says; `blocks` or `seconds` is its term, both None where it makes no sense."""

    hash: str
    txid: str
    registers: bool
    name: str
    owner: str
    instances: int
    height: int
    sent: int
    paid: int
    blocks: int | None
    seconds: int | None


class TrueEvent(NamedTuple):
    """One message, or the end that nobody renewed in time; `at` and `end_at` are Unix seconds, None not known."""

    kind: str
    message_hash: str
    txid: str
    owner: str
    instances: int
    height: int
    at: float
    end_height: int | None
    """None for an end in seconds, or one that is not known."""
    end_at: float | None


@dataclass(slots=True)
class TrueLife:
    """All of an app: its events in order, and who owns it and when it ends by the last one that counts."""

    name: str = ""
    owner: str = ""
    instances: int = 0
    end_height: int | None = None
    end_at: float | None = None
    cancelled: bool = False
    events: list[TrueEvent] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def said(row: Any) -> Said | None:
    """What a row of permanentmessages says, where all of it makes sense."""
    spec = row.get("appSpecifications") or row["zelAppSpecifications"]
    blocks, seconds = _term(spec, row["height"])
    registers, instances = WORDS[row["type"]], spec.get("instances", 3)
    return Said(
        row["hash"], row["txid"], registers, spec["name"], spec["owner"], instances, row["height"], row["timestamp"],
        row["valueSat"], blocks, seconds,
    )  # fmt: skip


def _term(spec: dict[str, Any], height: int) -> tuple[int | None, int | None]:
    if spec["version"] >= 9:
        values = {spec[key] for key in ("expire", "ttl") if key in spec}
        [value] = values if len(values) == 1 else [None]
        return None, value if type(value) is int and 3_600 <= value <= 3 * 365 * 86_400 else None
    default = 22_000 if height < a.FORK_HEIGHT else 88_000
    return (spec.get("expire") if spec["version"] >= 6 else 0) or default, None


class Account:
    """Goes through the messages of one app in order."""

    def __init__(self, world: World, tip: int) -> None:
        self.world, self.tip, self.life = world, tip, TrueLife()

    def time(self, height: int) -> float:
        """The time of a block; those to come take 30 seconds."""
        chain = self.world.chain
        return chain.time(min(height, self.tip)) + max(0, height - self.tip) * 30

    def read(self, messages: Iterable[Said]) -> TrueLife:
        for message in sorted(messages, key=lambda one: (one.height, one.sent, one.hash)):
            self._lose(self.time(message.height))
            self._add(message)
        self._lose(self.time(self.tip))
        return self.life

    def _add(self, message: Said) -> None:
        at = self.time(message.height)
        end_height, end_at = self._end(message, at)
        kind, life = self._kind(message, at, end_height, end_at), self.life
        if kind != "ignored":
            life.name, life.owner, life.instances = message.name, message.owner, message.instances
            life.end_height, life.end_at, life.cancelled = end_height, end_at, kind == "cancelled"
        facts = (message.hash, message.txid, message.owner, message.instances, message.height, at)
        life.events.append(TrueEvent(kind, *facts, life.end_height, life.end_at))

    def _end(self, message: Said, at: float) -> tuple[int | None, float | None]:
        if message.blocks is None:
            return None, None if message.seconds is None else at + message.seconds
        end = message.height + message.blocks
        if message.height < a.FORK_HEIGHT < end:
            end = a.FORK_HEIGHT + (end - a.FORK_HEIGHT) * 4
        return end, self.time(end)

    def _kind(self, message: Said, at: float, end_height: int | None, end_at: float | None) -> str:
        if message.paid < LEAST_SAT:
            return "ignored"
        life = self.life
        if not any(event.kind != "ignored" for event in life.events):
            return "new"
        if life.end_height is not None:
            is_over = life.end_height <= message.height
        else:
            is_over = life.end_at is not None and life.end_at <= at
        if is_over:
            return "reregistered" if message.registers else "won_back"
        if message.registers and message.owner != life.owner and life.end_at is not None:
            return "ignored"
        if end_at is None or life.end_at is None:
            return "change"
        if end_height is not None and life.end_height is not None:
            later: float = end_height - life.end_height
        else:
            later = (end_at - life.end_at) / 30
        if abs(later) <= TOLERANCE:
            return "change"
        cancels = message.blocks is not None and message.blocks <= CANCELLING
        return "renewal" if later > 0 else "cancelled" if cancels else "shortened"

    def _lose(self, now: float) -> None:
        life = self.life
        counted = [event for event in life.events if event.kind != "ignored"]
        if not counted or counted[-1].kind == "lost" or life.end_at is None or now - life.end_at < LOST_AFTER:
            return
        last, end = counted[-1], life.end_at
        height = life.end_height if life.end_height is not None else self.world.chain.height_at(end)
        lost = TrueEvent("lost", "", "", last.owner, last.instances, height, end, life.end_height, end)
        place = len(life.events)
        while place and life.events[place - 1].at > end:
            place -= 1
        life.events.insert(place, lost)


def lives(world: World, tip: int | None = None, odd: Iterable[Said] = ()) -> dict[str, TrueLife]:
    """The lives of all apps as of a block, by name in small letters."""
    tip = world.tip_height if tip is None else tip
    by_key: dict[str, list[Said]] = defaultdict(list)
    for message in joined(messages(world), odd):
        if message.height <= tip:
            by_key[message.name.lower()].append(message)
    return {key: Account(world, tip).read(found) for key, found in by_key.items()}


def messages(world: World) -> Iterator[Said]:
    rows = orjson.loads(b"[" + b"".join(world.registry.dump()) + b"]")
    return (message for message in map(said, rows) if message is not None)


class Sums(NamedTuple):
    """Of one day: satoshi and number of payments by class of sender, and satoshi by app (None: of no app's life)."""

    sat: dict[str, int]
    payments: dict[str, int]
    by_app: dict[str | None, int]


class TellsLives:
    """The part of a world that knows what became of its apps and who paid."""

    def expected_lives(self, tip: int | None = None) -> dict[str, TrueLife]:
        """The life of every app that a message names, by its name in small letters."""
        world = cast("World", self)
        with world.lock:
            return lives(world, tip)

    def expected_days(self, min_confirmations: int = 8) -> dict[date, Sums]:
        """What came in on each UTC day, by class of sender and by the life that it counts for."""
        world = cast("World", self)
        with world.lock:
            counted = {
                (event.message_hash, event.txid): key
                for key, life in lives(world).items()
                for event in life.events
                if event.kind not in ("lost", "ignored")
            }
            found: dict[date, Sums] = {}
            for row in world.truth(min_confirmations):
                day = a.day_of(world.chain.time(row.height))
                sums = found.setdefault(day, Sums(defaultdict(int), defaultdict(int), defaultdict(int)))
                who = CLASSES.get(row.from_address or "", "other")
                sums.sat[who] += row.amount_sat
                sums.payments[who] += 1
                sums.by_app[counted.get((row.message_hash, row.txid))] += row.amount_sat
            return found
