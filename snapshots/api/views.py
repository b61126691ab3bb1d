"""Serve history, images, categories, statistics, snapshot status and comparisons."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, NoReturn

from django.http import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_cache_control
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import CharField, ValidationError

from fluxtracker.api.conditional import LIVE_S, SETTLED_S, unless_known
from fluxtracker.api.fields import Answer, Day, ErrorAnswer, OneOf, Query, RangeQuery, Whole
from fluxtracker.api.views import BAD_QUERY, ReadView, StatusView
from fluxtracker.images import image_name
from fluxtracker.periods import Bucket
from metrics.selectors import metrics_stamp
from revenue.models import LedgerState
from revenue.selectors import ledger_stamp
from snapshots import selectors, status
from snapshots.api import serializers
from snapshots.comparison import cache
from snapshots.comparison import serializers as comparison_serializers
from snapshots.comparison.serializers import ComparisonAnswer
from snapshots.models import Snapshot
from snapshots.selectors import CATEGORY_TOTALS, Days, History, containers_read_at, last_due, snapshot_stamp, stats

MOST_ROWS = 3650
ROWS = 30
ALLOWED = "expected D, W, M, Q or Y (against a day, a week, a month, a quarter or a year ago)"
SETTLED = timedelta(days=2)
NO_CATEGORY = OpenApiResponse(ErrorAnswer, "There is no such category.")
CATEGORY = OpenApiParameter("category", str, OpenApiParameter.PATH, enum=tuple(CATEGORY_TOTALS))


class NeededDay(Day):
    """A required day."""

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        if key == "required":
            raise ValidationError("is needed: a day as YYYY-MM-DD")
        super().fail(key, **kwargs)


def asked_day(text: str) -> date:
    """Return the day in a path, 400 if it is not a day."""
    try:
        return Day().to_internal_value(text)
    except ValidationError as error:
        raise ValidationError({"date": error.detail}) from error


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


class ImageName(CharField):
    """An image in any spelling, converted to the name it is counted under."""

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
    """Return the days to show, newest first. A range is cut only if a limit is given."""
    return Days(first, last, limit or (None if first else ROWS))


class TopQuery(Query):
    limit = Whole(default=10, cut_to=100, help_text="How many images; more than 100 counts as 100.")
    days = Whole(default=7, maximum=MOST_ROWS, help_text="Days to compare with, counted back from today.")


class BucketField(OneOf):
    """Distance back in time, case-insensitive."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__([bucket.letter for bucket in Bucket], **kwargs)
        self.expected = ALLOWED

    def to_internal_value(self, data: Any) -> Bucket:
        return Bucket.of_letter(super().to_internal_value(str(data).strip().upper()))


class ComparisonQuery(Query):
    period = BucketField(help_text="D, W, M, Q or Y: against a day, a week, a month, a quarter or a year ago.")


class HistoryView(ReadView):
    """A read of days."""

    tag = "history"

    def etag(self, now: datetime) -> object:
        """Return an ETag that also changes at midnight, and at 00:35 when today's snapshot counts as missing."""
        return snapshot_stamp(), ledger_stamp(), now.date(), last_due(now)


class SnapshotsView(HistoryView):
    """The network by day, newest first, and the days without a row in between."""

    name, operation = "Snapshots", "history_snapshots"
    query = SnapshotsQuery
    answer: ClassVar[type[Answer]] = serializers.SnapshotsAnswer
    fields: ClassVar[tuple[str, ...]] = selectors.FIELDS

    def read(self, values: dict[str, Any], now: datetime) -> History:
        first, last = values.get("start_date"), values.get("end_date")
        return selectors.load(newest(first, last, values.get("limit")), now, self.fields)


class FullView(SnapshotsView):
    """The same with every column flat, under the names of the previous tracker."""

    name, operation = "Snapshots, every column", "history_snapshots_full"
    answer, fields = serializers.FullAnswer, selectors.EVERY_FIELD


class RangeView(HistoryView):
    """The days from `start` to `end`, inclusive, oldest first."""

    name, operation = "Snapshots of a range", "history_range"
    query, answer = ClosedRange, serializers.RangeAnswer
    max_age = SETTLED_S

    def read(self, values: dict[str, Any], now: datetime) -> History:
        history = selectors.load(Days(values["start"], values["end"]), now)
        return replace(history, rows=history.rows[::-1], missing=history.missing[::-1])

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        response = super().get(request, **path)
        last, now = self.query.read(request.query_params)["end"], timezone.now()
        if last >= now.date() - SETTLED or not LedgerState.known().has_all_of(last, now):
            patch_cache_control(response, max_age=LIVE_S)
        return response


