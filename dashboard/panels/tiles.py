"""Show the tiles: revenue, nodes, cloud, apps, games and crypto nodes, each against the period that was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone

from dashboard.panels.base import Panel
from dashboard.panels.figures import (
    CORES,
    COUNT,
    FLUX,
    SHARE,
    SIZE,
    USD,
    Change,
    Figure,
    Form,
    Leaf,
    Sparks,
    change,
    network,
    revenue,
)
from fluxtracker import formatting
from fluxtracker.periods import Bucket
from metrics.catalogue import GROUPS, percent, tracked_apps
from metrics.models import Source, TrackedApp
from metrics.selectors import Latest, metrics_stamp
from metrics.status import source_status
from ops.status import words
from snapshots.comparison import cache, serializers

LISTED = 5  # tracked apps of a tile; the others are folded


class Words(NamedTuple):
    """Names of a period: on its switch, as an age, for itself and for the previous one."""

    label: str
    ago: str
    this: str
    last: str


PERIODS: Mapping[Bucket, Words] = {
    Bucket.DAY: Words("Day", "yesterday", "today", "yesterday"),
    Bucket.WEEK: Words("Week", "7 days ago", "this week", "last week"),
    Bucket.MONTH: Words("Month", "30 days ago", "this month", "last month"),
    Bucket.QUARTER: Words("Quarter", "90 days ago", "this quarter", "last quarter"),
    Bucket.YEAR: Words("Year", "365 days ago", "this year", "last year"),
}
TITLES: Mapping[str, str] = {
    "revenue": "Revenue",
    "nodes": "Nodes",
    "cloud": "Cloud",
    "apps": "Apps",
    "gaming": "Games",
    "crypto": "Crypto nodes",
}
SOURCES: Mapping[str, tuple[str, ...]] = {  # those whose age decides how fresh a tile is
    "nodes": (Source.Name.NODES,),
    "cloud": (Source.Name.CLOUD,),
    "apps": (Source.Name.APPS, Source.Name.SPECS),
    "gaming": (Source.Name.APPS, Source.Name.SPECS),
    "crypto": (Source.Name.APPS, Source.Name.SPECS),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """`lead` is its large figure, `folded` what is one click away; `troubles` say what is old and why."""

    key: str
    title: str
    lead: Figure | None
    rows: tuple[Figure, ...]
    folded: tuple[Figure, ...]
    troubles: tuple[str, ...]
    read_at: datetime | None
    coverage: str


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
        folded: Iterable[Figure] = (),
        coverage: str = "",
    ) -> Tile:
        sources = [self.latest.sources[name] for name in SOURCES[key]]
        statuses = [source_status(source) for source in sources]
        return Tile(
            key,
            TITLES[key],
            lead,
            tuple(rows),
            tuple(folded),
            tuple(words(status, self.now, public=True) for status in statuses if not status.is_ok),
            min((source.read_at for source in sources if source.read_at), default=None),
            coverage,
        )


def chosen(query: QueryDict) -> Bucket:
    """Return the period of the address; a week when it says none, or none that there is."""
    letter = query.get("period", "").upper()
    return next((bucket for bucket in Bucket if bucket.letter == letter), Bucket.WEEK)


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read the tiles. The number of queries does not grow with the figures; the comparison is usually ready."""
    bucket = chosen(query)
    answer = serializers.with_ages(cache.find(bucket, now).answer, now)
    latest = Latest.load(now)
    partial = _partial(answer)
    earned = _earned(bucket, answer["revenue"], revenue(now))
    day = date.fromisoformat(answer["comparisonDate"])
    return {
        "bucket": bucket,
        "earned": earned,
        "against": f"{_day(day, with_year=True)}, {PERIODS[bucket].ago}",
        "partial": partial and f"{partial} {_consequence(answer, earned)}",
        "tiles": _tiles(Material(now, answer, latest, network(latest, now), partial)),
        "page_title": _title(earned),
        "confirmations": settings.MIN_CONFIRMATIONS,
    }


def stamp(query: QueryDict, now: datetime) -> object:
    """Return what the tiles depend on: comparison, readings and the minute."""
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
    """Return the most run first, the unknown last."""
    leaves = material.answer[category]
    found = [
        material.figure(app.column, app.name, leaves[app.key])
        for app in tracked
        if app.category == category and app.key in leaves
    ]
    found.sort(key=lambda one: (one.number is None, -(one.number or 0), one.label))
    total = material.figure(GROUPS[category]["total"], label, leaves["total"])
    return material.tile(category, total, found[:LISTED], found[LISTED:])


def _partial(answer: Mapping[str, Any]) -> str:
    """Say that there is nothing to compare with, and which day is the nearest; empty when there is."""
    if not answer["partialData"]:
        return ""
    day = _day(date.fromisoformat(answer["comparisonDate"]), with_year=True)
    if answer["nearestDate"] is None:
        return f"There is no snapshot of {day}, and none of any other day yet. The first is taken soon after 00:05 UTC."
    nearest = _day(date.fromisoformat(answer["nearestDate"]), with_year=True)
    return f"There is no snapshot of {day} to compare with; the nearest day that has one is {nearest}."


