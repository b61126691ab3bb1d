"""Serve history, images, categories, statistics, snapshot status and comparisons."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import fields
from fluxtracker.api.conditional import LIVE_S, SETTLED_S, conditional, unless_known
from fluxtracker.api.fields import ErrorAnswer
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from fluxtracker.database import one_moment
from fluxtracker.timestamps import iso
from metrics.catalogue import tracked_apps
from metrics.selectors import metrics_stamp
from revenue.selectors import Ledger, ledger_stamp
from snapshots import selectors, status
from snapshots.api import serializers as api_serializers
from snapshots.api.filters import (
    CategoryQuery,
    ImagesQuery,
    RangeQuery,
    SnapshotsQuery,
    TopQuery,
    asked_day,
    category_days,
    newest,
)
from snapshots.comparison import cache
from snapshots.comparison import serializers as comparison_serializers
from snapshots.comparison.selectors import Span
from snapshots.comparison.serializers import ComparisonAnswer
from snapshots.models import Snapshot
from snapshots.selectors import History, Ranked, RankedApp, Wanted, containers_read_at, last_due, snapshot_stamp, stats

QUERY_ERRORS = {400: BAD_QUERY, **ERRORS}
SETTLED = timedelta(days=2)


def history_stamp(request: Request) -> tuple[object, ...]:
    """Days close at midnight, and today's snapshot is missed from 00:35 on."""
    now = timezone.now()
    return snapshot_stamp(), ledger_stamp(), now.date(), last_due(now)


class SnapshotsView(PublicView):
    """The network by day, newest first, and the days between that have no row."""

    name = "Snapshots"

    @extend_schema(
        operation_id="history_snapshots",
        tags=["history"],
        parameters=[SnapshotsQuery],
        responses={200: api_serializers.SnapshotsAnswer, **QUERY_ERRORS},
    )
    @conditional(history_stamp)
    def get(self, request: Request) -> Response:
        found = _history(newest(fields.read(SnapshotsQuery, request)))
        write = api_serializers.Writer(found.tracked).nested
        return Response(_listed([write(row) for row in found.rows], found))


class FullView(PublicView):
    """The same with every column flat, under the names of the tracker that was replaced."""

    name = "Snapshots, every column"

    @extend_schema(
        operation_id="history_snapshots_full",
        tags=["history"],
        parameters=[SnapshotsQuery],
        responses={200: api_serializers.FullAnswer, **QUERY_ERRORS},
    )
    @conditional(history_stamp)
    def get(self, request: Request) -> Response:
        found = _history(newest(fields.read(SnapshotsQuery, request)))
        write = api_serializers.Writer(found.tracked).flat
        return Response(_listed([write(row) for row in found.rows], found))


