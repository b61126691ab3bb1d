"""Render the chart panel on the server, with links to other metrics, ranges and buckets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import QueryDict

from dashboard.panels import tile_figures
from dashboard.panels.base import Panel
from dashboard.panels.chart import filters, sentences
from dashboard.panels.chart.filters import View
from dashboard.panels.periods import RANGE
from fluxtracker import formatting
from fluxtracker.database import read_snapshot
from fluxtracker.periods import is_fresh
from metrics.models import ImageCount
from revenue.models import STALE
from snapshots.series import choices, selectors
from snapshots.series.choices import LABELS, Category, Choice
from snapshots.series.selectors import DRAWN, MOST_DAYS, MOST_METRICS, Chart, Series, first_day_of

RANGES: tuple[tuple[filters.Days, str, str], ...] = (
    (7, "7d", "7 days"),
    (14, "14d", "14 days"),
    (30, "30d", "30 days"),
    (60, "60d", "60 days"),
    (90, "90d", "90 days"),
    (365, "1y", "1 year"),
    ("all", "all", "all days"),
)
STARTS = {  # default metrics of a category; for others the first metric
    Category.NODES: ("node_cumulus", "node_nimbus", "node_stratus"),
    Category.CLOUD: ("cpu_utilization_percent", "ram_utilization_percent", "storage_utilization_percent"),
    Category.APPS: ("total_apps", "gitapps_count", "dockerapps_count"),
}
IMAGES_SHOWN = 12


Context = dict[str, Any]


def ways(query: QueryDict, view: View, listed: Sequence[Choice]) -> Context:
    """Return the links to other views. `listed`: all metrics offered, including some images.

    `categories` omits empty ones. `chosen`: the link is or belongs to the current view.
    """

    def link(label: str, other: View, chosen: bool = False, words: str = "") -> Context:
        address = filters.address(query, replace(other, wrong={}))
        return {"label": label, "address": address, "chosen": chosen, "words": words}

    current = view.choices[0].category
    inside = dict.fromkeys(choice for choice in [*listed, *view.choices] if choice.category == current)
    starts = {category: _start(category, listed) for category in Category}
    return {
        "categories": [
            link(LABELS[category], view.with_choices(start), category == current)
            for category, start in starts.items()
            if start
        ],
        "metrics": [
            link(choice.label, view.with_choices(_toggled(view, choice)), choice in view.choices) for choice in inside
        ],
        "ranges": [
            *_shared(link, view),
            *(link(label, view.with_days(days), days == view.days, words) for days, label, words in RANGES),
        ],
        "buckets": [
            link(bucket.capitalize(), replace(view, bucket=bucket, every_row=False), bucket == view.bucket)
            for bucket in DRAWN
        ],
        "every_row": link("every row", replace(view, every_row=True)),
        "all_days": link("all days", view.with_days("all")),
    }


def _shared(link: Callable[..., Context], view: View) -> list[Context]:
    """Return the link to the range of all panels, if there is one."""
    return (
        [link("range", replace(view, follows=True, every_row=False), view.follows, "of all panels")]
        if view.range
        else []
    )


def top_images() -> list[Choice]:
    """Return the images with the most containers now."""
    names = ImageCount.objects.values_list("image", flat=True)[:IMAGES_SHOWN]
    return [choices.of_image(name) for name in names]


def _start(category: Category, listed: Sequence[Choice]) -> list[Choice]:
    inside = [choice for choice in listed if choice.category == category]
    return [choice for choice in inside if choice.key in STARTS.get(category, ())] or inside[:1]


def _toggled(view: View, choice: Choice) -> list[Choice]:
    """Return the choices with the metric added or removed; the only one stays."""
    if choice not in view.choices:
        return [*view.choices[: MOST_METRICS - 1], choice]
    return [other for other in view.choices if other != choice] or [choice]


ROWS_SHOWN = 31
WIDTH, HEIGHT = 720, 200
LIBRARY = {"uplot": "uplot/uPlot.iife.min.js", "uplot-css": "uplot/uPlot.min.css", "chart": "js/chart.js"}


def read(query: QueryDict, now: datetime) -> Context:
    """Read the chart. The number of queries does not grow with days or metrics."""
    with read_snapshot():
        listed = choices.fixed()
        view = filters.parse(query, listed, now.date())
        chart = selectors.read(request=view, now=now)
        top = top_images()
        is_known = _is_known(chart)
        first = None if is_known else first_day_of(view.choices)
        has_history = bool(is_known or first or selectors.first_day())
    rows = sentences.rows(chart)
    is_cut = view.days == "all" and view.length == MOST_DAYS
    older = [f"There are older days; a chart holds {formatting.whole(MOST_DAYS)}."] if is_cut else []
    return {
        "view": view,
        "chart": chart,
        "look": _look(chart, now),
        "ways": ways(query, view, [*listed, *top]),
        "legend": [_entry(query, view, chart, number) for number in range(len(chart.series))],
        "before": sentences.before(chart),
        "drawing": _drawing(chart),
        "range": sentences.days(view.first, view.last),
        "marks": sentences.marks(chart),
        "notes": [*_troubles(chart, now), *older, *filter(None, [sentences.nothing_before(chart)])],
        "rings": any(drawn.line.partial for drawn in chart.series),
        "rows": rows if view.every_row else rows[:ROWS_SHOWN],
        "rows_total": len(rows),
        "listed": [(choice, LABELS[choice.category]) for choice in [*listed, *top]],
        "others": filters.others(query),
        "kept": list(view.keys().items()),
        "kept_days": [pair for pair in view.keys().items() if pair[0] in ("metrics", "bucket", "days")],
        "each": view.bucket.capitalize(),
        "here": filters.encoded(list(view.keys().items())),
        "exactly": filters.encoded(list(view.exactly().items())),
        "beside": filters.encoded(list(view.beside().items())),
        "today": now.date(),
        "library": _library(),
        "history_from": first,
        "has_history": has_history,
        "most": MOST_METRICS,
    }


def stamp(query: QueryDict, now: datetime) -> Hashable:
    """Return a stamp that changes with the panel's content."""
    return selectors.stamp(now)


