"""Serve payments, apps and the sums of periods."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, ClassVar

from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import NotFound

from fluxtracker.api.fields import ErrorAnswer, Page, PageQuery
from fluxtracker.api.views import ReadView, StatusView
from fluxtracker.periods import DAY, Bucket, Period
from revenue import pending, period_totals, selectors
from revenue.api import serializers
from revenue.payments import filters, pagination, payers
from revenue.payments.filters import DailyQuery, TransactionsQuery
from revenue.payments.payers import PayerPage
from revenue.selectors import ledger_stamp
from revenue.status import status

TO_DATE_S = 60  # how long an answer may be confirmed after its like-for-like part has moved on


class TransactionsView(ReadView):
    """Payments, newest first."""

    name, operation, tag = "Transactions", "transactions", "revenue"
    query, answer = TransactionsQuery, serializers.TransactionsAnswer

    def etag(self, now: datetime) -> object:
        return ledger_stamp(), now.date()

    def read(self, values: dict[str, Any], now: datetime) -> Page:
        page, limit = values["page"], values["limit"]
        selection = filters.select(values)
        total = selection.count()
        rows = pagination.page_rows(selection, total, (page - 1) * limit, limit)
        return Page(pagination.with_confirmations(rows, pagination.tip_height()), total, page, limit)


class PendingView(ReadView):
    """Payments that were seen and are not in the ledger yet, the newest first. They are part of no sum and no count."""

    name, operation, tag = "Pending payments", "revenue_pending", "revenue"
    answer = serializers.PendingAnswer

    def etag(self, now: datetime) -> object:
        return ledger_stamp(), pending.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> pending.Pending:
        return pending.pending(now)


class PayerView(ReadView):
    """Payments of one sender, newest first, and what all of them come to, pruned ones included."""

    name, operation, tag = "Payer", "payer", "revenue"
    query, answer = PageQuery, serializers.PayerAnswer
    parameters = (OpenApiParameter("address", str, OpenApiParameter.PATH, description="The sender's address."),)
    errors = {404: OpenApiResponse(ErrorAnswer, "No known payments from this address.")}

    def etag(self, now: datetime) -> object:
        return ledger_stamp(), now.date()

    def read(self, values: dict[str, Any], now: datetime) -> PayerPage:
        payer = payers.find(self.kwargs["address"], now.date())
        if payer is None:
            raise NotFound(
                " ".join(filter(None, ["no known payments from this address.", selectors.pruned_details_note()]))
            )
        page, limit = values["page"], values["limit"]
        selection = filters.select(TransactionsQuery.read({"sender": payer.address}))
        rows = pagination.page_rows(selection, payer.kept, (page - 1) * limit, limit)
        payments = pagination.with_confirmations(rows, pagination.tip_height())
        return PayerPage(payments, payer.kept, page, limit, payer)


def _listed(values: dict[str, Any], today: date) -> Period | None:
    """Return the days listed besides the periods, if any."""
    if "start" in values:
        return Period.of_days(values["start"], values["end"])
    days = values.get("days", 0)
    return Period.of_days(today - (days - 1) * DAY, today) if days else None


class PeriodView(ReadView):
    """A calendar period so far (UTC, weeks from Monday) against the whole one before it."""

    bucket: ClassVar[Bucket]
    tag, answer = "revenue", serializers.PeriodAnswer

    def get_view_name(self) -> str:
        return f"{self.bucket.adverb.capitalize()} revenue"

    def etag(self, now: datetime) -> object:
        """Return an ETag that also changes at midnight, and with the clock because of `toDate`."""
        return ledger_stamp(), now.date(), int(now.timestamp()) // TO_DATE_S

    def read(self, values: dict[str, Any], now: datetime) -> period_totals.PeriodReport:
        return period_totals.period_report(self.bucket, now, _listed(values, now.date()))


def period_view(bucket: Bucket) -> Callable[..., HttpResponseBase]:
    """Return the view for one kind of period."""
    names = {"bucket": bucket, "operation": f"revenue_{bucket.adverb}"}
    view: type[PeriodView] = type(f"{bucket.adverb.capitalize()}View", (PeriodView,), names)
    made: Callable[..., HttpResponseBase] = view.as_view()
    return made


class DailyView(PeriodView):
    """Today so far against yesterday, and every day of the last `days` or of a `range`, oldest first."""

    bucket, operation = Bucket.DAY, "revenue_daily"
    query, answer = DailyQuery, serializers.DailyAnswer


class RevenueStatusView(StatusView):
    """Status of the revenue sync."""

    name, operation = "Revenue status", "revenue_status"
    answer = serializers.RevenueStatus

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return status(now)
