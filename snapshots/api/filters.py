"""The query parameters of this room's endpoints."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from fluxtracker.api.fields import Day, Whole, require_order
from fluxtracker.images import image_name
from snapshots.selectors import Wanted

MOST_DAYS = 3660
MOST_ROWS = 3650
ROWS = 30


def require_span(values: dict[str, Any], first: str, last: str) -> None:
    """400 when the range is reversed or longer than MOST_DAYS; an open end is today."""
    require_order(values, first, last)
    begin: date | None = values.get(first)
    end: date = values.get(last) or timezone.now().date()
    if begin is not None and (end - begin).days + 1 > MOST_DAYS:
        raise serializers.ValidationError({first: [f"the range may have at most {MOST_DAYS} days"]})


class NeededDay(Day):
    """A day that has to be given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.error_messages["required"] = "is needed: a day as YYYY-MM-DD"


def asked_day(text: str) -> date:
    """Return the day in a path; 400 when it is none."""
    try:
        return Day().to_internal_value(text)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"date": error.detail}) from error


class SnapshotsQuery(serializers.Serializer[Any]):
    limit = Whole(
        required=False,
        cut_to=MOST_ROWS,
        help_text=f"How many of the newest days; {ROWS} unless `start_date` is given. "
        f"More than {MOST_ROWS} counts as {MOST_ROWS}.",
    )
    start_date = Day(required=False, help_text="First UTC day, included.")
    end_date = Day(required=False, help_text="Last UTC day, included.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        require_span(attrs, "start_date", "end_date")
        return attrs


def newest(values: dict[str, Any]) -> Wanted:
    """Return what the checked query asks for, newest first. A range is never cut without being asked to."""
    first = values.get("start_date")
    return Wanted(first, values.get("end_date"), values.get("limit") or (None if first else ROWS))


class RangeQuery(serializers.Serializer[Any]):
    start = NeededDay(help_text="First UTC day, included.")
    end = NeededDay(help_text="Last UTC day, included.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        require_span(attrs, "start", "end")
        return attrs


class OpenRange(serializers.Serializer[Any]):
    """A range whose ends may be left open."""

    start = Day(required=False, help_text="First UTC day, included.")
    end = Day(required=False, help_text="Last UTC day, included.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        require_span(attrs, "start", "end")
        return attrs


class ImageName(serializers.CharField):
    """An image in any spelling, read as the name that it is counted under."""

    def to_internal_value(self, data: Any) -> str:
        name = image_name(super().to_internal_value(data))
        if not name:
            self.fail("blank")
        return name


class ImagesQuery(OpenRange):
    image = ImageName(
        max_length=255,
        help_text="Whole name; its tag and the spellings of Docker Hub make no difference.",
        error_messages=dict.fromkeys(("required", "blank"), "is needed: an image's name without its tag"),
    )


class CategoryQuery(OpenRange):
    limit = Whole(
        required=False,
        cut_to=MOST_ROWS,
        help_text=f"How many of the newest days; {ROWS} unless `start` is given.",
    )


def category_days(values: dict[str, Any]) -> Wanted:
    first = values.get("start")
    return Wanted(first, values.get("end"), values.get("limit") or (None if first else ROWS))


class TopQuery(serializers.Serializer[Any]):
    limit = Whole(default=10, cut_to=100, help_text="How many images; more than 100 counts as 100.")
    days = Whole(default=7, maximum=MOST_ROWS, help_text="How many days back the comparison lies.")
