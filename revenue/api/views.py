"""The endpoints of this room."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import fields
from fluxtracker.api.conditional import conditional
from fluxtracker.api.fields import page_of
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from fluxtracker.database import one_moment
from fluxtracker.periods import Length
from fluxtracker.timestamps import unix_ms
from revenue import selectors
from revenue.api import serializers
from revenue.models import LedgerState
from revenue.payments import filters, pagination
from revenue.payments.filters import AppsQuery, DailyQuery, TransactionsQuery, wanted
from revenue.selectors import ledger_stamp
from revenue.status import status

QUERY_ERRORS = {400: BAD_QUERY, **ERRORS}
TO_DATE_S = 60  # how long an answer may be confirmed whose like-for-like part has moved on since


def _today(request: Request) -> tuple[object, date, int]:
    """Answers about days change at midnight, too, and `toDate` goes with the clock."""
    now = timezone.now()
    return ledger_stamp(), now.date(), int(now.timestamp()) // TO_DATE_S


class TransactionsView(PublicView):
    """Payments, newest first."""

    name = "Transactions"

    @extend_schema(
        operation_id="transactions",
        tags=["revenue"],
        parameters=[TransactionsQuery],
        responses={200: serializers.TransactionsAnswer, **QUERY_ERRORS},
    )
    @conditional(lambda request: ledger_stamp())
    def get(self, request: Request) -> Response:
        query = fields.read(TransactionsQuery, request)
        page, limit = query["page"], query["limit"]
        with one_moment():
            selection = filters.select(wanted(query))
            total = selection.count()
            rows = pagination.page_rows(selection, total, (page - 1) * limit, limit)
            tip = LedgerState.objects.values_list("tip_height", flat=True).first()
        shown = [serializers.transaction(row, tip) for row in rows]
        return Response(page_of("transactions", shown, total=total, page=page, limit=limit))


class AppsView(PublicView):
    """Revenue per app, highest first."""

    name = "App analytics"

    @extend_schema(
        operation_id="analytics_apps",
        tags=["analytics"],
        parameters=[AppsQuery],
        responses={200: serializers.AppsAnswer, **QUERY_ERRORS},
    )
    @conditional(lambda request: ledger_stamp())
    def get(self, request: Request) -> Response:
        query = fields.read(AppsQuery, request)
        page, limit = query["page"], query["limit"]
        apps = selectors.apps(query.get("search", ""), query["sort"])
        with one_moment():
            total = apps.count()
            rows = apps[(page - 1) * limit : page * limit] if (page - 1) * limit < total else []
            shown = [serializers.app_sums(app) for app in rows]
        return Response(page_of("apps", shown, total=total, page=page, limit=limit))


class PeriodView(PublicView):
    """A calendar period so far (UTC, weeks from Monday) against the whole one before it."""

    length = Length.WEEKLY

    def get_view_name(self) -> str:
        return f"{self.length.capitalize()} revenue"

    @extend_schema(tags=["revenue"], responses={200: serializers.PeriodAnswer, **ERRORS})
    @conditional(_today)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        return Response(_period_answer(self.length, now, *_sums(self.length, now)))


def period_view(length: Length) -> Callable[..., HttpResponseBase]:
    """The view of one calendar, described under its own name."""
    described = extend_schema_view(get=extend_schema(operation_id=f"revenue_{length}"))
    view: type[PeriodView] = described(type(f"{length.capitalize()}View", (PeriodView,), {"length": length}))
    return view.as_view()


class DailyView(PublicView):
    """Today so far against yesterday, and every day of the last `days`, oldest first."""

    name = "Daily revenue"

    @extend_schema(
        operation_id="revenue_daily",
        tags=["revenue"],
        parameters=[DailyQuery],
        responses={200: serializers.DailyAnswer, **QUERY_ERRORS},
    )
    @conditional(_today)
    def get(self, request: Request) -> Response:
        days, now = fields.read(DailyQuery, request)["days"], timezone.now()
        totals, like = _sums(Length.DAILY, now, now.date() - timedelta(days=days - 1))
        data = [serializers.day_sums(row) for row in selectors.daily(totals, now.date(), days, now)]
        return Response(_period_answer(Length.DAILY, now, totals, like) | {"count": len(data), "data": data})


class RevenueStatusView(PublicView):
    """How the revenue sync is doing."""

    name = "Revenue status"

    @extend_schema(operation_id="revenue_status", tags=["admin"], responses={200: serializers.RevenueStatus, **ERRORS})
    def get(self, request: Request) -> Response:
        return Response(status(timezone.now()), headers={"Cache-Control": "no-cache"})


def _sums(length: Length, now: datetime, first: date | None = None) -> tuple[selectors.Totals, selectors.ToDate]:
    """Return the totals from the previous period, or an earlier day, on, and the period so far like for like."""
    _, previous = selectors.periods(length, now)
    with one_moment():
        totals = selectors.Totals.load(min(first or date.max, previous.first_day), now.date())
        return totals, selectors.load([length], totals, now)[length]


def _period_answer(length: Length, now: datetime, totals: selectors.Totals, like: selectors.ToDate) -> dict[str, Any]:
    return serializers.comparison(selectors.compare(totals, length, now), totals.ledger, now) | {
        "period": length.value,
        "toDate": serializers.to_date(like),
        "timestamp": unix_ms(now),
    }