def _consequence(answer: Mapping[str, Any], earned: Mapping[str, Any]) -> str:
    lead = "Until then the" if answer["nearestDate"] is None else "The"
    rest = "; revenue is complete" if earned["as_of"] and not earned["late"] else ""
    return f"{lead} network's changes are not known{rest}."


@dataclass(frozen=True, slots=True)
class Line:
    """One of FLUX, dollars and payments: now, against the like-for-like part and against the whole period before."""

    figure: Figure
    before: str
    """The like-for-like part of the period before, with its unit; empty when it is not known."""
    whole: str
    """The whole period before, with its unit."""
    whole_change: Change | None
    note: str


def _earned(bucket: Bucket, answer: Mapping[str, Any], sparks: Sparks) -> dict[str, Any]:
    """Read the `revenue` part of a comparison. The ranges say from when to when."""
    like = answer["toDate"]
    as_of = answer["asOf"] and datetime.fromisoformat(answer["asOf"])
    why, late = "No sync has completed yet.", ""
    if as_of:
        at = formatting.moment(as_of)
        why = f"Not read yet: the last complete sync was on {at}."
        late = f"No sync has completed since {at}: newer payments are missing." if answer["stale"] else ""
    why_no_usd = "None of these payments has a price yet." if like["payments"]["count"] else why
    period = answer["previous"]
    return {
        "this": PERIODS[bucket].this,
        "last": PERIODS[bucket].last,
        "range": f"{_day(datetime.fromisoformat(like['current']['start']))} – now",
        "like_range": _stretch(*(datetime.fromisoformat(like["previous"][end]) for end in ("start", "end"))),
        "whole_range": _between(*(date.fromisoformat(period[end]) for end in ("start", "end"))),
        "whole_days": like["wholeDays"],
        "is_whole_complete": bool(period.get("complete")),
        "flux": _line("revenue_flux", "FLUX", FLUX, answer["flux"], like["flux"], why, sparks),
        "usd": _line("revenue_usd", "US dollars", USD, answer["usd"], like["usd"], why_no_usd, sparks),
        "payments": _line("payments", "Payments", COUNT, answer["payments"], like["payments"], why, sparks),
        "as_of": as_of,
        "late": late,
    }


def _line(
    metric: str, label: str, form: Form, whole: Mapping[str, Any], like: Mapping[str, Any], why: str, sparks: Sparks
) -> Line:
    key = "count" if form is COUNT else "amount"
    before = like["previous"]
    figure = Figure.of(
        metric,
        label,
        like[key],
        form,
        why=why,
        change=_difference(like[key], before, form),
        why_no_change="No earlier data: the ledger does not reach back that far." if before is None else "",
        spark=sparks.of(metric),
    )
    return Line(
        figure,
        before="" if before is None else _with_unit(before, form),
        whole="" if whole["previous"] is None else _with_unit(whole["previous"], form),
        whole_change=_difference(whole[key], whole["previous"], form),
        note=" · ".join(_unpriced(like)),
    )


def _difference(current: float | None, before: float | None, form: Form) -> Change | None:
    """Return the change, absolute and in percent; the API has only the percentage of FLUX and dollars."""
    if current is None or before is None:
        return None
    difference = round(current - before, 8)
    return change(difference, form.change, round(difference * 100 / before, 2) if before else None)


def _with_unit(value: float, form: Form) -> str:
    if form is COUNT:
        return formatting.plural(int(value), "payment")
    return f"{form.value(value)} FLUX" if form is FLUX else form.value(value)


def _unpriced(like: Mapping[str, Any]) -> Iterable[str]:
    """Yield how many payments the dollars leave out."""
    if like.get("usdMissing") and like["amount"] is not None:
        yield f"{formatting.whole(like['usdMissing'])} without a price"
    if like.get("usdMissingPrevious"):
        yield f"{formatting.whole(like['usdMissingPrevious'])} before without a price"


def _title(earned: Mapping[str, Any]) -> str:
    """Return `▲ +8.0 % · 31,204.55 FLUX this week`, the title of the page."""
    figure: Figure = earned["flux"].figure
    if not figure.value:
        return "Revenue not known yet"
    moved = figure.change
    lead = f"{moved.arrow} {moved.share} · " if moved and moved.share else ""
    return f"{lead}{figure.value} FLUX {earned['this']}"


def _stretch(start: datetime, end: datetime) -> str:
    """Return `Mon 9 Nov – Thu 12 Nov, 14:05 UTC`; whole days without their midnight."""
    if end <= start:
        return f"{_day(start)}, 00:00 UTC"
    if end.time() == start.time():
        return _between(start, end - timedelta(days=1))
    return f"{_between(start, end)}, {end:%H:%M} UTC"


def _between(first: date, last: date) -> str:
    return " – ".join(dict.fromkeys((_day(first), _day(last))))


def _day(day: date, *, with_year: bool = False) -> str:
    year = f" {day.year}" if with_year and day.year != timezone.now().year else ""
    return f"{day:%a} {day.day} {day:%b}{year}"


TILES = Panel("tiles", "Figures", "parts/tiles.html", read, stamp, keys=("period",), usual=Bucket.WEEK.letter)
