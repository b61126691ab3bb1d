"""Count how nodes are distributed over places, providers, versions and operators, without database or network.

Each group is weighed by its nodes, their collateral in FLUX and their cores.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fluxtracker.upstream.node_facts import NodeFacts
from fluxtracker.upstream.records import TIERS, ListedNode

COLLATERAL = dict(zip(TIERS, (1_000, 12_500, 40_000), strict=True))  # FLUX
MOST_NAMES = 5  # per provider
MOST_A_DAY = 10  # entries of a list shown per day; complete lists are compressed

Report = dict[str, Any]


class Member(NamedTuple):
    """A node in a group, or in none without a `key`. `cores` None: not known."""

    key: str | int | None
    tier: str
    cores: float | None


@dataclass(slots=True)
class Group:
    """Sums of the nodes of one group."""

    nodes: int = 0
    collateral: int = 0
    cores: list[float] = field(default_factory=list)

    def add(self, node: Member) -> None:
        self.nodes += 1
        self.collateral += COLLATERAL[node.tier]
        if node.cores is not None:
            self.cores.append(node.cores)

    @property
    def weights(self) -> Report:
        """Return the three weights; cores are not known if no node reports them."""
        cores = round(sum(self.cores), 2) if self.cores else None
        return {"nodes": self.nodes, "collateral": self.collateral, "cores": cores}


Groups = Mapping[Any, Group]


def group(members: Iterable[Member]) -> Groups:
    groups: dict[Any, Group] = defaultdict(Group)
    for node in members:
        if node.key is not None:
            groups[node.key].add(node)
    return groups


def concentration(groups: Groups) -> Report | None:
    """Return the concentration of nodes, collateral and cores, None without a group."""
    by = {weight: _concentrated([one.weights[weight] for one in groups.values()]) for weight in Group().weights}
    return by["nodes"] and {**by["nodes"], "collateral": by["collateral"], "cores": by["cores"]}


def _concentrated(weights: Iterable[float | None]) -> Report | None:
    """Return counts and shares of the groups with a weight, None if there are none."""
    ordered = sorted((weight for weight in weights if weight), reverse=True)
    if not ordered:
        return None
    total = sum(ordered)
    return {
        "count": len(ordered),
        "nakamoto33": fewest(ordered, total, 33),
        "nakamoto50": fewest(ordered, total, 50),
        "hhi": round(10_000 * sum((weight / total) ** 2 for weight in ordered), 1),
        "top10_percent": round(100 * sum(ordered[:10]) / total, 2),
    }


def fewest(ordered: Sequence[float], total: float, percent: int) -> int:
    """Return the smallest number of weights with more than this percentage of all."""
    have = 0.0
    for number, weight in enumerate(ordered, 1):
        have += weight
        if have * 100 > total * percent:
            return number
    return len(ordered)


def listed(groups: Groups, name: str, **more: Callable[[Any], object]) -> list[Report]:
    """Return the groups as a list, largest first."""
    ordered = sorted(groups.items(), key=lambda item: (-item[1].nodes, -item[1].collateral, str(item[0])))
    return [{name: key} | {what: of(key) for what, of in more.items()} | one.weights for key, one in ordered]


def of_the_list(nodes: Sequence[ListedNode], cores: Mapping[str, float]) -> Report:
    """Return tiers and operators; for operators only their number and holdings."""

    def by(key: Callable[[ListedNode], str | None]) -> Groups:
        return group(Member(key(node), node.tier, cores.get(node.collateral)) for node in nodes)

    tiers, addresses, keys = by(lambda node: node.tier), by(_paid_to), by(lambda node: node.pubkey)
    return {
        "tiers": {tier.lower(): tiers.get(tier, Group()).weights for tier in TIERS},
        "by_payment_address": concentration(addresses),
        "by_pubkey": concentration(keys),
        "coverage": {
            "nodes": len(nodes),
            "withPaymentAddress": _nodes(addresses),
            "withPubkey": _nodes(keys),
            "withCores": sum(node.collateral in cores for node in nodes),
        },
    }


def _paid_to(node: ListedNode) -> str | None:
    return node.payment_address


def _nodes(groups: Groups) -> int:
    return sum(one.nodes for one in groups.values())


def of_the_facts(nodes: Sequence[NodeFacts]) -> tuple[Report, Report]:
    """Return a day's places, providers, versions and operators, and the complete lists."""

    def by(key: Callable[[NodeFacts], str | int | None]) -> Groups:
        return group(Member(key(node), node.tier, node.cores) for node in nodes)

    groups = {
        "continents": by(lambda node: node.continent),
        "countries": by(lambda node: node.country),
        "providers": by(lambda node: node.provider),
        "fluxos": by(lambda node: node.fluxos),
        "daemon": by(lambda node: node.daemon),
        "benchmark": by(lambda node: node.benchmark),
    }
    names = _provider_names(nodes)
    lists: Report = {name: listed(groups[name], "code") for name in ("continents", "countries")}
    lists["providers"] = listed(groups["providers"], "asn", names=names.__getitem__)
    lists["versions"] = {name: listed(groups[name], "version") for name in ("fluxos", "daemon", "benchmark")}
    zelids = by(lambda node: node.zelid)
    shown = {
        "by_zelid": concentration(zelids),
        "concentration": {name: concentration(groups[name]) for name in ("countries", "providers")},
        **arcane(nodes),
        **_shortened(lists),
        "coverage": {
            "facts": len(nodes),
            "reached": sum(node.reached for node in nodes),
            "withCountry": _nodes(groups["countries"]),
            "withProvider": _nodes(groups["providers"]),
            "withFluxos": _nodes(groups["fluxos"]),
            "withZelid": _nodes(zelids),
            "factsWithCores": sum(node.cores is not None for node in nodes),
        },
    }
    return shown, lists


def _shortened(lists: Report) -> Report:
    short = {name: rows[:MOST_A_DAY] for name, rows in lists.items() if name != "versions"}
    short["providers"] = [row | {"names": row["names"][:1]} for row in short["providers"]]
    return {**short, "versions": {name: rows[:MOST_A_DAY] for name, rows in lists["versions"].items()}}


def _provider_names(nodes: Sequence[NodeFacts]) -> dict[Any, list[str]]:
    """Return the names of each provider, most frequent first."""
    names: dict[Any, Counter[str]] = defaultdict(Counter)
    for node in nodes:
        names[node.provider].update(node.provider_names)
    return {number: [name for name, _ in of.most_common(MOST_NAMES)] for number, of in names.items()}


def arcane(nodes: Sequence[NodeFacts]) -> Report:
    """Return the percentage of ArcaneOS among nodes that report their system, None if none does."""
    members = [Member(node.arcane, node.tier, node.cores) for node in nodes if node.arcane is not None]
    groups = group(members)
    have, not_have = (groups.get(is_arcane, Group()).weights for is_arcane in (True, False))
    shares = {name: _percent(have[name] or 0, not_have[name] or 0) for name in have}
    return {"arcane_percent": shares.pop("nodes"), "arcane": shares}


def _percent(part: float, rest: float) -> float | None:
    return round(100 * part / (part + rest), 2) if part + rest else None
