"""Simulate the lives of apps: each payment with a message is one step in one of them.

Owners register, renew shortly before the end, change, shorten and cancel; some come back after the end, and some names
are then registered by others. The network ignores strangers who register a name in force, and what is underpaid. The
steps depend on the seed and on the order of the payments.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from fluxtracker.simnet.catalogue import App, Catalogue, make_app, owner
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import FORK_HEIGHT, Act, Known, Tx, expiry

if TYPE_CHECKING:
    from fluxtracker.simnet.chain import Chain

ENFORCED = {1: 0, 2: 0, 3: 983_000, 4: 1_004_000, 5: 1_142_000, 6: 1_300_000, 7: 1_420_000, 8: 1_932_380, 9: 3_050_000}
"""The block from which each version of specifications is accepted."""
FEW_INSTANCES_FROM = 2_176_519  # block from which version 8 may have one instance
CANCELS_WITH_ONE = 1_964_447  # block from which owners cancel with a term of 1 block; before, 100
ADDS_FROM = 1_625_000  # block from which an update may keep or shorten the end, and a renewal adds to it
LONGEST, LONGEST_BEFORE = 1_056_000, 264_000  # blocks, after and before the fork
TOLERANCE = 8  # blocks by which an end may move in a change
DAY = 2_880  # blocks
PROMPT = 0.9  # share of the payments that go to a renewal that is due
STEPS = {Act.CHANGE: 6, Act.SHORTENED: 1, Act.CANCELLED: 1.5, Act.IGNORED: 1.5}
"""Other events of an app in force, with their frequency."""


@dataclass(slots=True, eq=False)
class Story:
    """State of an app: its specification in force, the blocks of its last message, its end and its next step."""

    app: App
    plan: int
    """Blocks of 30 seconds that its owner pays for at a time."""
    height: int = 0
    end: int = 0
    due: int = 0
    place: int = -1
    """Position among the apps in force; -1: it is not among them."""
    lapses: bool = False


def end_of(app: App, height: int, chain: Chain) -> int:
    if app.seconds is None:
        return expiry(app, height)
    return chain.height_at(chain.time(height) + app.seconds)


def blocks_until(height: int, end: int) -> int:
    """Return the term at a block that leads to an end, of up to three blocks later across the fork."""
    if height >= FORK_HEIGHT or end <= FORK_HEIGHT:
        return end - height
    return FORK_HEIGHT - height - (FORK_HEIGHT - end) // 4


def plan_at(story: Story, height: int) -> int:
    """Return its usual term in blocks of the time: a multiple of 1,000 and at least 5,000 in the first years."""
    if height >= FORK_HEIGHT:
        return story.plan
    term = max(5_000, story.plan // 4)
    return term if height >= ADDS_FROM else -(-term // 1_000) * 1_000


def act_of(story: Story, end: int, height: int, *, registers: bool) -> Act:
    """Return the effect of a message that counts."""
    if height >= story.end:
        return Act.REREGISTERED if registers else Act.WON_BACK
    if abs(end - story.end) <= TOLERANCE:
        return Act.CHANGE
    return Act.RENEWAL if end > story.end else Act.SHORTENED


class Step(NamedTuple):
    app: App
    act: Act
    registers: bool = False


def update(story: Story, wish: Act, height: int, rng: random.Random, chain: Chain) -> Step:
    """Return the owner's update of an app, and its effect: terms of old versions cannot be chosen."""
    app = _upgraded(story.app, height, rng)
    left = max(0, story.end - height)
    if wish in (Act.CHANGE, Act.IGNORED) or rng.random() < 0.05:
        app = replace(app, instances=_instances(app, height, rng))
    if app.version <= 5:
        app = replace(app, expire=0)
        return Step(app, act_of(story, end_of(app, height, chain), height, registers=False))
    keeps = wish in (Act.CHANGE, Act.IGNORED) and left > 0
    if wish == Act.CANCELLED and app.version < 9:
        return Step(replace(app, expire=1 if height >= CANCELS_WITH_ONE else 100), Act.CANCELLED)
    if wish in (Act.SHORTENED, Act.CANCELLED) and left > DAY:
        end = height + left // 2
    elif keeps and height >= ADDS_FROM:
        end = story.end
    else:
        end = (story.end if left and height >= ADDS_FROM else height) + story.plan
    app = replace(app, expire=_expire(app, story, height, end, chain))
    return Step(app, act_of(story, end_of(app, height, chain), height, registers=False))


