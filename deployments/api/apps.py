"""Serve the lives of apps: one by its name, those of an owner, what messages did, and cohorts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from deployments import selectors
from deployments.customers import PLANS
from deployments.models import AppEvent, AppLife
from fluxtracker.api.fields import (
    Answer,
    ByQuery,
    ErrorAnswer,
    MicroDollars,
    OneOf,
    Page,
    PageAnswer,
    PageQuery,
    Query,
    Satoshi,
)
from fluxtracker.api.views import ReadView
from revenue.selectors import unkept

PRICED = "Of the priced payments; null where none is priced."
NOTES = "Why a figure is null, by figure."
NOT_FOUND = {404: OpenApiResponse(ErrorAnswer, "No message and no payment names it.")}


class RestingAnswer(Answer):
    """What every answer about app messages says."""

    coverage = serializers.DictField(child=serializers.IntegerField(), help_text="What it rests on: messages, apps.")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True, help_text="When messages were last read.")
    notes = serializers.DictField(child=serializers.CharField(), help_text=NOTES)


class PaidAnswer(Answer):
    count = serializers.IntegerField(source="payments")
    flux = Satoshi(source="revenue_sat")
    flux_sat = serializers.IntegerField(source="revenue_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")
    first = serializers.DateTimeField(allow_null=True)
    last = serializers.DateTimeField(allow_null=True)


class EndAnswer(Answer):
    height = serializers.IntegerField(allow_null=True, help_text="null: not known, or a duration without a block.")
    at = serializers.DateTimeField(allow_null=True)


class InstancesAnswer(Answer):
    ordered = serializers.IntegerField(allow_null=True)
    running = serializers.IntegerField(allow_null=True, help_text="By the last census.")


class EventAnswer(Answer):
    height = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(AppEvent.Kind.choices)
    txid = serializers.CharField(allow_null=True, help_text="null: an end without a renewal.")
    hash = serializers.CharField(allow_null=True)
    owner = serializers.CharField(allow_null=True)
    instances = serializers.IntegerField(allow_null=True)
    end_height = serializers.IntegerField(allow_null=True, help_text="In force after it.")
    end_at = serializers.DateTimeField(allow_null=True)
    flux = Satoshi(source="revenue_sat")
    flux_sat = serializers.IntegerField(source="revenue_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED)
    applied = serializers.BooleanField(help_text="Whether it counts.")


class AppAnswer(RestingAnswer):
    name = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(AppLife.State.choices)
    registered = serializers.DateTimeField(allow_null=True, help_text="When its first life began.")
    end = EndAnswer()
    instances = InstancesAnswer()
    category = serializers.CharField()
    image = serializers.CharField(allow_null=True, help_text="The first public one, without its tag.")
    payments = PaidAnswer()
    life = EventAnswer(many=True)


class AppView(ReadView):
    """An app by its name, in any case: who owns it, until when it runs, every message of it."""

    name, operation, tag = "App", "app", "apps"
    parameters = (OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH),)
    answer, errors = AppAnswer, NOT_FOUND

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        self.wanted = path["name"]
        return super().get(request, **path)

    def etag(self, now: datetime) -> object:
        """Its state goes with the clock."""
        return selectors.stamp(now), now.hour, now.minute

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        found = selectors.find_app(self.wanted, now)
        if found is None:
            near = selectors.close_names(self.wanted)
            raise NotFound(
                f"no app of that name; the closest are: {', '.join(near)}" if near else "no app of that name"
            )
        app: AppLife = found["app"]
        return found | {
            "name": app.name,
            "owner": app.owner,
            "registered": app.registered_at,
            "end": {"height": app.end_height, "at": app.end_at},
            "instances": {"ordered": app.instances, "running": found["running"]},
            "category": app.category,
            "image": app.image or None,
            "life": [_event(event) for event in found["life"]],
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


class OwnedAnswer(Answer):
    name = serializers.CharField()
    payments = serializers.IntegerField(source="sum_payments")
    flux = Satoshi(source="sum_sat")
    flux_sat = serializers.IntegerField(source="sum_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED)
    first = serializers.DateTimeField(allow_null=True)
    last = serializers.DateTimeField(allow_null=True)


class TotalsAnswer(Answer):
    flux = Satoshi(source="revenue_sat")
    flux_sat = serializers.IntegerField(source="revenue_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")
    payments = serializers.IntegerField()


class OwnerAnswer(RestingAnswer, PageAnswer):
    owner = serializers.CharField()
    apps = OwnedAnswer(many=True)
    totals = TotalsAnswer()
    first = serializers.DateTimeField(allow_null=True, help_text="First payment.")
    last = serializers.DateTimeField(allow_null=True)


class OwnerView(ReadView):
    """The apps of an owner, by what was paid for them while they were its own."""

    name, operation, tag = "Owner", "owner", "apps"
    parameters = (OpenApiParameter("owner", OpenApiTypes.STR, OpenApiParameter.PATH),)
    query, answer, errors = PageQuery, OwnerAnswer, NOT_FOUND

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        self.wanted = path["owner"]
        return super().get(request, **path)

    def etag(self, now: datetime) -> object:
        return selectors.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        rows = selectors.owned(self.wanted)
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
        page, limit, lost = values["page"], values["limit"], unkept()
        shown = Page(rows[(page - 1) * limit : page * limit], len(rows), page, limit)
        return {
            "owner": self.wanted, "apps": shown.rows, "totals": totals, "first": totals.first, "last": totals.last,
            "total": shown.total, "page": page, "limit": limit, "pages": shown.pages,
            "notes": {"totals": lost} if lost else {}, **selectors.coverage(),
        }  # fmt: skip


class KindAnswer(Answer):
    count = serializers.IntegerField(allow_null=True)
    flux = Satoshi(source="sat", allow_null=True)
    flux_sat = serializers.IntegerField(source="sat", allow_null=True)
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")


class LostAnswer(Answer):
    count = serializers.IntegerField(allow_null=True, help_text="Told a week after the end.")


class KindsRow(Answer):
    date = serializers.DateField(help_text="First day of the row.")
    new = KindAnswer()
    reregistered = KindAnswer()
    won_back = KindAnswer()
    renewal = KindAnswer()
    change = KindAnswer()
    shortened = KindAnswer()
    cancelled = KindAnswer()
    lost = LostAnswer()


class KindsAnswer(RestingAnswer):
    data = KindsRow(many=True)  # type: ignore[assignment]  # the wire name


class KindsView(ReadView):
    """What app messages did, and what was paid for them: new apps, renewals, changes, cancellations, losses."""

    name, operation, tag = "Kinds of messages", "economics_kinds", "economics"
    query, answer = ByQuery, KindsAnswer

    def etag(self, now: datetime) -> object:
        return selectors.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return selectors.kinds(values["start"], values["end"], values["by"])


class SurvivedAnswer(Answer):
    d30 = serializers.FloatField(allow_null=True, help_text="Percent; null: the cohort is not old enough.")
    d90 = serializers.FloatField(allow_null=True)
    d180 = serializers.FloatField(allow_null=True)
    d365 = serializers.FloatField(allow_null=True)


class CohortAnswer(Answer):
    month = serializers.CharField(help_text="Of registration: YYYY-MM.")
    apps = serializers.IntegerField()
    survived = SurvivedAnswer()
    renewal_rate = serializers.FloatField(allow_null=True, help_text="Percent of the terms that fell due.")
    renewed = serializers.IntegerField()
    lost = serializers.IntegerField()


class CohortsAnswer(RestingAnswer):
    cohorts = CohortAnswer(many=True)
    medianLifeDays = serializers.FloatField(allow_null=True, help_text="After Kaplan and Meier.")
    netRetention = serializers.FloatField(
        allow_null=True, help_text="What the owners of `period`'s start earn at its end, in percent of then, in USD."
    )
    retention = serializers.DictField(
        child=serializers.FloatField(),
        help_text="USD a month: start + expansion - contraction - lost is what the same owners earn at the end.",
    )
    period = serializers.DictField(
        child=serializers.CharField(), help_text="`start` and `end`, YYYY-MM-DD: the last 30 days that are over."
    )
    owners = serializers.DictField(
        child=serializers.IntegerField(), help_text="Who paid in `period`: paying = new + returning."
    )
    concentration = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text="Of `period`: top10_percent, apps_for_80_percent.",
    )


class CohortsQuery(Query):
    plan = OneOf(PLANS, default="all", help_text="By the first term: weekly is 7 days or less.")


class CohortsView(ReadView):
    """Apps by the month of their registration: how many stay, how many renew."""

    name, operation, tag = "Cohorts", "economics_cohorts", "economics"
    query, answer = CohortsQuery, CohortsAnswer

    def etag(self, now: datetime) -> object:
        return selectors.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return selectors.cohorts(values["plan"])
