"""Compare a node list with the one before, and the running instances with those before; keep what changed.

Of a node's address only a keyed hash is kept, in a row that the next list replaces.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Self

from django.conf import settings

from fluxtracker.batches import IDS, ROWS, chunks
from fluxtracker.periods import midnight
from fluxtracker.upstream.records import TIERS, Instance, ListedNode
from metrics.models import CensusDay, InstanceChange, NodeChange, RunningApp
from metrics.sources import recall, remember

NODE_LIST = "node_list"
EVERY_CHANGE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """The nodes of a list: by collateral the number of the tier, and a hash of the address, "" where it is unknown.

    `key` tells with which SECRET_KEY the hashes were made: those of another one cannot be compared.
    """

    nodes: Mapping[str, Sequence[Any]]
    key: str
    at: datetime

    @classmethod
    def of(cls, nodes: Iterable[ListedNode], now: datetime) -> Self:
        secret = hashlib.sha256(b"census:" + settings.SECRET_KEY.encode()).digest()
        seen = {node.collateral: (TIERS.index(node.tier), _hash(node.address, secret)) for node in nodes}
        return cls(seen, _hash("key", secret), now)

    @classmethod
    def recalled(cls, now: datetime) -> Self | None:
        """Return the last list that was believed, however old; None where there is none."""
        known = recall(NODE_LIST, now, keeps=None)
        return known and cls(known[0]["nodes"], known[0]["key"], known[1])

    def remember(self) -> None:
        remember(NODE_LIST, {"nodes": self.nodes, "key": self.key}, self.at)

    def following(self, before: NodesSeen) -> Self:
        """Return the same list; an address that it does not tell is the one that was known before."""
        if self.key != before.key:
            return self
        known = {node: (tier, digest or before._digest(node)) for node, (tier, digest) in self.nodes.items()}
        return type(self)(known, self.key, self.at)

    def _digest(self, node: str) -> str:
        return str(self.nodes[node][1]) if node in self.nodes else ""


def _hash(text: str, secret: bytes) -> str:
    return hashlib.blake2b(text.encode(), key=secret, digest_size=8).hexdigest() if text else ""


@dataclass(frozen=True, slots=True)
class Changes:
    """How many nodes of each tier, by its number, joined, left and moved. `moves` is None where it is unknown."""

    joins: Counter[int]
    leaves: Counter[int]
    moves: Counter[int] | None

    @classmethod
    def between(cls, before: NodesSeen, now: NodesSeen) -> Self:
        old, new = before.nodes, now.nodes
        stayed = old.keys() & new.keys()
        moved = (new[node][0] for node in stayed if old[node][1] and new[node][1] not in ("", old[node][1]))
        return cls(
            Counter(new[node][0] for node in new.keys() - stayed),
            Counter(old[node][0] for node in old.keys() - stayed),
            Counter(moved) if before.key == now.key else None,
        )

    def add_to(self, day: date, since: datetime) -> None:
        """Add them to the day's rows, which tell 0 where there is no change."""
        rows = {row.tier: row for row in NodeChange.objects.filter(day=day)}
        for number, tier in enumerate(TIERS):
            row = rows.get(tier) or NodeChange(day=day, tier=tier, since=since)
            row.joins += self.joins[number]
            row.leaves += self.leaves[number]
            row.moves = None if self.moves is None or row.moves is None else row.moves + self.moves[number]
            row.save()


def running(instances: Iterable[Instance]) -> dict[str, RunningApp]:
    """Return the apps that run by their keys. An app has one name, whatever its letters."""
    found: dict[str, RunningApp] = {}
    for instance in instances:
        key = instance.name.lower()
        row = found.setdefault(key, RunningApp(app_key=key, name=instance.name, instances=0, hashes={}))
        row.instances += 1
        row.hashes[instance.hash or ""] = row.hashes.get(instance.hash or "", 0) + 1
    return found


def keep_running(now_running: Mapping[str, RunningApp], now: datetime) -> int:
    """Replace what runs, and keep which apps changed. Return how many did."""
    before = dict(RunningApp.objects.values_list("app_key", "instances"))
    counts = dict.fromkeys(before, 0) | {key: row.instances for key, row in now_running.items()}
    changed = [
        InstanceChange(app_key=key, at=now, instances=count)
        for key, count in counts.items()
        if before.get(key) != count
    ]
    InstanceChange.objects.bulk_create(
        changed, ROWS, update_conflicts=True, unique_fields=["app_key", "at"], update_fields=["instances"]
    )
    RunningApp.objects.all().delete()
    RunningApp.objects.bulk_create(now_running.values(), ROWS)
    return len(changed)


def thin(today: date) -> None:
    """Keep the last change of each app on each day that is long enough ago, when a day begins.

    What was due on the day of the census before is gone already.
    """
    before = CensusDay.objects.filter(day__lt=today).values_list("day", flat=True).first()
    old = InstanceChange.objects.filter(at__lt=midnight(today) - EVERY_CHANGE)
    if before is not None:
        old = old.filter(at__gte=midnight(before) - EVERY_CHANGE)
    rows = old.order_by("app_key", "at").values_list("id", "app_key", "at")
    days = groupby(rows, key=lambda row: (row[1], row[2].date()))
    due = [row[0] for _, of_a_day in days for row in list(of_a_day)[:-1]]
    for some in chunks(due, IDS):
        InstanceChange.objects.filter(id__in=some).delete()
