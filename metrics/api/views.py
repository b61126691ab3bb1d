"""Serve current metrics, readings, service checks, and the census of the nodes."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework.serializers import Field, ValidationError

from fluxtracker.api.fields import DaysQuery, OneOf, Query, Words
from fluxtracker.api.views import ReadView
from fluxtracker.periods import midnight
from fluxtracker.timestamps import parse_day
from metrics.api import serializers
from metrics.census.selectors import census_stamp, decentralisation, node_changes
from metrics.metric_keys import GROUPS, grouped, metrics, tracked_apps
from metrics.models import Source
from metrics.selectors import MOST_POINTS, Latest, Step, metrics_stamp, timeline, usual_step
from metrics.status import status
from revenue.period_totals import Totals
from revenue.selectors import ledger_stamp

NETWORK = (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)
ONE_DAY = timedelta(days=1)
LONGEST = timedelta(days=3660)
EXPECTED = "expected a UTC day as YYYY-MM-DD or an instant such as 2026-11-20T12:00:00Z"


@extend_schema_field(OpenApiTypes.STR)
class Moment(Field[date | datetime, Any, Any, Any]):
    """A UTC day or an instant, in UTC unless it has an offset."""

    def to_internal_value(self, data: Any) -> date | datetime:
        text = str(data).strip()
        if (day := parse_day(text)) is not None:
            return day
        try:
            # An unescaped `+` arrives as a space.
            instant = datetime.fromisoformat(re.sub(r" (?=[0-9]{2}:?[0-9]{2}\Z)", "+", text))
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(EXPECTED) from None

    def to_representation(self, value: Any) -> Any:
        return value


class ReadingsQuery(Query):
    metric = Words(help_text="Its key, such as `node_total` or `gaming_palworld`.")
    start = Moment(required=False, help_text="A UTC day or an instant, included. Default: 24 hours before the end.")
    end = Moment(required=False, help_text="A UTC day or an instant, included. Default: now.")
    step = OneOf(list(Step), required=False, help_text="Default: as fine as about 2,000 points allow.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the metric, both ends as instants and the step."""
        known = {metric.key: metric for metric in metrics()}
        if attrs.get("metric") not in known:
            raise ValidationError({"metric": [f"expected one of {', '.join(known)}"]})
        try:
            start, end = _range(attrs.get("start"), attrs.get("end"), timezone.now())
        except OverflowError:
            raise ValidationError({"start": [EXPECTED]}) from None
        if start > end:
            raise ValidationError({"start": ["must not be after `end`"]})
        if end - start > LONGEST:
            raise ValidationError({"start": [f"the range may be at most {LONGEST.days} days"]})
        step = Step(attrs["step"]) if "step" in attrs else usual_step(end - start)
        if (points := (end - start) // step.length) > MOST_POINTS:
            words = f"{step} gives {points:,} points in this range; at most {MOST_POINTS:,} are allowed"
            raise ValidationError({"step": [words]})
        return {"metric": known[attrs["metric"]], "start": start, "end": end, "step": step}


def _range(start: date | datetime | None, end: date | datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return both ends as instants. A day is included to its last moment."""
    first = start if start is None or isinstance(start, datetime) else midnight(start)
    if end is None:
        last = max(now, first or now)
    else:
        last = end if isinstance(end, datetime) else midnight(end) + ONE_DAY - timedelta.resolution
    return first or last - ONE_DAY, last


# Required, but checked by the query itself: its error lists the metrics.
METRIC = OpenApiParameter(
    "metric", str, required=True, description="Its key, such as `node_total` or `gaming_palworld`."
)


class MinuteView(ReadView):
    """A view that changes by the clock: sources turn stale, and default ranges move."""

    def etag(self, now: datetime) -> object:
        return metrics_stamp(), ledger_stamp(), now.replace(second=0, microsecond=0)


class CurrentView(MinuteView):
    """The network as last read, each part with its age, and today's revenue."""

    name, operation, tag = "Current metrics", "metrics_current", "metrics"
    answer = serializers.CurrentAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        latest, tracked = Latest.load(now), tracked_apps()
        groups: dict[str, Any] = {name: grouped(latest.values.get, name, tracked) for name in GROUPS}
        times = [latest.sources[name].read_at for name in NETWORK]
        return {
            "newest": max((time for time in times if time), default=None),
            "latest": latest,
            "today": Totals.load(now.date(), now.date()).of([now.date()]),
            "price": latest.values.get("flux_price_usd"),
            "cloud": groups,
            **groups,
        }


class ReadingsView(MinuteView):
    """One metric over time: every 10 minutes for the last 7 days, by the hour for 90."""

    name, operation, tag = "Readings", "history_readings", "history"
    query, answer, parameters = ReadingsQuery, serializers.ReadingsAnswer, (METRIC,)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        points = list(timeline(values["metric"].key, values["start"], values["end"], values["step"]))
        return values | {"points": points, "count": len(points)}


class TestStatusView(ReadView):
    """Results of the last check of each upstream, game and crypto node."""

    name, operation, tag = "Service checks", "test_status", "admin"
    answer = serializers.TestStatus

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return status(now)


class CensusView(ReadView):
    tag = "network"
    query = DaysQuery

    def etag(self, now: datetime) -> object:
        return census_stamp(), now.date()


class DecentralisationView(CensusView):
    """Operators, places and programs of the nodes: now, and by day.

    Each group has its nodes, their collateral and their cores. An operator is an address, a ZelID or a key: one
    person may have several.
    """

    name, operation = "Decentralisation", "network_decentralisation"
    answer = serializers.DecentralisationAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return decentralisation(values["start"], values["end"])


class NodeChangesView(CensusView):
    """Nodes that joined, left and moved, by day and tier."""

    name, operation = "Joins, leaves and moves", "network_nodes"
    answer = serializers.NodeChangesAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return node_changes(values["start"], values["end"])
