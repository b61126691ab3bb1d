"""Show the tiles: revenue of the selected period, and the network now and one period ago."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.http import QueryDict

from dashboard.panels import periods, revenue_tile
from dashboard.panels.base import Panel
from dashboard.panels.tile_figures import (
    CORES,
    COUNT,
    SHARE,
    SIZE,
    Figure,
    Form,
    Leaf,
    Sparks,
    change,
    network,
    revenue,
)
from fluxtracker import formatting
from metrics.metric_keys import GROUPS, percent, tracked_apps
from metrics.models import Source, TrackedApp
from metrics.selectors import Latest, metrics_stamp
from metrics.status import source_status
from ops.status import words
from snapshots.comparison import cache, serializers

LISTED = 5  # tracked apps of a tile; the others are folded


TITLES: Mapping[str, str] = {
    "revenue": "Revenue",
    "nodes": "Nodes",
    "cloud": "Cloud",
    "apps": "Apps",
    "gaming": "Games",
    "crypto": "Crypto nodes",
}
SOURCES: Mapping[str, tuple[str, ...]] = {  # sources whose age decides how fresh a tile is
    "nodes": (Source.Name.NODES,),
    "cloud": (Source.Name.CLOUD,),
    "apps": (Source.Name.APPS, Source.Name.SPECS),
    "gaming": (Source.Name.APPS, Source.Name.SPECS),
    "crypto": (Source.Name.APPS, Source.Name.SPECS),
}


Tile = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """The data of the tiles of the network."""

    now: datetime
    answer: Mapping[str, Any]
    latest: Latest
    sparks: Sparks
    partial: str

    def figure(self, metric: str, label: str, leaf: Leaf, form: Form = COUNT, **more: Any) -> Figure:
        """Return a figure from a leaf of the comparison. `more`: its share and detail."""
        current, in_points = leaf["current"], "points" in leaf
        difference, percentage = (leaf["points"], None) if in_points else (leaf["change"], leaf["percentage"])
        moved = change(difference, form.change, percentage)
        if moved and in_points:
            moved = replace(moved, trend="neutral")  # more use is neither good nor bad
        return Figure.of(
            metric,
            label,
            current,
            form,
            why="Not read yet.",
            change=moved,
            why_no_change="" if moved else self.partial or "That day's snapshot does not have it.",
            spark=self.sparks.of(metric),
            **more,
        )

    def tile(
        self,
        key: str,
        lead: Figure | None,
        rows: Iterable[Figure],
        folded: Sequence[Figure] = (),
        coverage: str = "",
    ) -> Tile:
        """Return a tile: `lead` is its large figure, `folded` those one click away."""
        sources = [self.latest.sources[name] for name in SOURCES[key]]
        problems = [status for source in sources if not (status := source_status(source)).is_ok]
        return {
            "key": key,
            "title": TITLES[key],
            "lead": lead,
            "rows": list(rows),
            "folded": folded,
            "troubles": [words(status, self.now, public=True) for status in problems],
            "read_at": min((source.read_at for source in sources if source.read_at), default=None),
            "coverage": coverage,
        }


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read the tiles. The number of queries does not grow with the figures; the comparison is usually ready."""
    chosen = periods.chosen(query, now)
    answer = serializers.with_ages(cache.find(chosen.choice.bucket, now).answer, now)
    latest = Latest.load(now)
    partial = _partial(answer, now)
    money = revenue_tile.load(chosen, answer["revenue"])
    day = periods.day_words(date.fromisoformat(answer["comparisonDate"]), now)
    return {
        "chosen": chosen,
        "earned": revenue_tile.context(money, revenue(now)),
        "against": f"{day}, {chosen.choice.ago}",
        "partial": partial and f"{partial} {_consequence(answer)}",
        "tiles": _tiles(Material(now, answer, latest, network(latest, now), partial)),
        "page_title": revenue_tile.title(money),
        "confirmations": settings.MIN_CONFIRMATIONS,
    }


def stamp(query: QueryDict, now: datetime) -> object:
    """Return the tiles' stamp: comparison, readings and the minute. Two small queries."""
    bucket = periods.chosen(query, now).choice.bucket
    return cache.stamp(bucket, cache.facts(), now), metrics_stamp(), int(now.timestamp()) // 60


def _tiles(material: Material) -> list[Tile]:
    tracked = tracked_apps()
    return [
        _nodes(material),
        _cloud(material),
        _apps(material),
        _tracked("gaming", "Total game servers", material, tracked),
        _tracked("crypto", "All crypto nodes", material, tracked),
    ]


