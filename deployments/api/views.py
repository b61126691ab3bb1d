"""Serve apps, owners, effects of messages, cohorts, accruals, forecasts, fill, sources and categories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from deployments import run_rate, selectors
from deployments.api import serializers
from deployments.customers import PLANS
from deployments.models import AppEvent, AppLife, MessagesState
from deployments.running_instances import fill
from deployments.splits import breakdown
from deployments.splits.breakdown import AppSums, Breakdown
from fluxtracker.api.fields import ByQuery, ErrorAnswer, OneOf, Page, PageQuery, Query
from fluxtracker.api.views import ReadView
from metrics.census.selectors import census_stamp
from revenue.models import Label, LedgerState
from revenue.payments.filters import AppsQuery
from revenue.selectors import apps, ledger_stamp, pruned_details_note

NOT_FOUND = {404: OpenApiResponse(ErrorAnswer, "No message and no payment names it.")}
OF_DAYS = {"from", "to", "range"}


class MessagesView(ReadView):
    def etag(self, now: datetime) -> object:
        return selectors.stamp(now)


class AppView(ReadView):
    """An app by name, case-insensitive: its owner, its end and all its messages."""

    name, operation, tag = "App", "app", "apps"
    parameters = (OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH),)
    answer, errors = serializers.AppAnswer, NOT_FOUND

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        self.app_name = path["name"]
        return super().get(request, **path)

    def etag(self, now: datetime) -> object:
        """Return an ETag that also changes with the clock, as the state does."""
        return selectors.stamp(now), now.hour, now.minute

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        details = selectors.find_app(self.app_name, now)
        if details is None:
            near = selectors.close_names(self.app_name)
            raise NotFound(
                f"no app of that name; the closest are: {', '.join(near)}" if near else "no app of that name"
            )
        app: AppLife = details["app"]
        return details | {
            "name": app.name,
            "owner": app.owner,
            "registered": app.registered_at,
            "end": {"height": app.end_height, "at": app.end_at},
            "instances": {"ordered": app.instances, "running": details["running"]},
            "category": app.category,
            "image": app.image or None,
            "life": [_event(event) for event in details["life"]],
        }


def _event(event: AppEvent) -> dict[str, Any]:
    return {
        **{
            name: getattr(event, name)
            for name in ("height", "at", "kind", "owner", "instances", "end_height", "end_at")
        },
        "txid": event.txid or None,
        "hash": event.message_hash or None,
        "revenue_sat": event.revenue_sat,
        "usd_micro": event.usd_micro if event.priced or not event.payments else None,
        "applied": event.kind != AppEvent.Kind.IGNORED,
    }


class OwnerView(MessagesView):
    """The apps of an owner, by what was paid for them while it owned them."""

    name, operation, tag = "Owner", "owner", "apps"
    parameters = (OpenApiParameter("owner", OpenApiTypes.STR, OpenApiParameter.PATH),)
    query, answer, errors = PageQuery, serializers.OwnerAnswer, NOT_FOUND

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        self.owner = path["owner"]
        return super().get(request, **path)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        rows = selectors.owned(self.owner)
        if not rows:
            raise NotFound("no app of that owner")
        names = {"payments": "sum_payments", "revenue_sat": "sum_sat", "usd_micro": "sum_micro", "priced": "sum_priced"}
        totals = selectors.Sums.of(
            {"first": row["first"], "last": row["last"]} | {key: row[name] for key, name in names.items()}
            for row in rows
        )
        for row in rows:
            row["usd_micro"] = row["sum_micro"] if row["sum_priced"] or not row["sum_payments"] else None
        rows.sort(key=lambda row: (-row["sum_sat"], row["name"]))
        page, limit, lost = values["page"], values["limit"], pruned_details_note()
        shown = Page(rows[(page - 1) * limit : page * limit], len(rows), page, limit)
        return {
            "owner": self.owner, "apps": shown.rows, "totals": totals, "first": totals.first, "last": totals.last,
            "total": shown.total, "page": page, "limit": limit, "pages": shown.pages,
            "notes": {"totals": lost} if lost else {}, **selectors.coverage(),
        }  # fmt: skip


class KindsView(MessagesView):
    """Effects of app messages and the revenue from them: new apps, renewals, changes, cancellations, losses."""

    name, operation, tag = "Kinds of messages", "economics_kinds", "economics"
    query, answer = ByQuery, serializers.KindsAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return selectors.kinds(values["start"], values["end"], values["by"], now)


class CohortsQuery(Query):
    plan = OneOf(PLANS, default="all", help_text="By the first term: weekly is 7 days or less.")


class CohortsView(MessagesView):
    """Apps by month of registration: how many stay, how many renew."""

    name, operation, tag = "Cohorts", "economics_cohorts", "economics"
    query, answer = CohortsQuery, serializers.CohortsAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return selectors.cohorts(values["plan"])


class AccrualView(MessagesView):
    """Revenue received and the part of it that is earned, by day, week, month, quarter or year."""

    name, operation, tag = "Accrual", "economics_accrual", "economics"
    query, answer = ByQuery, serializers.AccrualAnswer

    def read(self, values: dict[str, Any], now: datetime) -> run_rate.AccrualReport:
        return run_rate.accrual(values["start"], values["end"], values["by"], now)


class ForecastView(ReadView):
    """Earnings of future days without any renewal, and the apps that end on them."""

    name, operation, tag = "Forecast", "economics_forecast", "economics"
    answer = serializers.ForecastAnswer

    def etag(self, now: datetime) -> object:
        """Return an ETag that also changes with the clock, as balances do."""
        return selectors.stamp(now), now.hour, now.minute

    def read(self, values: dict[str, Any], now: datetime) -> run_rate.Forecast:
        return run_rate.forecast(now)


class FillView(ReadView):
    """Ordered and running instances. A stopped one is listed up to 125 minutes longer."""

    name, operation, tag = "Ordered and running", "network_fill", "network"
    answer = serializers.FillAnswer

    def etag(self, now: datetime) -> object:
        """Return an ETag that also changes with the clock, as apps end."""
        messages = MessagesState.objects.values_list("version", flat=True).first()
        return census_stamp(), messages, ledger_stamp(), now.replace(second=0, microsecond=0)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return fill(now)


def _answered(result: Breakdown, **more: Any) -> dict[str, Any]:
    names = ("rows", "keys", "as_of", "unsplit", "known_percent", "priced_percent")
    return {name: getattr(result, name) for name in names} | {"notes": breakdown.notes(result)} | more


class SplitView(MessagesView):
    query, tag = ByQuery, "revenue"


class SourcesView(SplitView):
    """Revenue by sender: the card gateway, the team, the platform's wallet, others."""

    name, operation = "Revenue by source", "revenue_sources"
    answer = serializers.SourcesAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        result = breakdown.sources(values["start"], values["end"], values["by"], now)
        return _answered(result, labels=list(Label.objects.all()))


