"""Serve the report, and daily fees for other services."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from deployments.models import MessagesState
from fluxtracker.api.fields import DaysQuery
from fluxtracker.api.views import ReadView
from reports import calendar, fees, kpi_report
from reports.api.serializers import FeesAnswer, KpiAnswer, KpiQuery, NotOverAnswer
from reports.calendar import Named
from reports.kpi_report import NotOver, Report
from revenue.models import ShareRule
from revenue.selectors import ledger_stamp

NOTES = {
    "dailyHoldersRevenue": "What the foundation does with its part is not on record.",
    "incentives": "By the block subsidy, to a block or two per day; null before block 2,020,000 and for days not over.",
}


class KpiView(ReadView):
    """Report of a completed day, week, month, quarter or year compared with the previous one.

    Sums for flows, means of the days for stocks, points for percentages.
    """

    name, operation, tag = "Report", "reports_kpi", "reports"
    query, answer = KpiQuery, KpiAnswer
    errors = {400: OpenApiResponse(NotOverAnswer, "The period is not over, or a query value is wrong.")}

    def etag(self, now: datetime) -> object:
        return kpi_report.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> Report:
        bucket, day = values["period"], values.get("date")
        period = calendar.containing(bucket, day) if day else calendar.last_completed(bucket, now)
        return kpi_report.report(period, now)

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        try:
            return super().get(request, **path)
        except NotOver as error:
            last = Named.of(error.last)
            return Response(NotOverAnswer.write(_wrong(error, last)), status=400)


def _wrong(error: NotOver, last: Named) -> dict[str, Any]:
    return {"error": f"date: {error}", "fields": {"date": str(error)}, "lastCompleted": last}


class FeesView(ReadView):
    """Daily fees in the shape of DefiLlama, with block issuance separate."""

    name, operation, tag = "Daily fees", "export_fees", "reports"
    query, answer = DaysQuery, FeesAnswer

    def etag(self, now: datetime) -> object:
        rules = list(ShareRule.objects.values_list("from_height", "foundation_ppm"))
        return ledger_stamp(), MessagesState.objects.values_list("version").first(), rules, now.date()

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        report = fees.fees(values["start"], values["end"], now)
        payments = sum(day.payments or 0 for day in report.days)
        priced = payments - sum(day.usd_missing for day in report.days)
        coverage = {
            "completeDays": sum(day.complete for day in report.days),
            "priced_percent": round(priced * 100 / payments, 2) if payments else None,
        }
        return {"data": report.days, "rules": report.rules, "coverage": coverage, "asOf": report.as_of, "notes": NOTES}