def _nodes(material: Material) -> Tile:
    nodes = material.answer["nodes"]
    total = nodes["total"]["current"]
    rows = (
        material.figure(f"node_{tier}", tier.capitalize(), nodes[tier], share=percent(nodes[tier]["current"], total))
        for tier in ("cumulus", "nimbus", "stratus")
    )
    return material.tile("nodes", material.figure("node_total", "Total nodes", nodes["total"]), rows)


def _cloud(material: Material) -> Tile:
    """Return each resource by its use, next to total and used."""
    kinds = (("cpu", "CPU", CORES), ("ram", "RAM", SIZE), ("storage", "Storage", SIZE))
    rows = (_resource(key, label, form, material) for key, label, form in kinds)
    return material.tile("cloud", None, rows, coverage=_nodes_missing(material.latest.sources["cloud"].coverage))


def _resource(key: str, label: str, form: Form, material: Material) -> Figure:
    leaves, metrics = material.answer["cloud"][key], GROUPS[key]
    use = material.figure(metrics["utilization"], label, leaves["utilization"], SHARE)
    used, total = (material.figure(metrics[side], side, leaves[side], form) for side in ("used", "total"))
    if not (used.value and total.value):
        return replace(use, share=use.number)
    unit = " cores" if form is CORES else ""
    detail = f"{used.value} of {total.value}{unit}"
    return replace(use, share=use.number, detail=detail, exact=f"{used.exact} of {total.exact}")


def _nodes_missing(coverage: Mapping[str, Any] | None) -> str:
    """Return how many nodes the capacity rests on."""
    if not coverage or "counted" not in coverage or "rows" not in coverage:
        return ""
    nodes = formatting.plural(coverage["rows"] - coverage.get("repeated", 0), "node")
    capacity, used = (_known(coverage.get(half) or coverage) for half in ("capacity", "used"))
    words = (
        f"From {capacity} of {nodes}" if capacity == used else f"Capacity from {capacity}, use from {used} of {nodes}"
    )
    remembered = coverage.get("remembered") or 0
    return f"{words}, {formatting.whole(remembered)} of them as last known." if remembered else f"{words}."


def _known(coverage: Mapping[str, Any]) -> str:
    return formatting.whole(coverage["counted"] + coverage.get("remembered", 0))


def _apps(material: Material) -> Tile:
    apps = material.answer["apps"]
    git, docker = (percent(apps[kind]["current"], apps["total"]["current"]) for kind in ("gitapps", "dockerapps"))
    rows = (
        material.figure("gitapps_count", "Deployed from Git", apps["gitapps"], share=git),
        material.figure("dockerapps_count", "Docker", apps["dockerapps"], share=docker),
        material.figure("wordpress_count", "WordPress", material.answer["wordpress"]["count"]),
        material.figure("watchtower_count", "Watchtower (not in total)", apps["watchtower"]),
    )
    total = material.figure("total_apps", "Running containers", apps["total"])
    known = (material.latest.sources["apps"].coverage or {}).get("resolvedPercent")
    coverage = "" if known is None else f"The image of {formatting.percent(known)} of them is known."
    return material.tile("apps", total, rows, coverage=coverage)


def _tracked(category: str, label: str, material: Material, tracked: Iterable[TrackedApp]) -> Tile:
    """Return the apps, most run first, unknown last."""
    leaves = material.answer[category]
    figures = [
        material.figure(app.column, app.name, leaves[app.key])
        for app in tracked
        if app.category == category and app.key in leaves
    ]
    figures.sort(key=lambda one: (one.number is None, -(one.number or 0), one.label))
    total = material.figure(GROUPS[category]["total"], label, leaves["total"])
    return material.tile(category, total, figures[:LISTED], figures[LISTED:])


def _partial(answer: Mapping[str, Any], now: datetime) -> str:
    """Return that there is nothing to compare with, and the nearest day; empty if there is."""
    if not answer["partialData"]:
        return ""
    day = periods.day_words(date.fromisoformat(answer["comparisonDate"]), now)
    if answer["nearestDate"] is None:
        return f"There is no snapshot of {day}, and none of any other day yet. The first is taken soon after 00:05 UTC."
    nearest = periods.day_words(date.fromisoformat(answer["nearestDate"]), now)
    return f"There is no snapshot of {day} to compare with; the nearest day that has one is {nearest}."


def _consequence(answer: Mapping[str, Any]) -> str:
    lead = "Until then the" if answer["nearestDate"] is None else "The"
    rest = "; revenue is complete" if answer["revenue"]["asOf"] and not answer["revenue"]["stale"] else ""
    return f"{lead} network's changes are not known{rest}."


TILES = Panel("tiles", "Figures", "panels/tiles/panel.html", read, stamp, keys=periods.KEYS, usual=periods.USUAL.key)
