"""The chart: several metrics over a range, drawn by the server first and by the browser when it is looked at."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import QueryDict

from dashboard import chart_links, chart_view, chart_words, spark
from dashboard.chart_view import View
from dashboard.chart_words import EACH
from dashboard.panels import Panel
from fluxtracker import figures
from fluxtracker.api.reading import one_moment
from fluxtracker.fresh import is_fresh
from revenue.reports import STALE
from snapshots import choices, series
from snapshots.choices import LABELS, Choice, Kind
from snapshots.dayvalues import first_day_of
from snapshots.series import MOST_DAYS, MOST_METRICS, Chart, Series

ROWS_SHOWN = 31
WIDTH, HEIGHT = 720, 200
LIBRARY = {"uplot": "uplot/uPlot.iife.min.js", "uplot-css": "uplot/uPlot.min.css", "chart": "js/chart.js"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line in the legend. `without` is the view that leaves it out; empty for the only one."""

    number: int
    choice: Choice
    last: str
    when: str
    sentence: str
    without: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The first metric as SVG, with its bounds in words."""

    line: str
    ghost: str
    low: str
    high: str
    width: int = WIDTH
    height: int = HEIGHT


def read(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Few queries, however long the range and however many the metrics."""
    with one_moment():
        listed = choices.fixed()
        view = chart_view.parse(query, listed, now.date())
        chart = series.read(wanted=view.wanted, now=now)
        top = chart_links.top_images()
        is_known = _is_known(chart)
        first = None if is_known else first_day_of(view.choices)
        has_history = bool(is_known or first or series.first_day())
    rows = chart_words.rows(chart)
    return {
        "view": view,
        "chart": chart,
        "look": _look(chart, now),
        "ways": chart_links.ways(query, view, [*listed, *top]),
        "legend": [_entry(query, view, chart, number) for number in range(len(chart.series))],
        "before": chart_words.before(chart),
        "drawing": _drawing(chart),
        "range": chart_words.days(view.first, view.last),
        "marks": chart_words.marks(chart),
        "notes": [*_troubles(chart, now), *_cut(view), *filter(None, [chart_words.nothing_before(chart)])],
        "rings": any(drawn.line.partial for drawn in chart.series),
        "rows": rows if view.every_row else rows[:ROWS_SHOWN],
        "rows_total": len(rows),
        "listed": [(choice, LABELS[choice.category]) for choice in [*listed, *top]],
        "others": _others(query),
        "kept": list(view.keys().items()),
        "kept_days": [pair for pair in view.keys().items() if pair[0] in ("metrics", "bucket", "days")],
        "each": EACH[view.bucket].capitalize(),
        "here": chart_view.encoded(list(view.keys().items())),
        "exactly": chart_view.encoded(list(view.exactly().items())),
        "library": _library(),
        "history_from": first,
        "has_history": has_history,
        "most": MOST_METRICS,
    }


def stamp(query: QueryDict, now: datetime) -> Hashable:
    """The panel shows the same until this changes."""
    return series.stamp(now)


def _is_known(chart: Chart) -> bool:
    """Whether there is anything to draw."""
    return any(chart_words.last_known(drawn.line) for drawn in chart.series)


def _look(chart: Chart, now: datetime) -> str:
    if not _is_known(chart):
        return "empty"
    if any(_troubles(chart, now)):
        return "stale"
    return "partial" if any(None in drawn.line.points for drawn in chart.series) else "fresh"


def _entry(query: QueryDict, view: View, chart: Chart, number: int) -> Entry:
    drawn = chart.series[number]
    last = chart_words.last_known(drawn.line)
    left = [choice for choice in view.choices if choice != drawn.choice]
    return Entry(
        number=number + 1,
        choice=drawn.choice,
        last=chart_words.value(drawn.choice, last[1]) if last else "",
        when=chart_words.stretch(chart.spans[last[0]]) if last else "",
        sentence=chart_words.sentence(drawn, chart),
        without=chart_view.address(query, replace(view.with_choices(left), said={})) if left else "",
    )


def _drawing(chart: Chart) -> Drawing | None:
    """None when nothing of the first metric is known."""
    drawn = chart.series[0]
    ghost = drawn.ghost.points if drawn.ghost else []
    known = [point for point in [*drawn.line.points, *ghost] if point is not None]
    if not known:
        return None
    bounds = (min(known), max(known)) if min(known) < max(known) else None
    return Drawing(
        line=spark.line(drawn.line.points, WIDTH, HEIGHT, bounds),
        ghost=spark.line(ghost, WIDTH, HEIGHT, bounds),
        low=chart_words.value(drawn.choice, min(known)),
        high=chart_words.value(drawn.choice, max(known)),
    )


def _troubles(chart: Chart, now: datetime) -> Iterator[str]:
    """Which of today's values are old, and since when."""
    if chart.wanted.last < chart.today:
        return
    if any(drawn.choice.kind == Kind.SUM for drawn in chart.series):
        if chart.completed_at is None:
            yield "No sync has completed yet: revenue is not known."
        elif not is_fresh(chart.completed_at, now, STALE):
            yield f"Payments were last read {figures.moment(chart.completed_at)}; newer ones will follow."
    for read_at, names in _stale(chart.series).items():
        yield f"{names}: last read {figures.moment(read_at)}; newer readings will follow."


def _stale(found: Iterable[Series]) -> dict[datetime, str]:
    """The metrics whose reading is late, by the time of the reading."""
    late: dict[datetime, str] = {}
    for drawn in found:
        if drawn.live and drawn.live.stale:
            before = late.get(drawn.live.read_at)
            late[drawn.live.read_at] = f"{before}, {drawn.choice.label}" if before else drawn.choice.label
    return late


def _cut(view: View) -> Iterator[str]:
    if view.days == "all" and view.wanted.days == MOST_DAYS:
        yield f"There are older days; a chart holds {figures.whole(MOST_DAYS)}."


def _others(query: QueryDict) -> list[tuple[str, str]]:
    """What a form of this panel has to carry along for the rest of the page."""
    return [(key, str(value)) for key, value in query.items() if key not in (*chart_view.KEYS, *chart_view.TYPED)]


def _library() -> dict[str, str]:
    """Addresses of what the browser draws with; empty before `make setup` has built it."""
    try:
        return {name: staticfiles_storage.url(path) for name, path in LIBRARY.items()}
    except ValueError:
        return {}


CHART = Panel(
    name="chart",
    title="Chart",
    template="parts/chart.html",
    read=read,
    stamp=stamp,
    styles=("css/chart.css",),
    scripts=("js/chart-panel.js",),
)
