"""The tiles: revenue, nodes, cloud, apps, games and crypto nodes, each against the period that was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from dashboard.definitions import Definition, definitions
from dashboard.panels.base import Panel
from dashboard.panels.earnings import earnings
from dashboard.panels.figures import CORES, COUNT, SHARE, SIZE, Figure, Form, Leaf, Sparks, figure, network, revenue
from dashboard.status import problems_of
from fluxtracker import formatting
from fluxtracker.periods import Bucket
from metrics.catalogue import GROUPS, percent, tracked_apps
from metrics.models import TrackedApp
from metrics.selectors import Latest, metrics_stamp
from snapshots.comparison import cache, serializers

LISTED = 5  # tracked apps of a tile; the others are folded
PERIODS = {bucket: bucket.capitalize() for bucket in Bucket}
AGO = {
    Bucket.DAY: "yesterday",
    Bucket.WEEK: "7 days ago",
    Bucket.MONTH: "30 days ago",
    Bucket.QUARTER: "90 days ago",
    Bucket.YEAR: "365 days ago",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """`lead` is its large figure, `folded` what is one click away; `troubles` say what is old and why."""

    definition: Definition
    lead: Figure | None
    rows: tuple[Figure, ...]
    folded: tuple[Figure, ...] = ()
    troubles: tuple[str, ...] = ()
    read_at: datetime | None = None
    coverage: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What the tiles of the network are made of."""

    now: datetime
    answer: Mapping[str, Any]
    latest: Latest
    sparks: Sparks
    why_no_change: str
    definitions: Mapping[str, Definition]

    def figure(self, metric: str, label: str, leaf: Leaf, form: Form = COUNT, **more: Any) -> Figure:
        found = figure(metric, label, leaf, form, spark=self.sparks.of(metric), **more)
        why_no_change = self.why_no_change or "That day's snapshot does not have it."
        return replace(
            found,
            why="" if found.value else "Not read yet.",
            why_no_change="" if found.change or not found.value else why_no_change,
        )

    def tile(self, key: str, lead: Figure | None, rows: Iterable[Figure], **more: Any) -> Tile:
        definition = self.definitions[key]
        return Tile(
            definition,
            lead,
            tuple(rows),
            troubles=problems_of(definition.sources, self.latest, self.now),
            read_at=min((at for at in self._times(definition) if at), default=None),
            **more,
        )

    def _times(self, definition: Definition) -> Iterable[datetime | None]:
        return (self.latest.sources[name].read_at for name in definition.sources)