class CategoriesView(SplitView):
    """Revenue by category; unknown where nothing shows it, as with most encrypted apps."""

    name, operation = "Revenue by category", "revenue_categories"
    answer = serializers.CategoriesAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return _answered(breakdown.categories(values["start"], values["end"], values["by"], now))


@dataclass(frozen=True, slots=True)
class AppsPage(Page):
    sums: AppSums


class AppsView(ReadView):
    """Revenue per app, highest first; `from`, `to` or `range` limit it to days, including pruned payments."""

    name, operation, tag = "App analytics", "analytics_apps", "analytics"
    query, answer = AppsQuery, serializers.AppAnalyticsAnswer

    def etag(self, now: datetime) -> object:
        """Return an ETag; without days it changes only with the ledger."""
        if self.request.query_params.keys() & OF_DAYS:
            return selectors.stamp(now)
        self.ledger = LedgerState.known()
        return self.ledger.stamp

    def read(self, values: dict[str, Any], now: datetime) -> AppsPage:
        search, sort, page, limit = values.get("search", ""), values["sort"], values["page"], values["limit"]
        if not self.request.query_params.keys() & OF_DAYS:
            result = Page.of(apps(search, sort), values)
            return AppsPage(result.rows, result.total, page, limit, AppSums(as_of=self.ledger.read_until))
        shown = ((page - 1) * limit, limit)
        sums = breakdown.apps_between(values.get("from"), values.get("to"), search, sort, shown=shown)
        return AppsPage(sums.apps, sums.total, page, limit, sums)
