"""The query parameters of this room's endpoints."""

from __future__ import annotations

from datetime import date
from typing import Any, NoReturn

from rest_framework import serializers

from fluxtracker.api.fields import Day, OneOf, Query, RangeQuery, Whole
from fluxtracker.images import image_name
from fluxtracker.periods import Bucket
from snapshots.selectors import Days

MOST_ROWS = 3650
ROWS = 30


class NeededDay(Day):
    """A day that has to be given."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "required":
            raise serializers.ValidationError("is needed: a day as YYYY-MM-DD")
        super().fail(key, **kwargs)


def asked_day(text: str) -> date:
    """Return the day in a path; 400 when it is none."""
    try:
        return Day().to_internal_value(text)
    except serializers.ValidationError as error:
        raise serializers.ValidationError({"date": error.detail}) from error


class SnapshotsQuery(RangeQuery):
    limit = Whole(
        required=False,
        cut_to=MOST_ROWS,
        help_text=f"How many of the newest days; {ROWS} unless `start_date` is given. "
        f"More than {MOST_ROWS} counts as {MOST_ROWS}.",
    )
    start_date = Day(required=False, help_text="First UTC day, included.")
    end_date = Day(required=False, help_text="Last UTC day, included.")
    ends = (("start_date", "end_date"),)


class ClosedRange(RangeQuery):
    start = NeededDay(help_text="First UTC day, included.")
    end = NeededDay(help_text="Last UTC day, included.")


class OpenRange(RangeQuery):
    start = Day(required=False, help_text="First UTC day, included.")
    end = Day(required=False, help_text="Last UTC day, included.")


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


def newest(first: date | None, last: date | None, limit: int | None) -> Days:
    """Return the days to show, newest first. A range is only cut when a limit is given."""
    return Days(first, last, limit or (None if first else ROWS))


class TopQuery(Query):
    limit = Whole(default=10, cut_to=100, help_text="How many images; more than 100 counts as 100.")
    days = Whole(default=7, maximum=MOST_ROWS, help_text="How many days back the comparison lies.")


ALLOWED = "expected D, W, M, Q or Y (against a day, a week, a month, a quarter or a year ago)"


class BucketField(OneOf):
    """Distance back in time; lower case is the same."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__([bucket.letter for bucket in Bucket], **kwargs)
        self.expected = ALLOWED

    def to_internal_value(self, data: Any) -> Bucket:
        return Bucket.of_letter(super().to_internal_value(str(data).strip().upper()))


class ComparisonQuery(Query):
    period = BucketField(help_text="D, W, M, Q or Y: against a day, a week, a month, a quarter or a year ago.")
