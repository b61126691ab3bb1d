"""Serve the report."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api.views import ReadView
from reports import calendar, selectors
from reports.api.serializers import KpiAnswer, KpiQuery, NotOverAnswer
from reports.calendar import Named
from reports.selectors import NotOver, Report


class KpiView(ReadView):
    """What a completed day, week, month, quarter or year was, against the one before.

    Sums for flows, means of the days for stocks, points for percentages.
    """

    name, operation, tag = "Report", "reports_kpi", "reports"
    query, answer = KpiQuery, KpiAnswer
    errors = {400: OpenApiResponse(NotOverAnswer, "The period is not over, or a query value is wrong.")}

    def etag(self, now: datetime) -> object:
        return selectors.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> Report:
        bucket, day = values["period"], values.get("date")
        period = calendar.containing(bucket, day) if day else calendar.last_completed(bucket, now)
        return selectors.report(period, now)

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        try:
            return super().get(request, **path)
        except NotOver as error:
            last = Named.of(error.last)
            return Response(NotOverAnswer.write(_wrong(error, last)), status=400)


def _wrong(error: NotOver, last: Named) -> dict[str, Any]:
    return {"error": f"date: {error}", "fields": {"date": str(error)}, "lastCompleted": last}
