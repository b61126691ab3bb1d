"""The endpoints of images and categories: by day, and now against then."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import params
from fluxtracker.api.answers import ErrorAnswer
from fluxtracker.api.caching import conditional
from fluxtracker.api.reading import one_moment
from fluxtracker.api.views import PublicView
from metrics.catalogue import tracked_apps
from metrics.latest import metrics_stamp
from ops.health import iso
from snapshots import answers, history, images, wire
from snapshots.api import QUERY_ERRORS, history_stamp
from snapshots.images import Ranked, RankedApp, containers_read_at
from snapshots.queries import CategoryQuery, ImagesQuery, TopQuery, category_days
from snapshots.stamp import snapshot_stamp

CATEGORIES = tuple(wire.CATEGORY_TOTALS)
NO_CATEGORY = OpenApiResponse(ErrorAnswer, "There is no such category.")
CATEGORY = OpenApiParameter("category", str, OpenApiParameter.PATH, enum=CATEGORIES)


class ImagesView(PublicView):
    """How many containers ran an image on each day, oldest first."""

    name = "History of an image"

    @extend_schema(
        operation_id="history_images",
        tags=["history"],
        parameters=[ImagesQuery],
        responses={200: answers.ImagesAnswer, **QUERY_ERRORS},
    )
    @conditional(lambda request: snapshot_stamp())
    def get(self, request: Request) -> Response:
        query = params.read(ImagesQuery, request)
        with one_moment():
            found = images.image_history(query["image"], query.get("start"), query.get("end"))
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
        responses={200: answers.CategoryAnswer, 404: NO_CATEGORY, **QUERY_ERRORS},
    )
    @conditional(history_stamp)
    def get(self, request: Request, category: str) -> Response:
        wanted = category_days(params.read(CategoryQuery, request))
        columns = ("day", known(category), "counts")
        now = timezone.now()
        with one_moment():
            rows = history.read_columns(wanted, columns)
            missing = history.missing(wanted, [row["day"] for row in rows], now)
            write = wire.Writer(tracked_apps()).category
        data = [{"date": row["day"].isoformat(), **write(category, row)} for row in rows]
        answer = {"category": category, "count": len(data), "data": data}
        return Response(answer | {"missing": [wire.gap(gap) for gap in missing]})


def _top_stamp(request: Request) -> tuple[object, ...]:
    """Readings grow old without a change of any row, and the day compared with moves at midnight."""
    now = timezone.now()
    return metrics_stamp(), snapshot_stamp(), now.date(), images.is_old(containers_read_at(), now)


class TopView(PublicView):
    """The images of a category with the most containers now, against some days ago.

    `apps` are its tracked apps: they count the containers whose image is not public, too.
    """

    name = "Top of a category"

    @extend_schema(
        operation_id="metrics_category_top",
        tags=["metrics"],
        parameters=[CATEGORY, TopQuery],
        responses={200: answers.TopAnswer, 404: NO_CATEGORY, **QUERY_ERRORS},
    )
    @conditional(_top_stamp)
    def get(self, request: Request, category: str) -> Response:
        query, now = params.read(TopQuery, request), timezone.now()
        known(category)
        with one_moment():
            found = images.top_images(category, query["limit"], query["days"], now)
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
    return wire.CATEGORY_TOTALS[category]


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
