"""Take the census: ask four sources at the same time and keep of each what no source can tell later.

A source that fails, or tells too different things to be believed at once, leaves what the day knows as it is.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson
from django.db import transaction

from fluxtracker.api.reports import INTERNAL, UNDESCRIBED, described
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.node_facts import NodeFacts
from fluxtracker.upstream.records import TIERS, Locations, NodeList
from fluxtracker.upstream.records import DeploymentTerms as Terms
from fluxtracker.upstream.stats import Nodes, Stats
from metrics.census.changes import Changes, NodesSeen, keep_running, running, thin
from metrics.census.distribution import of_the_facts, of_the_list
from metrics.models import CensusDay, DeploymentTerms, Source
from metrics.sources import KEPT, NODES, Outcome, Readout, Sources, recall
from ops.jobs.runs import Run

PART = Source.Census


@dataclass(frozen=True, slots=True)
class CensusReport:
    """What was read, and what has changed since the census before. None: not read now, or nothing to compare with."""

    day: date
    sources: dict[str, Outcome] = field(metadata=described("ok, stale or failed, by source."))
    nodes: int | None = field(metadata=described("Confirmed nodes."))
    joins: int | None
    leaves: int | None
    moves: int | None
    apps: int | None = field(metadata=described("Apps that run."))
    instances: int | None
    errors: dict[str, str] = field(metadata=UNDESCRIBED)
    doubted: frozenset[str] = field(metadata=INTERNAL)

    @property
    def nothing_read(self) -> bool:
        return "ok" not in self.sources.values() and not self.doubted


def take_census(*, daemon: Daemon, stats: Stats, registry: AppRegistry, now: datetime, run: Run) -> CensusReport:
    """Ask every source at once, and keep what is good in the row of the UTC day."""
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
    """Keep how the nodes are spread. Return their facts, none where they are not believed."""
    if sources.settle(PART.NODE_FACTS, answer, _facts_readout) is None:
        return ()
    nodes = answer.result().nodes
    shown, lists = of_the_facts(nodes)
    shown["coverage"] |= sources.rows[PART.NODE_FACTS].coverage or {}
    day.facts, day.facts_at = orjson.dumps(shown).decode(), sources.now
    day.lists = zlib.compress(orjson.dumps(lists), 6)
    return nodes


def _facts_readout(found: Nodes[NodeFacts]) -> Readout:
    return Readout(
        {},
        {"factsLeftOut": found.unusable, "factsRepeated": found.repeated},
        sum(node.reached for node in found.nodes),
    )


def _cores(facts: tuple[NodeFacts, ...], now: datetime) -> Mapping[str, float]:
    """Return the cores of each node that told them now, or to the collection of metrics in the last 24 hours."""
    remembered, _ = recall(NODES, now) or ({}, None)
    known = {collateral: row[1] for collateral, row in remembered.items() if row[1]}
    return known | {node.collateral: node.cores for node in facts if node.collateral and node.cores is not None}


def _settle_nodes(
    sources: Sources, answer: Future[NodeList], day: CensusDay, cores: Mapping[str, float]
) -> Changes | None:
    """Keep tiers, operators and what changed. Return the changes; None where there is nothing to compare."""
    before = NodesSeen.recalled(sources.now)
    if sources.settle(PART.NODE_LIST, answer, lambda found: _nodes_readout(found, before)) is None:
        return None
    found, row = answer.result(), sources.rows[PART.NODE_LIST]
    row.values = {**(row.values or {}), KEPT: len(found.nodes)}  # of this list the next one keeps so many
    told = of_the_list(found.nodes, cores)
    told["coverage"] |= row.coverage or {}
    day.nodes, day.nodes_at = orjson.dumps(told).decode(), sources.now
    seen = NodesSeen.of(found.nodes, sources.now)
    changes = Changes.between(before, seen) if before else None
    if before and changes:
        changes.add_to(day.day, before.at)
        seen = seen.following(before)
    seen.remember()
    return changes


def _nodes_readout(found: NodeList, before: NodesSeen | None) -> Readout:
    """Return the counts, and how many of the nodes before are still there: another network has none of them."""
    tiers = [node.tier for node in found.nodes]
    kept = sum(node.collateral in before.nodes for node in found.nodes) if before else len(tiers)
    values = {f"node_{tier.lower()}": tiers.count(tier) for tier in TIERS} | {"node_total": len(tiers), KEPT: kept}
    return Readout(values, {"nodesLeftOut": found.left_out, "nodesRepeated": found.repeated}, len(tiers))


def _settle_places(sources: Sources, answer: Future[Locations], day: CensusDay) -> None:
    if sources.settle(PART.LOCATIONS, answer, _places_readout) is None:
        return
    found = answer.result()
    apps = running(found.instances)
    changed = keep_running(apps, sources.now)
    day.running_at = sources.now
    day.running = {"apps": len(apps), "instances": len(found.instances), "changed": changed}


def _places_readout(found: Locations) -> Readout:
    coverage = {"rows": found.rows, "leftOut": found.left_out, "repeated": found.repeated}
    return Readout({}, coverage, len(found.instances))


def _settle_terms(sources: Sources, answer: Future[Terms]) -> None:
    """Keep prices and limits where they are others than before."""
    if sources.settle(PART.TERMS, answer, _terms_readout) is None:
        return
    found = answer.result()
    prices, limits = [price._asdict() for price in found.prices], dict(found.limits)
    last = DeploymentTerms.objects.first()
    if last is None or (last.prices, last.limits) != (prices, limits):
        DeploymentTerms.objects.update_or_create(at=sources.now, defaults={"prices": prices, "limits": limits})


def _terms_readout(found: Terms) -> Readout:
    return Readout({}, {"prices": len(found.prices), "leftOut": found.left_out}, len(found.prices))


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
