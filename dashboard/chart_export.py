"""The chart's values as a file: exactly the view, streamed, harmless in a spreadsheet."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.export_stream import csv_last_line, csv_lines, stream
from fluxtracker.api import params
from fluxtracker.api.caching import conditional
from fluxtracker.api.reading import one_moment
from fluxtracker.api.rendering import JSONRenderer
from fluxtracker.api.views import PublicView
from snapshots import series
from snapshots.series import UNKNOWN, Chart, Line
from snapshots.series_query import SeriesQuery, wanted

BATCH = 500
PARTIAL = "partial"


class ChartCsv(PublicView):
    """The same query keys as `/api/history/series`. Unknown values are empty cells."""

    name = "Chart as CSV"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """The address says what comes; only errors are rendered, in words."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(exclude=True)
    @conditional(lambda request: series.stamp(timezone.now()))
    def get(self, request: Request) -> HttpResponseBase:
        now = timezone.now()
        with one_moment():
            asked = wanted(params.read(SeriesQuery, request), now.date())
            chart = series.read(wanted=asked, now=now)
        name = f"fluxtracker-chart-{asked.first}-to-{asked.last}.csv"
        kind = "text/csv; charset=utf-8; header=present"
        return stream(request._request, _chunks(chart), name=name, kind=kind, last_line=csv_last_line)


def _chunks(chart: Chart) -> Generator[bytes, None, None]:
    yield csv_lines([_header(chart)])
    rows = _rows(chart)
    while batch := list(islice(rows, BATCH)):
        yield csv_lines(batch)


def _header(chart: Chart) -> list[str]:
    """A column for each metric and one that says where its value comes from and whether all of it is in."""
    keys = [drawn.choice.key for drawn in chart.series]
    columns = [column for key in keys for column in (key, f"{key} note")]
    before = ["previous_start", *(f"{key} previous" for key in keys)] if chart.before else []
    return ["start", "end", *columns, *before]


def _rows(chart: Chart) -> Iterator[list[object]]:
    """Oldest first."""
    partial = [frozenset(drawn.line.partial) for drawn in chart.series]
    for index, span in enumerate(chart.spans):
        row: list[object] = [span.first.isoformat(), span.last.isoformat()]
        for drawn, lacking in zip(chart.series, partial, strict=True):
            row += [_number(drawn.line, index), _note(drawn.line, index, index in lacking)]
        if chart.before:
            row += [chart.before[index].first.isoformat()]
            row += [drawn.ghost and _number(drawn.ghost, index) for drawn in chart.series]
        yield row


def _number(line: Line, index: int) -> object:
    return line.points[index]


def _note(line: Line, index: int, lacking: bool) -> str:
    source = line.sources[index]
    return f"{source}, {PARTIAL}" if lacking and source != UNKNOWN else source
