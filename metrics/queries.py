"""The query parameters of this room's endpoints."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from fluxtracker.api.params import DAY, OneOf, Words
from fluxtracker.periods import midnight
from metrics.catalogue import Metric, metrics
from metrics.timeline import MOST_POINTS, Step, usual_step

ONE_DAY = timedelta(days=1)
LONGEST = timedelta(days=3660)
EXPECTED = "expected a UTC day as YYYY-MM-DD or an instant such as 2026-11-20T12:00:00Z"


@extend_schema_field(OpenApiTypes.STR)
class Moment(serializers.Field[date | datetime, Any, Any, Any]):
    """A UTC day, or an instant; one without an offset is UTC."""

    def to_internal_value(self, data: Any) -> date | datetime:
        text = str(data).strip()
        try:
            if DAY.fullmatch(text):
                return date.fromisoformat(text)
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
