"""Take the census: ask four sources in parallel and store what no source can report later.

A source that fails, or differs too much to be accepted at once, leaves the day's data unchanged. Lists and instances
are compared with the previous ones. Of a node's address only a keyed hash is stored, in a row that the next list
replaces.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Self

import orjson
from django.conf import settings
from django.db import transaction

from fluxtracker.api.report_serializers import INTERNAL, UNDESCRIBED, described
from fluxtracker.batches import IDS, ROWS, chunks
from fluxtracker.periods import midnight
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.node_facts import NodeFacts
from fluxtracker.upstream.records import TIERS, Instance, ListedNode, Locations, NodeList
from fluxtracker.upstream.records import DeploymentTerms as Terms
from fluxtracker.upstream.stats import Nodes, Stats
from metrics.census.distribution import of_the_facts, of_the_list
from metrics.models import CensusDay, DeploymentTerms, InstanceChange, NodeChange, RunningApp, Source
from metrics.sources import KEPT, NODES, Outcome, Readout, Sources, recall, remember
from ops.jobs.runs import Run

PART = Source.Census
NODE_LIST = "node_list"
EVERY_CHANGE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class CensusReport:
    """Reading and changes since the previous census. None: not read now, or nothing to compare with."""

    day: date
    sources: dict[str, Outcome] = field(metadata=described("ok, stale or failed, by source."))
    nodes: int | None = field(metadata=described("Confirmed nodes."))
    joins: int | None
    leaves: int | None
    moves: int | None
    apps: int | None = field(metadata=described("Running apps."))
    instances: int | None
    errors: dict[str, str] = field(metadata=UNDESCRIBED)
    doubted: frozenset[str] = field(metadata=INTERNAL)

    @property
    def nothing_read(self) -> bool:
        return "ok" not in self.sources.values() and not self.doubted


def take_census(*, daemon: Daemon, stats: Stats, registry: AppRegistry, now: datetime, run: Run) -> CensusReport:
    """Ask all sources in parallel, and store good values in the row of the UTC day."""
    with ThreadPoolExecutor(4, thread_name_prefix="census") as pool:
        nodes, facts = pool.submit(daemon.node_list), pool.submit(stats.node_facts)
        places, terms = pool.submit(registry.locations), pool.submit(registry.deployment_terms)
    with transaction.atomic():
        run.guard()
        sources = Sources.load(now, PART.values)
        day = CensusDay.objects.filter(day=now.date()).first() or _begin(now.date())
        known = _settle_facts(sources, facts, day)
        changes = _settle_nodes(sources, nodes, day, _cores(known, now))
        _settle_places(sources, places, day)
        _settle_terms(sources, terms)
        sources.save()
        day.save()
    return _report(day, sources, changes)


def _begin(day: date) -> CensusDay:
    thin(day)
    return CensusDay(day=day)


def _settle_facts(sources: Sources, answer: Future[Nodes[NodeFacts]], day: CensusDay) -> tuple[NodeFacts, ...]:
    """Store the distribution of nodes. Return their facts, none if they are not accepted."""
    if sources.settle(PART.NODE_FACTS, answer, _facts_readout) is None:
        return ()
    nodes = answer.result().nodes
    shown, lists = of_the_facts(nodes)
    shown["coverage"] |= sources.rows[PART.NODE_FACTS].coverage or {}
    day.facts, day.facts_at = orjson.dumps(shown).decode(), sources.now
    day.lists = zlib.compress(orjson.dumps(lists), 6)
    return nodes


def _facts_readout(facts: Nodes[NodeFacts]) -> Readout:
    return Readout(
        {},
        {"factsLeftOut": facts.unusable, "factsRepeated": facts.repeated},
        sum(node.reached for node in facts.nodes),
    )


def _cores(facts: tuple[NodeFacts, ...], now: datetime) -> Mapping[str, float]:
    """Return the cores of each node that reported them now, or to a metrics collection in the last 24 hours."""
    remembered, _ = recall(NODES, now) or ({}, None)
    known = {collateral: row[1] for collateral, row in remembered.items() if row[1]}
    return known | {node.collateral: node.cores for node in facts if node.collateral and node.cores is not None}


def _settle_nodes(
    sources: Sources, answer: Future[NodeList], day: CensusDay, cores: Mapping[str, float]
) -> Changes | None:
    """Store tiers, operators and changes. Return the changes, None with nothing to compare."""
    before = NodesSeen.recalled(sources.now)
    if sources.settle(PART.NODE_LIST, answer, lambda node_list: _nodes_readout(node_list, before)) is None:
        return None
    node_list, row = answer.result(), sources.rows[PART.NODE_LIST]
    row.values = {**(row.values or {}), KEPT: len(node_list.nodes)}  # the next list is compared with this number
    figures = of_the_list(node_list.nodes, cores)
    figures["coverage"] |= row.coverage or {}
    day.nodes, day.nodes_at = orjson.dumps(figures).decode(), sources.now
    seen = NodesSeen.of(node_list.nodes, sources.now)
    changes = Changes.between(before, seen) if before else None
    if before and changes:
        changes.add_to(day.day, before.at)
        seen = seen.following(before)
    seen.remember()
    return changes


def _nodes_readout(node_list: NodeList, before: NodesSeen | None) -> Readout:
    """Return the counts, and how many earlier nodes remain: another network has none of them."""
    tiers = [node.tier for node in node_list.nodes]
    kept = sum(node.collateral in before.nodes for node in node_list.nodes) if before else len(tiers)
    values = {f"node_{tier.lower()}": tiers.count(tier) for tier in TIERS} | {"node_total": len(tiers), KEPT: kept}
    return Readout(values, {"nodesLeftOut": node_list.left_out, "nodesRepeated": node_list.repeated}, len(tiers))


def _settle_places(sources: Sources, answer: Future[Locations], day: CensusDay) -> None:
    if sources.settle(PART.LOCATIONS, answer, _places_readout) is None:
        return
    locations = answer.result()
    apps = running(locations.instances)
    changed = keep_running(apps, sources.now)
    day.running_at = sources.now
    day.running = {"apps": len(apps), "instances": len(locations.instances), "changed": changed}


def _places_readout(locations: Locations) -> Readout:
    coverage = {"rows": locations.rows, "leftOut": locations.left_out, "repeated": locations.repeated}
    return Readout({}, coverage, len(locations.instances))


def _settle_terms(sources: Sources, answer: Future[Terms]) -> None:
    """Store prices and limits that have changed."""
    if sources.settle(PART.TERMS, answer, _terms_readout) is None:
        return
    terms = answer.result()
    prices, limits = [price._asdict() for price in terms.prices], dict(terms.limits)
    last = DeploymentTerms.objects.first()
    if last is None or (last.prices, last.limits) != (prices, limits):
        DeploymentTerms.objects.update_or_create(at=sources.now, defaults={"prices": prices, "limits": limits})


def _terms_readout(terms: Terms) -> Readout:
    return Readout({}, {"prices": len(terms.prices), "leftOut": terms.left_out}, len(terms.prices))


def _report(day: CensusDay, sources: Sources, changes: Changes | None) -> CensusReport:
    def read(part: str, value: Any) -> Any:
        return value if sources.outcomes[part] == "ok" else None

    running_now = read(PART.LOCATIONS, day.running) or {}
    return CensusReport(
        day=day.day,
        sources=dict(sources.outcomes),
        nodes=read(PART.NODE_LIST, sources.rows[PART.NODE_LIST].size),
        joins=_total(changes.joins if changes else None),
        leaves=_total(changes.leaves if changes else None),
        moves=_total(changes.moves if changes else None),
        apps=running_now.get("apps"),
        instances=running_now.get("instances"),
        errors=dict(sources.errors),
        doubted=frozenset(sources.doubted),
    )


def _total(counts: Counter[int] | None) -> int | None:
    return None if counts is None else counts.total()


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """The nodes of a list: by collateral the tier's number and a hash of the address, "" if unknown.

    `key` identifies the SECRET_KEY of the hashes: those of another one cannot be compared.
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
        """Return the last accepted list, of any age, if any."""
        known = recall(NODE_LIST, now, keeps=None)
        return known and cls(known[0]["nodes"], known[0]["key"], known[1])

    def remember(self) -> None:
        remember(NODE_LIST, {"nodes": self.nodes, "key": self.key}, self.at)

    def following(self, before: NodesSeen) -> Self:
        """Return the list with missing addresses filled in from before."""
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
    """Nodes that joined, left and moved by tier number. `moves` None: unknown."""

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
        """Add them to the day's rows, which are 0 without a change."""
        rows = {row.tier: row for row in NodeChange.objects.filter(day=day)}
        for number, tier in enumerate(TIERS):
            row = rows.get(tier) or NodeChange(day=day, tier=tier, since=since)
            row.joins += self.joins[number]
            row.leaves += self.leaves[number]
            row.moves = None if self.moves is None or row.moves is None else row.moves + self.moves[number]
            row.save()


