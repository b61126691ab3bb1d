"""What a chart draws, and what it can be asked for."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import params
from fluxtracker.api.caching import conditional
from fluxtracker.api.reading import one_moment
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from metrics.latest import metrics_stamp
from snapshots import choices, series, series_answers, series_wire
from snapshots.series_query import MetricsQuery, SeriesQuery, wanted
from snapshots.stamp import snapshot_stamp


class SeriesView(PublicView):
    """Metrics by day, week or month over a range, with gaps as null."""

    name = "Series"

    @extend_schema(
        operation_id="history_series",
        tags=["history"],
        parameters=[SeriesQuery],
        responses={200: series_answers.ChartAnswer, 400: BAD_QUERY, **ERRORS},
    )
    @conditional(lambda request: series.stamp(timezone.now()))
    def get(self, request: Request) -> Response:
        now = timezone.now()
        with one_moment():
            asked = wanted(params.read(SeriesQuery, request), now.date())
            found = series.read(wanted=asked, now=now)
        return Response(series_wire.chart(found))


class MetricsView(PublicView):
    """What a series can be made of, images included."""

    name = "Metrics of series"

    @extend_schema(
        operation_id="history_metrics",
        tags=["history"],
        parameters=[MetricsQuery],
        responses={200: series_answers.MetricsAnswer, 400: BAD_QUERY, **ERRORS},
    )
    @conditional(lambda request: (snapshot_stamp(), metrics_stamp()), max_age=60)
    def get(self, request: Request) -> Response:
        query = params.read(MetricsQuery, request)
        search = query.get("search", "")
        with one_moment():
            found = choices.matching(choices.fixed(), search)
            images = choices.matching(map(choices.of_image, choices.images()), search)
        shown = [*found, *images[: query["limit"]]]
        return Response(
            {
                "count": len(shown),
                "total": len(found) + len(images),
                "categories": [{"key": key.value, "label": label} for key, label in choices.LABELS.items()],
                "metrics": [series_wire.choice(choice) for choice in shown],
            }
        )