def _expire(app: App, story: Story, height: int, end: int, chain: Chain) -> int:
    """Return the term that leads to an end, in the unit of the version."""
    if app.version >= 9:
        return min(3 * 365 * 86_400, chain.time(end) - chain.time(height))
    if height < ADDS_FROM:
        return plan_at(story, height)
    if height < FORK_HEIGHT:
        added = plan_at(story, height) if end > story.end else 0
        kept = max(height, min(end, story.end)) if added else end
        return min(LONGEST_BEFORE, blocks_until(height, kept) + added)
    return min(LONGEST, end - height)


def _upgraded(app: App, height: int, rng: random.Random) -> App:
    """Return the app in a newer version, as owners who update it sometimes choose; old ones must not stay."""
    newest = newest_at(height)
    if app.version >= newest or rng.random() > (0.3 if app.version == 8 else 0.05):
        return app
    return replace(app, version=newest)


def newest_at(height: int) -> int:
    return next(version for version, first in reversed(ENFORCED.items()) if first <= height)


def _instances(app: App, height: int, rng: random.Random) -> int:
    least = 1 if app.version >= 8 and height >= FEW_INSTANCES_FROM else 3
    other = app.instances + rng.choice((-2, -1, 1, 1, 2, 4))
    return max(least, min(100, other)) if app.version >= 3 else app.instances


class Stories:
    """All apps of a world in the order of its payments. Only apps in force and the last ones that ended are kept."""

    def __init__(self, seed: int, catalogue: Catalogue, chain: Chain) -> None:
        self.catalogue, self.chain = catalogue, chain
        self._rng = random.Random(f"{seed}:stories")
        self._numbers = 0
        self._live: list[Story] = []
        self._due: list[tuple[int, int, Story]] = []
        self._pushed = 0
        self._ended: deque[Story] = deque(maxlen=200)

    def tell(self, tx: Tx) -> None:
        """Assign an app and an effect to a payment with a message."""
        rng = self._rng
        story, step = self._step(Act(tx.act), tx.height, rng)
        tx.app, tx.act, tx.registers = step.app, step.act, step.registers
        if tx.known == Known.NEVER:
            if story.height:
                self._schedule(story, rng)  # no node knows its content, so its owner tries again
        elif step.act != Act.IGNORED:
            story.app, story.height = step.app, tx.height
            story.end = end_of(step.app, tx.height, self.chain)
            self._schedule(story, rng)

    def _step(self, wish: Act, height: int, rng: random.Random) -> tuple[Story, Step]:
        if wish in (Act.FREE, Act.UNDERPAID):
            story = self._any(height, rng)
            if story and wish == Act.UNDERPAID:
                return story, update(story, Act.IGNORED, height, rng, self.chain)._replace(act=Act.IGNORED)
            return (story, update(story, Act.CHANGE, height, rng, self.chain)) if story else self._new(height, rng)
        due = self._next_due(height, rng)
        if due and rng.random() < PROMPT:
            return due, update(due, Act.RENEWAL, height, rng, self.chain)
        if due:
            self._push(due)
        other = self._any(height, rng) if rng.random() < 0.4 else None
        if other:
            [act] = rng.choices(list(STEPS), list(STEPS.values()))
            step = _stranger(other, rng) if act == Act.IGNORED else update(other, act, height, rng, self.chain)
            return other, step
        if self._ended and rng.random() < 0.12:
            return self._again(height, rng)
        return self._new(height, rng)

    def _new(self, height: int, rng: random.Random) -> tuple[Story, Step]:
        app = self.catalogue[self._numbers]
        self._numbers += 1
        if height >= ENFORCED[9] and app.version == 8 and rng.random() < 0.5:
            app = replace(app, version=9)
        return self._registered(Story(app, app.expire), height, Act.NEW)

    def _again(self, height: int, rng: random.Random) -> tuple[Story, Step]:
        """Register a name that has ended, mostly for another owner, some of whom write it in small letters."""
        story = self._ended.popleft()
        app = story.app
        if rng.random() < 0.7:
            app = replace(app, owner=owner(rng.randrange(10**6)))
            app = replace(app, name=app.name.lower()) if rng.random() < 0.4 else app
        return self._registered(Story(app, story.plan), height, Act.REREGISTERED)

    def _registered(self, story: Story, height: int, act: Act) -> tuple[Story, Step]:
        term = plan_at(story, height) * (30 if story.app.version >= 9 else 1)
        return story, Step(replace(story.app, expire=term), act, registers=True)

    # Which app is next

    def _any(self, height: int, rng: random.Random) -> Story | None:
        """Return an app in force, most of whose term is not over and whose last message is of another block."""
        for _ in range(4 if self._live else 0):
            story = rng.choice(self._live)
            if story.end - height > DAY and height - story.height > TOLERANCE:
                return story
        return None

    def _next_due(self, height: int, rng: random.Random) -> Story | None:
        """Return the app that has waited longest. Many who are too late for their usual renewal give up."""
        while self._due and self._due[0][0] <= height:
            due, _, story = heappop(self._due)
            if due != story.due or story.place < 0:
                continue  # it has already acted
            if story.lapses or (due < story.end <= height and rng.random() < 0.6):
                self._end(story)
            elif height - story.height > TOLERANCE:
                return story
            else:
                story.due = height + DAY
                self._push(story)
        return None

    def _schedule(self, story: Story, rng: random.Random) -> None:
        """Choose when an owner acts next: before the end, some days after it, or never."""
        length = max(1, story.end - story.height)
        draw, weekly = rng.random(), story.plan <= 7 * DAY
        story.lapses = draw < (0.22 if weekly else 0.12) or length <= 100
        if story.lapses:
            story.due = story.end
        elif draw < 0.27:
            story.due = story.end + int(rng.uniform(0.2, 15) * DAY)
        else:
            story.due = story.end - int(rng.uniform(0.02, 0.2) * min(length, 30 * DAY))
        if story.place < 0:
            story.place = len(self._live)
            self._live.append(story)
        self._push(story)

    def _push(self, story: Story) -> None:
        self._pushed += 1
        heappush(self._due, (story.due, self._pushed, story))

    def _end(self, story: Story) -> None:
        last = self._live.pop()
        if last is not story:
            self._live[story.place], last.place = last, story.place
        story.place = -1
        self._ended.append(story)


