"""The endpoints of this room."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import params
from fluxtracker.api.caching import conditional
from fluxtracker.api.reading import one_moment
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from metrics import answers, wire
from metrics.catalogue import tracked_apps
from metrics.latest import Latest, metrics_stamp
from metrics.queries import ReadingsQuery
from metrics.timeline import timeline
from revenue.reports import Totals
from revenue.stamp import ledger_stamp

# Required, though the query's own check refuses what is missing: its error lists what there is.
METRIC = OpenApiParameter(
    "metric", str, required=True, description="Its key, such as `node_total` or `gaming_palworld`."
)


def _by_minute(request: Request) -> object:
    """A source turns stale, and a default range moves on, by the clock alone."""
    return metrics_stamp(), ledger_stamp(), timezone.now().replace(second=0, microsecond=0)


class CurrentView(PublicView):
    """The network as it was last read, each part with its age, and today's revenue."""

    name = "Current metrics"

    @extend_schema(operation_id="metrics_current", tags=["metrics"], responses={200: answers.CurrentAnswer, **ERRORS})
    @conditional(_by_minute)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        with one_moment():
            latest, tracked = Latest.load(now), tracked_apps()
            today = Totals.load(now.date(), now.date()).of([now.date()])
        return Response(wire.current(latest, today, tracked))


class ReadingsView(PublicView):
    """One metric over time: every 10 minutes for the last 7 days, by the hour for 90."""

    name = "Readings"

    @extend_schema(
        operation_id="history_readings",
        tags=["history"],
        parameters=[ReadingsQuery, METRIC],
        responses={200: answers.ReadingsAnswer, 400: BAD_QUERY, **ERRORS},
    )
    @conditional(_by_minute)
    def get(self, request: Request) -> Response:
        query = params.read(ReadingsQuery, request)
        metric, start, end, step = query["metric"], query["start"], query["end"], query["step"]
        return Response(wire.readings(metric, start, end, step, timeline(metric.key, start, end, step)))
