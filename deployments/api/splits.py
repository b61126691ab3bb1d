"""Serve revenue by source, category and app."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework import serializers

from deployments import revenue_breakdown
from deployments.revenue_breakdown import ORGANIC, AppSums, Breakdown
from deployments.selectors import stamp
from fluxtracker.api.fields import Answer, ByQuery, MicroDollars, Page, Satoshi
from fluxtracker.api.views import ReadView
from revenue import selectors
from revenue.api.serializers import AppsAnswer
from revenue.labels import SOURCES
from revenue.models import Label, LedgerState
from revenue.payments.filters import AppsQuery
from revenue.selectors import Sums

OF_DAYS = {"from", "to", "range"}
NOTES = "Why a figure is null, by figure."


class Amounts(Answer):
    flux = Satoshi(source="revenue_sat", allow_null=True)
    flux_sat = serializers.IntegerField(source="revenue_sat", allow_null=True)
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text="Of the priced payments.")
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")
    payments = serializers.IntegerField(allow_null=True)


UNKNOWN_AMOUNTS = Amounts.write(Sums(None, None, None, 0))


def amounts(part: Sums | None) -> dict[str, Any]:
    return UNKNOWN_AMOUNTS if part is None else Amounts.write(part)


class RowAnswer(Answer):
    """A row's days and total, and its parts by their keys."""

    date = serializers.DateField(help_text="First day of the row.")
    end = serializers.DateField(help_text="Last day of the row, included.")
    complete = serializers.BooleanField(help_text="Each of its days is over, and every payment of it is in.")
    total = Amounts()


def _base(row: revenue_breakdown.Row) -> dict[str, Any]:
    span = row.span
    return {
        "date": span.first.isoformat(), "end": span.last.isoformat(), "complete": row.complete,
        "total": Amounts.write(row.total),
    }  # fmt: skip


class SourcesRow(RowAnswer):
    card = Amounts()
    team = Amounts()
    platform = Amounts()
    other = Amounts()
    unknown = Amounts(help_text="Pruned before senders were kept.")
    organic = Amounts(help_text="Total without team.")

    @classmethod
    def write(cls, source: revenue_breakdown.Row) -> dict[str, Any]:
        parts = {key: amounts(source.parts[key] if source.parts else None) for key in SOURCES}
        return _base(source) | parts | {ORGANIC: amounts(revenue_breakdown.organic(source))}


class CategoriesRow(RowAnswer):
    """Each category has a key of its own beside these, with the same amounts."""

    @classmethod
    def write(cls, source: revenue_breakdown.Row) -> dict[str, Any]:
        return _base(source) | {key: Amounts.write(part) for key, part in (source.parts or {}).items()}


class LabelAnswer(Answer):
    address = serializers.CharField(source="subject", help_text="Of a sender, or an owner.")
    kind = serializers.ChoiceField(Label.Kind.choices)
    label = serializers.CharField(source="words")  # type: ignore[assignment]  # the wire name
    valid_from = serializers.DateField(allow_null=True)
    valid_to = serializers.DateField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "class": serializers.ChoiceField(Label.Category.choices, source="category")}


class SplitCoverage(Answer):
    classified_percent = serializers.FloatField(
        source="known_percent", allow_null=True, help_text="Share of the FLUX that is not unknown."
    )
    priced_percent = serializers.FloatField(allow_null=True, help_text="Share of the payments that have a price.")
    waitingDays = serializers.IntegerField(source="unsplit", help_text="Days that have changed and are null.")


class BreakdownAnswer(Answer):
    coverage = SplitCoverage(source="*")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    notes = serializers.DictField(child=serializers.CharField(), help_text=NOTES)


class SourcesAnswer(BreakdownAnswer):
    data = SourcesRow(many=True, source="rows")  # type: ignore[assignment]  # the wire name
    labels = LabelAnswer(many=True)


class CategoriesAnswer(BreakdownAnswer):
    data = CategoriesRow(many=True, source="rows")  # type: ignore[assignment]  # the wire name
    categories = serializers.ListField(child=serializers.CharField(), source="keys", help_text="Keys of each row.")


def _answered(found: Breakdown, **more: Any) -> dict[str, Any]:
    names = ("rows", "keys", "as_of", "unsplit", "known_percent", "priced_percent")
    return {name: getattr(found, name) for name in names} | {"notes": revenue_breakdown.notes(found)} | more


class SplitView(ReadView):
    query, tag = ByQuery, "revenue"

    def etag(self, now: datetime) -> object:
        return stamp(now)


class SourcesView(SplitView):
    """Revenue by who sent it: the card gateway, the team, the platform's wallet, others."""

    name, operation = "Revenue by source", "revenue_sources"
    answer = SourcesAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        found = revenue_breakdown.sources(values["start"], values["end"], values["by"], now)
        return _answered(found, labels=list(Label.objects.all()))


class CategoriesView(SplitView):
    """Revenue by what it was paid for; unknown where nothing tells, as of most encrypted apps."""

    name, operation = "Revenue by category", "revenue_categories"
    answer = CategoriesAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return _answered(revenue_breakdown.categories(values["start"], values["end"], values["by"], now))


class AppsCoverage(Answer):
    waitingDays = serializers.IntegerField(source="unsplit", help_text="Days that have changed and are left out.")


class AppAnalyticsAnswer(AppsAnswer):
    coverage = AppsCoverage(source="sums")
    asOf = serializers.DateTimeField(source="sums.as_of", allow_null=True)
    notes = serializers.DictField(source="sums.notes", child=serializers.CharField(), help_text=NOTES)


@dataclass(frozen=True, slots=True)
class AppsPage(Page):
    sums: AppSums


class AppsView(ReadView):
    """Revenue per app, highest first; with `from`, `to` or `range` of these days alone, pruned payments included."""

    name, operation, tag = "App analytics", "analytics_apps", "analytics"
    query, answer = AppsQuery, AppAnalyticsAnswer

    def etag(self, now: datetime) -> object:
        """Without days the sums of the ledger's own rows are asked for, which change with the ledger alone."""
        if self.request.query_params.keys() & OF_DAYS:
            return stamp(now)
        self.ledger = LedgerState.known()
        return self.ledger.stamp

    def read(self, values: dict[str, Any], now: datetime) -> AppsPage:
        search, sort, page, limit = values.get("search", ""), values["sort"], values["page"], values["limit"]
        if not self.request.query_params.keys() & OF_DAYS:
            found = Page.of(selectors.apps(search, sort), values)
            return AppsPage(found.rows, found.total, page, limit, AppSums(as_of=self.ledger.read_until))
        shown = ((page - 1) * limit, limit)
        sums = revenue_breakdown.apps_between(values.get("from"), values.get("to"), search, sort, shown=shown)
        return AppsPage(sums.apps, sums.total, page, limit, sums)
