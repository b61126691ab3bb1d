"""Serve payments, apps and what periods add up to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpResponseBase

from fluxtracker.api.fields import Page
from fluxtracker.api.views import ReadView, StatusView
from fluxtracker.periods import Bucket
from revenue import selectors
from revenue.api import serializers
from revenue.payments import filters, pagination
from revenue.payments.filters import AppsQuery, DailyQuery, TransactionsQuery
from revenue.selectors import ledger_stamp
from revenue.status import status

TO_DATE_S = 60  # how long an answer may be confirmed whose like-for-like part has moved on since


class TransactionsView(ReadView):
    """Payments, newest first."""

    name, operation, tag = "Transactions", "transactions", "revenue"
    query, answer = TransactionsQuery, serializers.TransactionsAnswer

    def etag(self, now: datetime) -> object:
        return ledger_stamp()

    def read(self, values: dict[str, Any], now: datetime) -> Page:
        page, limit = values["page"], values["limit"]
        selection = filters.select(values)
        total = selection.count()
        rows = pagination.page_rows(selection, total, (page - 1) * limit, limit)
        return Page(pagination.with_confirmations(rows, pagination.tip_height()), total, page, limit)


class AppsView(ReadView):
    """Revenue per app, highest first."""

    name, operation, tag = "App analytics", "analytics_apps", "analytics"
    query, answer = AppsQuery, serializers.AppsAnswer

    def etag(self, now: datetime) -> object:
        return ledger_stamp()

    def read(self, values: dict[str, Any], now: datetime) -> Page:
        return Page.of(selectors.apps(values.get("search", ""), values["sort"]), values)


class PeriodView(ReadView):
    """A calendar period so far (UTC, weeks from Monday) against the whole one before it."""

    bucket: ClassVar[Bucket]
    tag, answer = "revenue", serializers.PeriodAnswer

    def get_view_name(self) -> str:
        return f"{self.bucket.adverb.capitalize()} revenue"

    def etag(self, now: datetime) -> object:
        """Answers about days change at midnight, too, and `toDate` goes with the clock."""
        return ledger_stamp(), now.date(), int(now.timestamp()) // TO_DATE_S

    def read(self, values: dict[str, Any], now: datetime) -> selectors.PeriodReport:
        return selectors.period_report(self.bucket, now, values.get("days", 0))


def period_view(bucket: Bucket) -> Callable[..., HttpResponseBase]:
    """Return the view of one calendar."""
    names = {"bucket": bucket, "operation": f"revenue_{bucket.adverb}"}
    view: type[PeriodView] = type(f"{bucket.adverb.capitalize()}View", (PeriodView,), names)
    return view.as_view()


class DailyView(PeriodView):
    """Today so far against yesterday, and every day of the last `days`, oldest first."""

    bucket, operation = Bucket.DAY, "revenue_daily"
    query, answer = DailyQuery, serializers.DailyAnswer


class RevenueStatusView(StatusView):
    """How the revenue sync is doing."""

    name, operation = "Revenue status", "revenue_status"
    answer = serializers.RevenueStatus

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return status(now)