class RangeView(PublicView):
    """The days from `start` to `end`, both included, oldest first."""

    name = "Snapshots of a range"

    @extend_schema(
        operation_id="history_range",
        tags=["history"],
        parameters=[RangeQuery],
        responses={200: api_serializers.RangeAnswer, **QUERY_ERRORS},
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = fields.read(RangeQuery, request)
        first, last = query["start"], query["end"]
        now = timezone.now()
        is_over = last < now.date() - SETTLED and Ledger.load().has_all_of(last, now)
        return unless_known(
            request, history_stamp(request), lambda: _range(first, last), max_age=SETTLED_S if is_over else LIVE_S
        )


class SnapshotView(PublicView):
    """One day, every column flat."""

    name = "Snapshot of a day"

    @extend_schema(
        operation_id="history_snapshot",
        tags=["history"],
        parameters=[OpenApiParameter("date", OpenApiTypes.DATE, OpenApiParameter.PATH, description="A UTC day.")],
        responses={
            200: api_serializers.SnapshotFlat,
            404: OpenApiResponse(api_serializers.NoSnapshot, "The day has no row; the nearest one that has is told."),
            **QUERY_ERRORS,
        },
    )
    def get(self, request: Request, date: str) -> HttpResponseBase:
        wanted = asked_day(date)
        if not Snapshot.objects.filter(day=wanted).exists():
            return Response(_no_snapshot(wanted), status=404)
        return unless_known(request, history_stamp(request), lambda: _day(wanted))


def _history(wanted: Wanted) -> History:
    with one_moment():
        return selectors.load(wanted, timezone.now())


def _range(first: date, last: date) -> Response:
    found = _history(Wanted(first, last))
    write = api_serializers.Writer(found.tracked).nested
    answer = _listed([write(row) for row in found.rows[::-1]], found)
    answer["missing"].reverse()
    return Response({"start": first.isoformat(), "end": last.isoformat(), **answer})


def _day(day: date) -> Response:
    found = _history(Wanted(day, day))
    return Response(api_serializers.Writer(found.tracked).flat(found.rows[0]))


def _listed(rows: list[dict[str, Any]], found: History) -> dict[str, Any]:
    return {"count": len(rows), "data": rows, "missing": [api_serializers.gap(gap) for gap in found.missing]}


def _no_snapshot(day: date) -> dict[str, Any]:
    near = selectors.nearest(day)
    words = f"the nearest day that has one is {near}" if near else "no day has one yet"
    return {
        "error": f"there is no snapshot of {day}; {words}",
        "date": day.isoformat(),
        "nearest": near and near.isoformat(),
    }


CATEGORIES = tuple(api_serializers.CATEGORY_TOTALS)
NO_CATEGORY = OpenApiResponse(ErrorAnswer, "There is no such category.")
CATEGORY = OpenApiParameter("category", str, OpenApiParameter.PATH, enum=CATEGORIES)


class ImagesView(PublicView):
    """How many containers ran an image on each day, oldest first."""

    name = "History of an image"

    @extend_schema(
        operation_id="history_images",
        tags=["history"],
        parameters=[ImagesQuery],
        responses={200: api_serializers.ImagesAnswer, **QUERY_ERRORS},
    )
    @conditional(lambda request: snapshot_stamp())
    def get(self, request: Request) -> Response:
        query = fields.read(ImagesQuery, request)
        with one_moment():
            found = selectors.image_history(query["image"], query.get("start"), query.get("end"))
        answer: dict[str, Any] = {"image": query["image"], "category": found.category}
        answer |= {key: query[key].isoformat() if query.get(key) else None for key in ("start", "end")}
        data = [{"date": day.isoformat(), "count": count} for day, count in found.days]
        return Response(answer | {"count": len(data), "data": data})


class CategoryView(PublicView):
    """A category's total and its tracked apps by day, newest first."""

    name = "History of a category"

    @extend_schema(
        operation_id="history_category",
        tags=["history"],
        parameters=[CATEGORY, CategoryQuery],
        responses={200: api_serializers.CategoryAnswer, 404: NO_CATEGORY, **QUERY_ERRORS},
    )
    @conditional(history_stamp)
    def get(self, request: Request, category: str) -> Response:
        wanted = category_days(fields.read(CategoryQuery, request))
        columns = ("day", known(category), "counts")
        now = timezone.now()
        with one_moment():
            rows = selectors.read_columns(wanted, columns)
            missing = selectors.missing(wanted, [row["day"] for row in rows], now)
            write = api_serializers.Writer(tracked_apps()).category
        data = [{"date": row["day"].isoformat(), **write(category, row)} for row in rows]
        answer = {"category": category, "count": len(data), "data": data}
        return Response(answer | {"missing": [api_serializers.gap(gap) for gap in missing]})


def _top_stamp(request: Request) -> tuple[object, ...]:
    """Readings grow old without a change of any row, and the day compared with moves at midnight."""
    now = timezone.now()
    return metrics_stamp(), snapshot_stamp(), now.date(), selectors.is_old(containers_read_at(), now)


class TopView(PublicView):
    """The images of a category with the most containers now, against some days ago.

    `apps` are its tracked apps: they count the containers whose image is not public, too.
    """

    name = "Top of a category"

    @extend_schema(
        operation_id="metrics_category_top",
        tags=["metrics"],
        parameters=[CATEGORY, TopQuery],
        responses={200: api_serializers.TopAnswer, 404: NO_CATEGORY, **QUERY_ERRORS},
    )
    @conditional(_top_stamp)
    def get(self, request: Request, category: str) -> Response:
        query, now = fields.read(TopQuery, request), timezone.now()
        known(category)
        with one_moment():
            found = selectors.top_images(category, query["limit"], query["days"], now)
        day = found.compared
        answer: dict[str, Any] = {"category": category, "days": query["days"], "asOf": iso(found.read_at)}
        answer |= {"stale": found.is_old(now), "comparisonDate": day and day.isoformat(), "message": None}
        if day is None:
            answer["message"] = f"there are no counts of images from exactly {query['days']} days ago"
        data = [_ranked(rank, image) for rank, image in enumerate(found.images, start=1)]
        apps = [_ranked_app(rank, app) for rank, app in enumerate(found.apps, start=1)]
        return Response(answer | {"count": len(data), "total": found.total, "data": data, "apps": apps})


def known(category: str) -> str:
    """The column of the category's total; 404 where there is no such category."""
    if category not in CATEGORIES:
        raise NotFound(f"there is no category of that name; there are {', '.join(CATEGORIES)}")
    return api_serializers.CATEGORY_TOTALS[category]


def _ranked(rank: int, image: Ranked) -> dict[str, Any]:
    return {"rank": rank, "image": image.image, **_counts(image)}


def _ranked_app(rank: int, app: RankedApp) -> dict[str, Any]:
    return {"rank": rank, "key": app.key, "name": app.name, **_counts(app)}


def _counts(ranked: Ranked | RankedApp) -> dict[str, int | None]:
    return {
        "count": ranked.count,
        "previous": ranked.previous,
        "difference": None if ranked.previous is None else ranked.count - ranked.previous,
    }


class StatsView(PublicView):
    """How much is stored, and what the ledger adds up to."""

    name = "Stats"

    @extend_schema(operation_id="stats", tags=["stats"], responses={200: api_serializers.StatsAnswer, **ERRORS})
    def get(self, request: Request) -> Response:
        with one_moment():
            answer = stats(timezone.now())
        return Response(answer, headers={"Cache-Control": "no-cache"})


class SnapshotStatusView(PublicView):
    """How the daily snapshot is doing."""

    name = "Snapshot status"

    @extend_schema(
        operation_id="snapshot_status", tags=["admin"], responses={200: api_serializers.SnapshotStatus, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        return Response(status.status(timezone.now()), headers={"Cache-Control": "no-cache"})


ALLOWED = "expected D, W, M, Q or Y (against a day, a week, a month, a quarter or a year ago)"


class SpanField(serializers.ChoiceField):
    """How far back; small letters are the same."""

    def __init__(self, **kwargs: Any) -> None:
        kinds = ("required", "null", "invalid_choice")
        super().__init__([span.value for span in Span], error_messages=dict.fromkeys(kinds, ALLOWED), **kwargs)

    def to_internal_value(self, data: Any) -> Span:
        return Span(super().to_internal_value(str(data).strip().upper()))


class ComparisonQuery(serializers.Serializer[Any]):
    period = SpanField(help_text="D, W, M, Q or Y: against a day, a week, a month, a quarter or a year ago.")


class ComparisonView(PublicView):
    """The network and its revenue now, against a day, week, month, quarter or year ago.

    Metrics: the latest reading against the snapshot of 1, 7, 30, 90 or 365 days ago. Revenue: the calendar
    period so far against the whole one before, and in `toDate` against that one cut at the same elapsed time.
    """

    name = "Comparison"

    @extend_schema(
        operation_id="analytics_comparison",
        tags=["analytics"],
        parameters=[ComparisonQuery],
        responses={200: ComparisonAnswer, 400: BAD_QUERY, **ERRORS},
    )
    def get(self, request: Request) -> HttpResponseBase:
        span, now = fields.read(ComparisonQuery, request)["period"], timezone.now()
        made = cache.find(span, now)
        stamp = (made.stamp, made.made_at, comparison_serializers.ages(made.answer, now))
        response = unless_known(request, stamp, lambda: Response(comparison_serializers.with_ages(made.answer, now)))
        response["Age"] = str(_age(made.made_at, now))
        return response


def _age(made_at: datetime, now: datetime) -> int:
    """Whole seconds since it was made."""
    return max(int((now - made_at).total_seconds()), 0)