class SnapshotView(HistoryView):
    """One day, every column flat."""

    name, operation = "Snapshot of a day", "history_snapshot"
    answer = serializers.SnapshotFlat
    parameters = (OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH, description="A UTC day."),)
    errors = {
        404: OpenApiResponse(
            serializers.NoSnapshot, "The day has no row; the response names the nearest day with one."
        ),
        400: BAD_QUERY,
    }

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        day = asked_day(path["date"])
        if Snapshot.objects.filter(day=day).exists():
            return super().get(request, **path)
        near = selectors.nearest([day])[day]
        words = f"the nearest day that has one is {near}" if near else "no day has one yet"
        return Response({"error": f"there is no snapshot of {day}; {words}", "date": day, "nearest": near}, status=404)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        day = asked_day(self.kwargs["date"])
        return selectors.load(Days(day, day), now, selectors.EVERY_FIELD).rows[0]


class CategoryView(HistoryView):
    """A category's total and its tracked apps by day, newest first."""

    name, operation = "History of a category", "history_category"
    query, answer = CategoryQuery, serializers.CategoryAnswer
    parameters, errors = (CATEGORY,), {404: NO_CATEGORY}

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        category = known(self.kwargs["category"])
        days = newest(values.get("start"), values.get("end"), values.get("limit"))
        rows = selectors.read_columns(days, ("day", CATEGORY_TOTALS[category]))
        return {
            "category": category,
            "count": len(rows),
            "data": [{"date": row["day"].isoformat(), **selectors.by_key(category, row)} for row in rows],
            "missing": selectors.missing(days, [row["day"] for row in rows], now),
        }


class ImagesView(ReadView):
    """Containers that ran an image on each day, oldest first."""

    name, operation, tag = "History of an image", "history_images", "history"
    query, answer = ImagesQuery, serializers.ImagesAnswer

    def etag(self, now: datetime) -> object:
        return snapshot_stamp()

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return selectors.image_history(values["image"], values.get("start"), values.get("end"))


class TopView(ReadView):
    """The images of a category with the most containers now, against some days ago.

    `apps` are its tracked apps, which also count containers without a public image.
    """

    name, operation, tag = "Top of a category", "metrics_category_top", "metrics"
    query, answer = TopQuery, serializers.TopAnswer
    parameters, errors = (CATEGORY,), {404: NO_CATEGORY}

    def etag(self, now: datetime) -> object:
        """Return an ETag that also changes as readings get old, and at midnight with the day compared with."""
        return metrics_stamp(), snapshot_stamp(), now.date(), selectors.is_old(containers_read_at(), now)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return selectors.top_images(known(self.kwargs["category"]), values["limit"], values["days"], now)


def known(category: str) -> str:
    """Return the category, 404 if there is none of that name."""
    if category not in CATEGORY_TOTALS:
        raise NotFound(f"there is no category of that name; there are {', '.join(CATEGORY_TOTALS)}")
    return category


class StatsView(ReadView):
    """Number of stored snapshots, and the sums of the ledger."""

    name, operation, tag = "Stats", "stats", "stats"
    answer = serializers.StatsAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return stats(now)


class SnapshotStatusView(StatusView):
    """Status of the daily snapshot."""

    name, operation = "Snapshot status", "snapshot_status"
    answer = serializers.SnapshotStatus

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return status.status(now)


class ComparisonView(ReadView):
    """The network and its revenue now, against a day, week, month, quarter or year ago.

    Metrics: the latest reading against the snapshot of 1, 7, 30, 90 or 365 days ago. Revenue: the calendar
    period so far against the whole one before, and in `toDate` against that one cut at the same elapsed time.
    """

    name, operation, tag = "Comparison", "analytics_comparison", "analytics"
    query, answer = ComparisonQuery, ComparisonAnswer

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        bucket, now = self.query.read(request.query_params)["period"], timezone.now()
        made = cache.find(bucket, now)
        stamp = (made.stamp, made.made_at, comparison_serializers.ages(made.answer, now))
        response = unless_known(request, stamp, lambda: Response(comparison_serializers.with_ages(made.answer, now)))
        response["Age"] = str(max(int((now - made.made_at).total_seconds()), 0))
        return response