def running(instances: Iterable[Instance]) -> dict[str, RunningApp]:
    """Return the running apps by key. App names are case-insensitive."""
    apps: dict[str, RunningApp] = {}
    for instance in instances:
        key = instance.name.lower()
        row = apps.setdefault(key, RunningApp(app_key=key, name=instance.name, instances=0, hashes={}))
        row.instances += 1
        row.hashes[instance.hash or ""] = row.hashes.get(instance.hash or "", 0) + 1
    return apps


def keep_running(now_running: Mapping[str, RunningApp], now: datetime) -> int:
    """Replace the running apps and store which ones changed. Return how many did."""
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
    """Keep only each app's last change per day on old days, when a day begins.

    Rows due on the day of the previous census are already deleted.
    """
    before = CensusDay.objects.filter(day__lt=today).values_list("day", flat=True).first()
    old = InstanceChange.objects.filter(at__lt=midnight(today) - EVERY_CHANGE)
    if before is not None:
        old = old.filter(at__gte=midnight(before) - EVERY_CHANGE)
    rows = old.order_by("app_key", "at").values_list("id", "app_key", "at")
    days = groupby(rows, key=lambda row: (row[1], row[2].date()))
    due = [row[0] for _, of_a_day in days for row in list(of_a_day)[:-1]]
    for batch in chunks(due, IDS):
        InstanceChange.objects.filter(id__in=batch).delete()
