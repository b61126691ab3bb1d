"""The endpoints that say how much there is and how the daily snapshot stands."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api.reading import one_moment
from fluxtracker.api.views import ERRORS, PublicView
from snapshots import answers, standing
from snapshots.stats import stats


class StatsView(PublicView):
    """How much is stored, and what the ledger adds up to."""

    name = "Stats"

    @extend_schema(operation_id="stats", tags=["stats"], responses={200: answers.StatsAnswer, **ERRORS})
    def get(self, request: Request) -> Response:
        with one_moment():
            answer = stats(timezone.now())
        return Response(answer, headers={"Cache-Control": "no-cache"})


class SnapshotStatusView(PublicView):
    """How the daily snapshot is doing."""

    name = "Snapshot status"

    @extend_schema(operation_id="snapshot_status", tags=["admin"], responses={200: answers.SnapshotStatus, **ERRORS})
    def get(self, request: Request) -> Response:
        return Response(standing.status(timezone.now()), headers={"Cache-Control": "no-cache"})