def _is_known(chart: Chart) -> bool:
    """Return whether there is anything to draw."""
    return any(sentences.last_known(drawn.line) for drawn in chart.series)


def _look(chart: Chart, now: datetime) -> str:
    if not _is_known(chart):
        return "empty"
    if any(_troubles(chart, now)):
        return "stale"
    return "partial" if any(None in drawn.line.points for drawn in chart.series) else "fresh"


def _entry(query: QueryDict, view: View, chart: Chart, number: int) -> Context:
    """Return a line in the legend. `without` is the view without it, empty for the only one."""
    drawn = chart.series[number]
    last = sentences.last_known(drawn.line)
    left = [choice for choice in view.choices if choice != drawn.choice]
    return {
        "number": number + 1,
        "choice": drawn.choice,
        "last": sentences.value(drawn.choice, last[1]) if last else "",
        "when": sentences.when(chart, last[0]) if last else "",
        "sentence": sentences.sentence(drawn, chart),
        "without": filters.address(query, replace(view.with_choices(left), wrong={})) if left else "",
    }


def _drawing(chart: Chart) -> Context | None:
    """Return the first metric as SVG with its bounds in words, None if nothing is known.

    Sums are bars from 0, with incomplete ones marked; a state is a line.
    """
    drawn = chart.series[0]
    line, ghost = drawn.line, drawn.ghost.points if drawn.ghost else []
    is_bars = drawn.choice.is_sum and not chart.request.cumulative
    known = [point for point in [*line.points, *ghost, *([0] if is_bars else [])] if point is not None]
    if not any(point is not None for point in [*line.points, *ghost]):
        return None
    bounds = (min(known), max(known)) if min(known) < max(known) else None
    draw = tile_figures.bars if is_bars else tile_figures.line
    whole = [None if number in line.partial and is_bars else point for number, point in enumerate(line.points)]
    rest = [point if number in line.partial and is_bars else None for number, point in enumerate(line.points)]
    return {
        "line": draw(whole, WIDTH, HEIGHT, bounds),
        "rest": draw(rest, WIDTH, HEIGHT, bounds),
        "ghost": draw(ghost, WIDTH, HEIGHT, bounds),
        "is_bars": is_bars,
        "low": "0" if is_bars else sentences.value(drawn.choice, min(known)),
        "high": sentences.value(drawn.choice, max(known)),
        "width": WIDTH,
        "height": HEIGHT,
    }


def _troubles(chart: Chart, now: datetime) -> Iterator[str]:
    """Yield which of today's values are stale, and since when."""
    if chart.request.last < chart.today:
        return
    if any(drawn.choice.is_sum for drawn in chart.series):
        if chart.completed_at is None:
            yield "No sync has completed yet: revenue is not known."
        elif not is_fresh(chart.completed_at, now, STALE):
            yield f"Payments were last read {formatting.moment(chart.completed_at)}; newer ones will follow."
    for read_at, names in _stale(chart.series).items():
        yield f"{names}: last read {formatting.moment(read_at)}; newer readings will follow."


def _stale(drawn_series: Iterable[Series]) -> dict[datetime, str]:
    """Return the metrics with late readings, by time of the reading."""
    late: dict[datetime, str] = {}
    for drawn in drawn_series:
        if drawn.live and drawn.live.stale:
            before = late.get(drawn.live.read_at)
            late[drawn.live.read_at] = f"{before}, {drawn.choice.label}" if before else drawn.choice.label
    return late


def _library() -> dict[str, str]:
    """Return the URLs of the chart library, empty before `make setup` has built it."""
    try:
        return {name: staticfiles_storage.url(path) for name, path in LIBRARY.items()}
    except ValueError:
        return {}


CHART = Panel(
    "chart",
    "Chart",
    "panels/chart/panel.html",
    read,
    stamp,
    keys=(*filters.KEYS, *filters.TYPED, RANGE),
    usual=filters.DEFAULT,
)
