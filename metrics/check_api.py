"""The endpoint of the service checks."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api.reading import one_moment
from fluxtracker.api.views import ERRORS, PublicView
from metrics.check_answers import TestStatus
from metrics.check_status import status


class TestStatusView(PublicView):
    """What the last check of each upstream, game and crypto node found."""

    name = "Service checks"

    @extend_schema(operation_id="test_status", tags=["admin"], responses={200: TestStatus, **ERRORS})
    def get(self, request: Request) -> Response:
        with one_moment():
            answer = status(timezone.now())
        return Response(answer, headers={"Cache-Control": "no-cache"})
