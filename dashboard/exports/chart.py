"""Export a chart as CSV."""

from __future__ import annotations

from collections.abc import Iterator

from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request

from dashboard.exports.base import Export
from dashboard.exports.csv_cells import csv_chunks
from fluxtracker import batches
from fluxtracker.database import read_snapshot
from snapshots.series import selectors
from snapshots.series.selectors import UNKNOWN, Chart
from snapshots.series.views import SeriesQuery, requested

CHART_BATCH = 500
PARTIAL = "partial"


class ChartCsv(Export):
    """The same query keys as `/api/history/series`. Unknown values are empty cells."""

    name, subject, query = "Chart as CSV", "chart", SeriesQuery
    ignored = ()
    operation = "exportChart"

    def etag(self) -> object:
        return selectors.stamp(timezone.now())

    def file(self, request: Request) -> HttpResponseBase:
        now = timezone.now()
        with read_snapshot():
            series = requested(SeriesQuery.read(request.query_params), now.date())
            chart = selectors.read(request=series, now=now)
        return self.stream(request, csv_chunks(_header(chart), _batches(chart)), series.first, series.last)


def _batches(chart: Chart) -> Iterator[list[list[object]]]:
    return batches.batched(_rows(chart), CHART_BATCH)


def _header(chart: Chart) -> list[str]:
    """Return two columns per metric: its value, and the value's origin and completeness."""
    keys = [drawn.choice.key for drawn in chart.series]
    columns = [column for key in keys for column in (key, f"{key} note")]
    before = ["previous_start", *(f"{key} previous" for key in keys)] if chart.before else []
    return ["start", "end", *columns, *before]


def _rows(chart: Chart) -> Iterator[list[object]]:
    """Yield the rows, oldest first."""
    partial = [frozenset(drawn.line.partial) for drawn in chart.series]
    for index, span in enumerate(chart.spans):
        row: list[object] = [span.first.isoformat(), span.last.isoformat()]
        for drawn, lacking in zip(chart.series, partial, strict=True):
            source = drawn.line.sources[index]
            note = f"{source}, {PARTIAL}" if index in lacking and source != UNKNOWN else source
            row += [drawn.line.points[index], note]
        if chart.before:
            row += [chart.before[index].first.isoformat()]
            row += [drawn.ghost and drawn.ghost.points[index] for drawn in chart.series]
        yield row
