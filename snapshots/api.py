"""The endpoints of the daily history."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import params
from fluxtracker.api.caching import LIVE_S, SETTLED_S, conditional, unless_known
from fluxtracker.api.reading import one_moment
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from revenue.reports import Ledger
from revenue.stamp import ledger_stamp
from snapshots import answers, history, wire
from snapshots.gaps import last_due
from snapshots.history import History, Wanted
from snapshots.models import Snapshot
from snapshots.queries import RangeQuery, SnapshotsQuery, asked_day, newest
from snapshots.stamp import snapshot_stamp

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
        responses={200: answers.SnapshotsAnswer, **QUERY_ERRORS},
    )
    @conditional(history_stamp)
    def get(self, request: Request) -> Response:
        found = _history(newest(params.read(SnapshotsQuery, request)))
        write = wire.Writer(found.tracked).nested
        return Response(_listed([write(row) for row in found.rows], found))


class FullView(PublicView):
    """The same with every column flat, under the names of the tracker that was replaced."""

    name = "Snapshots, every column"

    @extend_schema(
        operation_id="history_snapshots_full",
        tags=["history"],
        parameters=[SnapshotsQuery],
        responses={200: answers.FullAnswer, **QUERY_ERRORS},
    )
    @conditional(history_stamp)
    def get(self, request: Request) -> Response:
        found = _history(newest(params.read(SnapshotsQuery, request)))
        write = wire.Writer(found.tracked).flat
        return Response(_listed([write(row) for row in found.rows], found))


class RangeView(PublicView):
    """The days from `start` to `end`, both included, oldest first."""

    name = "Snapshots of a range"

    @extend_schema(
        operation_id="history_range",
        tags=["history"],
        parameters=[RangeQuery],
        responses={200: answers.RangeAnswer, **QUERY_ERRORS},
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = params.read(RangeQuery, request)
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
            200: answers.SnapshotFlat,
            404: OpenApiResponse(answers.NoSnapshot, "The day has no row; the nearest one that has is told."),
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
        return history.load(wanted, timezone.now())


def _range(first: date, last: date) -> Response:
    found = _history(Wanted(first, last))
    write = wire.Writer(found.tracked).nested
    answer = _listed([write(row) for row in found.rows[::-1]], found)
    answer["missing"].reverse()
    return Response({"start": first.isoformat(), "end": last.isoformat(), **answer})


def _day(day: date) -> Response:
    found = _history(Wanted(day, day))
    return Response(wire.Writer(found.tracked).flat(found.rows[0]))


def _listed(rows: list[dict[str, Any]], found: History) -> dict[str, Any]:
    return {"count": len(rows), "data": rows, "missing": [wire.gap(gap) for gap in found.missing]}


def _no_snapshot(day: date) -> dict[str, Any]:
    near = history.nearest(day)
    words = f"the nearest day that has one is {near}" if near else "no day has one yet"
    return {
        "error": f"there is no snapshot of {day}; {words}",
        "date": day.isoformat(),
        "nearest": near and near.isoformat(),
    }