def chosen(query: QueryDict) -> Bucket:
    """Return the period of the address; a week when it says none, or none that there is."""
    asked = query.get("period", "").upper()
    return next((bucket for bucket in Bucket if bucket.letter == asked), Bucket.WEEK)


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Few queries however many figures there are; the comparison itself is mostly kept ready."""
    bucket = chosen(query)
    answer = serializers.with_ages(cache.find(bucket, now).answer, now)
    latest = Latest.load(now)
    material = Material(now, answer, latest, network(latest, now), _why_no_change(answer), definitions())
    earned = earnings(bucket, answer["revenue"], revenue(now))
    return {
        "bucket": bucket,
        "earned": earned,
        "earned_definition": material.definitions["revenue"],
        "against": _against(bucket, answer),
        "partial": _notice(answer, revenue_is_whole=earned.as_of is not None and not earned.late),
        "tiles": _tiles(material),
        "page_title": earned.title,
    }


def stamp(query: QueryDict, now: datetime) -> object:
    """Nothing that the tiles show can change without this; the clock has its part once a minute."""
    made = cache.find(chosen(query), now)
    return made.stamp, made.made_at, metrics_stamp(), int(now.timestamp()) // 60


def _tiles(material: Material) -> tuple[Tile, ...]:
    tracked = tracked_apps()
    return (
        _nodes(material),
        _cloud(material),
        _apps(material),
        _tracked("gaming", "Total game servers", material, tracked),
        _tracked("crypto", "All crypto nodes", material, tracked),
    )


def _nodes(material: Material) -> Tile:
    nodes = material.answer["nodes"]
    total = nodes["total"]["current"]
    rows = (
        material.figure(f"node_{tier}", tier.capitalize(), nodes[tier], share=percent(nodes[tier]["current"], total))
        for tier in ("cumulus", "nimbus", "stratus")
    )
    return material.tile("nodes", material.figure("node_total", "Total nodes", nodes["total"]), rows)


def _cloud(material: Material) -> Tile:
    """Return each resource by its use; total and used stand beside it."""
    kinds = (("cpu", "CPU", CORES), ("ram", "RAM", SIZE), ("storage", "Storage", SIZE))
    rows = (_resource(key, label, form, material) for key, label, form in kinds)
    coverage = material.latest.sources["cloud"].coverage
    return material.tile("cloud", None, rows, coverage=_nodes_missing(coverage))


def _resource(key: str, label: str, form: Form, material: Material) -> Figure:
    leaves, metrics = material.answer["cloud"][key], GROUPS[key]
    use = material.figure(metrics["utilization"], label, leaves["utilization"], SHARE)
    sides = [material.figure(metrics[side], side, leaves[side], form) for side in ("used", "total")]
    known = all(side.value for side in sides)
    unit = " cores" if form is CORES else ""
    return replace(
        use,
        share=use.number,
        detail=f"{sides[0].value} of {sides[1].value}{unit}" if known else "",
        exact=f"{sides[0].exact} of {sides[1].exact}" if known else use.exact,
    )


def _nodes_missing(coverage: Mapping[str, Any] | None) -> str:
    """Return how many nodes the capacity rests on."""
    if not coverage or "counted" not in coverage or "rows" not in coverage:
        return ""
    nodes = formatting.plural(coverage["rows"] - coverage.get("repeated", 0), "node")
    capacity, used = (_known(coverage.get(half) or coverage) for half in ("capacity", "used"))
    said = (
        f"From {capacity} of {nodes}" if capacity == used else f"Capacity from {capacity}, use from {used} of {nodes}"
    )
    stood_in = coverage.get("remembered") or 0
    return f"{said}, {formatting.whole(stood_in)} of them as last known." if stood_in else f"{said}."


def _known(coverage: Mapping[str, Any]) -> str:
    return formatting.whole(coverage["counted"] + coverage.get("remembered", 0))


def _apps(material: Material) -> Tile:
    apps = material.answer["apps"]
    rows = (
        material.figure("gitapps_count", "Deployed from Git", apps["gitapps"], share=_part(apps, "gitapps")),
        material.figure("dockerapps_count", "Docker", apps["dockerapps"], share=_part(apps, "dockerapps")),
        material.figure("wordpress_count", "WordPress", material.answer["wordpress"]["count"]),
        material.figure("watchtower_count", "Watchtower (not in total)", apps["watchtower"]),
    )
    total = material.figure("total_apps", "Running containers", apps["total"])
    return material.tile("apps", total, rows, coverage=_resolved(material.latest.sources["apps"].coverage))


def _part(apps: Mapping[str, Any], key: str) -> float | None:
    return percent(apps[key]["current"], apps["total"]["current"])


def _resolved(coverage: Mapping[str, Any] | None) -> str:
    """Of how many containers the image is known."""
    if not coverage or coverage.get("resolvedPercent") is None:
        return ""
    return f"The image of {formatting.percent(coverage['resolvedPercent'])} of them is known."


def _tracked(category: str, label: str, material: Material, tracked: Iterable[TrackedApp]) -> Tile:
    """Return the most run first; those nobody knows last."""
    leaves = material.answer[category]
    found = [
        material.figure(app.column, app.name, leaves[app.key])
        for app in tracked
        if app.category == category and app.key in leaves
    ]
    found.sort(key=lambda one: (one.number is None, -(one.number or 0), one.label))
    metric = GROUPS[category]["total"]
    total = material.figure(metric, label, leaves["total"])
    return material.tile(category, total, found[:LISTED], folded=tuple(found[LISTED:]))


def _against(bucket: Bucket, answer: Mapping[str, Any]) -> str:
    """Return what the changes of the network are against: `Wed 11 Nov, 7 days ago`."""
    day = date.fromisoformat(answer["comparisonDate"])
    return f"{_day(day)}, {AGO[bucket]}"


def _partial(answer: Mapping[str, Any]) -> str:
    """That there is nothing to compare with, and which day is the nearest; empty when there is."""
    if not answer["partialData"]:
        return ""
    wanted = _day(date.fromisoformat(answer["comparisonDate"]))
    if answer["nearestDate"] is None:
        return (
            f"There is no snapshot of {wanted}, and none of any other day yet. The first is taken soon after 00:05 UTC."
        )
    nearest = _day(date.fromisoformat(answer["nearestDate"]))
    return f"There is no snapshot of {wanted} to compare with; the nearest day that has one is {nearest}."


def _notice(answer: Mapping[str, Any], *, revenue_is_whole: bool) -> str:
    """What follows from there being nothing to compare with: of the network, and, where it is so, not of revenue."""
    partial = _partial(answer)
    if not partial:
        return ""
    lead = "Until then the" if answer["nearestDate"] is None else "The"
    rest = "; revenue is complete" if revenue_is_whole else ""
    return f"{partial} {lead} network's changes are not known{rest}."


def _why_no_change(answer: Mapping[str, Any]) -> str:
    return _partial(answer)


def _day(day: date) -> str:
    year = f" {day.year}" if day.year != timezone.now().year else ""
    return f"{day:%a} {day.day} {day:%b}{year}"


TILES = Panel("tiles", "Figures", "parts/tiles.html", read, stamp)
