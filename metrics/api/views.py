"""Serve current metrics, readings and service checks."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import fields
from fluxtracker.api.conditional import conditional
from fluxtracker.api.fields import OneOf, Words
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from fluxtracker.database import one_moment
from fluxtracker.periods import midnight
from fluxtracker.timestamps import parse_day
from metrics.api import serializers as api_serializers
from metrics.api.serializers import TestStatus
from metrics.catalogue import Metric, metrics, tracked_apps
from metrics.selectors import MOST_POINTS, Latest, Step, metrics_stamp, timeline, usual_step
from metrics.status import status
from revenue.selectors import Totals, ledger_stamp


class TestStatusView(PublicView):
    """What the last check of each upstream, game and crypto node found."""

    name = "Service checks"

    @extend_schema(operation_id="test_status", tags=["admin"], responses={200: TestStatus, **ERRORS})
    def get(self, request: Request) -> Response:
        with one_moment():
            answer = status(timezone.now())
        return Response(answer, headers={"Cache-Control": "no-cache"})


ONE_DAY = timedelta(days=1)
LONGEST = timedelta(days=3660)
EXPECTED = "expected a UTC day as YYYY-MM-DD or an instant such as 2026-11-20T12:00:00Z"


@extend_schema_field(OpenApiTypes.STR)
class Moment(serializers.Field[date | datetime, Any, Any, Any]):
    """A UTC day, or an instant; one without an offset is UTC."""

    def to_internal_value(self, data: Any) -> date | datetime:
        text = str(data).strip()
        if (day := parse_day(text)) is not None:
            return day
        try:
            # A `+` that was not escaped arrives as a blank.
            found = datetime.fromisoformat(re.sub(r" (?=[0-9]{2}:?[0-9]{2}\Z)", "+", text))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise serializers.ValidationError(EXPECTED) from None

    def to_representation(self, value: Any) -> Any:
        return value


class ReadingsQuery(serializers.Serializer[Any]):
    metric = Words(help_text="Its key, such as `node_total` or `gaming_palworld`.")
    start = Moment(required=False, help_text="A UTC day or an instant, included. Default: 24 hours before the end.")
    end = Moment(required=False, help_text="A UTC day or an instant, included. Default: now.")
    step = OneOf(list(Step), required=False, help_text="Default: as fine as about 2,000 points allow.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The metric, both ends as instants and the step."""
        metric = _metric(attrs.get("metric", ""))
        try:
            start, end = _range(attrs.get("start"), attrs.get("end"), timezone.now())
        except OverflowError:
            raise serializers.ValidationError({"start": [EXPECTED]}) from None
        if start > end:
            raise serializers.ValidationError({"start": ["must not be after `end`"]})
        if end - start > LONGEST:
            raise serializers.ValidationError({"start": [f"the range may be at most {LONGEST.days} days"]})
        step = Step(attrs["step"]) if "step" in attrs else usual_step(end - start)
        _require_few(step, end - start)
        return {"metric": metric, "start": start, "end": end, "step": step}


def _metric(key: str) -> Metric:
    known = {metric.key: metric for metric in metrics()}
    if key not in known:
        raise serializers.ValidationError({"metric": [f"expected one of {', '.join(known)}"]})
    return known[key]


def _range(start: date | datetime | None, end: date | datetime | None, now: datetime) -> tuple[datetime, datetime]:
    first = None if start is None else _begin(start)
    last = max(now, first or now) if end is None else _end(end)
    return first or last - ONE_DAY, last


def _begin(moment: date | datetime) -> datetime:
    return moment if isinstance(moment, datetime) else midnight(moment)


def _end(moment: date | datetime) -> datetime:
    """A day is included to its last moment."""
    return moment if isinstance(moment, datetime) else midnight(moment) + ONE_DAY - timedelta.resolution


def _require_few(step: Step, span: timedelta) -> None:
    points = span // step.length
    if points > MOST_POINTS:
        raise serializers.ValidationError(
            {"step": [f"{step} gives {points:,} points in this range; at most {MOST_POINTS:,} are allowed"]}
        )


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

    @extend_schema(
        operation_id="metrics_current", tags=["metrics"], responses={200: api_serializers.CurrentAnswer, **ERRORS}
    )
    @conditional(_by_minute)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        with one_moment():
            latest, tracked = Latest.load(now), tracked_apps()
            today = Totals.load(now.date(), now.date()).of([now.date()])
        return Response(api_serializers.current(latest, today, tracked))


class ReadingsView(PublicView):
    """One metric over time: every 10 minutes for the last 7 days, by the hour for 90."""

    name = "Readings"

    @extend_schema(
        operation_id="history_readings",
        tags=["history"],
        parameters=[ReadingsQuery, METRIC],
        responses={200: api_serializers.ReadingsAnswer, 400: BAD_QUERY, **ERRORS},
    )
    @conditional(_by_minute)
    def get(self, request: Request) -> Response:
        query = fields.read(ReadingsQuery, request)
        metric, start, end, step = query["metric"], query["start"], query["end"], query["step"]
        return Response(api_serializers.readings(metric, start, end, step, timeline(metric.key, start, end, step)))