def _stranger(story: Story, rng: random.Random) -> Step:
    """Return another owner's registration of a name in force, some in other letters: the network ignores it."""
    name = rng.choice((story.app.name, story.app.name, story.app.name.upper(), story.app.name.lower()))
    other = story.app.owner
    while other == story.app.owner:
        other = owner(rng.randrange(10**6))
    return Step(replace(story.app, name=name, owner=other), Act.IGNORED, registers=True)


class OldMessage(NamedTuple):
    """A message from before the payments of a world."""

    app: App
    registers: bool
    hash: str
    height: int


OLDEST = 694_307  # block of the first message
APART = 18_000  # blocks between two messages of one old app, so that most renew in time
OLD_FROM = 1_000_000  # numbers of the old apps in the catalogue


def old_hash(seed: int, number: int) -> str:
    """Return a hash from which the number of the message can be read."""
    return digest(seed, "old message", number)[:56] + f"{number:08x}"


def old_messages(seed: int, count: int, until: int, chain: Chain) -> Iterator[OldMessage]:
    """Yield messages of all eras before a block, in the order of time."""
    span = max(count, until - OLDEST)
    slots: list[Story | None] = [None] * max(1, round(count * APART / span))
    for number in range(count):
        rng, height = random.Random(f"{seed}:old:{number}"), OLDEST + span * number // count
        story = slots[number % len(slots)]
        step = _old_step(story, height, rng, number, chain)
        if story is None or step.act == Act.NEW:
            story = slots[number % len(slots)] = Story(step.app, rng.choice((88_000, 88_000, 88_000, 264_000)))
        if step.act != Act.IGNORED:
            story.app, story.height, story.end = step.app, height, end_of(step.app, height, chain)
        yield OldMessage(step.app, step.registers, old_hash(seed, number), height)


def _old_step(story: Story | None, height: int, rng: random.Random, number: int, chain: Chain) -> Step:
    draw = rng.random()
    if story is None or draw < 0.25:
        app = make_app(rng, OLD_FROM + number)
        newest = newest_at(height)
        version = rng.choice((newest, newest, max(1, newest - 1), min(newest, app.version)))
        app = replace(app, version=version, expire=22_000)
        app = replace(app, encrypted=app.encrypted and app.version >= 8, instances=max(3, app.instances))
        return Step(app, Act.NEW, registers=True)
    if height >= story.end and draw < 0.4:
        other = replace(story.app, owner=owner(rng.randrange(10**6)))
        return Step(other, Act.REREGISTERED, registers=True)
    if height < story.end and draw < 0.29:
        return _stranger(story, rng)
    wish = Act.CHANGE if draw < 0.36 else Act.CANCELLED if draw < 0.38 else Act.RENEWAL
    return update(story, wish, height, rng, chain)
