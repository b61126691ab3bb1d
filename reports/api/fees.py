"""Serve daily fees for others to read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from deployments.models import MessagesState
from fluxtracker.api.fields import Answer, DaysQuery, MicroDollars, Satoshi, UnixTime
from fluxtracker.api.views import ReadView
from reports import fees
from reports.fees import EMISSION
from revenue.models import ShareRule
from revenue.selectors import ledger_stamp

USD = "US dollars, of the priced payments."
NOTES = {
    "dailyHoldersRevenue": "What the foundation does with its part is not on record.",
    "incentives": "By the block subsidy, to a block or two a day; null before block 2,020,000 and for days not over.",
}


class Shared(Answer):
    flux = Satoshi(source="sat", allow_null=True)
    flux_sat = serializers.IntegerField(source="sat", allow_null=True)
    usd = MicroDollars(source="usd_micro", allow_null=True)


class Incentives(Shared):
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name


class FeesDayAnswer(Answer):
    date = serializers.DateField(source="day")
    timestamp = UnixTime(source="begins_at", help_text="The day's beginning, unix s.")
    complete = serializers.BooleanField()
    dailyFees = MicroDollars(source="users.usd_micro", allow_null=True, help_text=f"Paid by users. {USD}")
    dailyUserFees = MicroDollars(source="users.usd_micro", allow_null=True, help_text="The same.")
    dailyRevenue = MicroDollars(source="foundation.usd_micro", allow_null=True, help_text=USD)
    dailyProtocolRevenue = MicroDollars(
        source="foundation.usd_micro", allow_null=True, help_text=f"To the foundation. {USD}"
    )
    dailySupplySideRevenue = MicroDollars(
        source="operators.usd_micro", allow_null=True, help_text=f"Of the fees, to operators of nodes. {USD}"
    )
    dailyHoldersRevenue = serializers.FloatField(source="holders", allow_null=True, help_text="Null: see `notes`.")
    paidByUsers = Shared(source="users")
    foundation = Shared()
    operators = Shared()
    incentives = Incentives(help_text=EMISSION)
    payments = serializers.IntegerField(allow_null=True)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")


class RuleAnswer(Answer):
    fromHeight = serializers.IntegerField(source="from_height")
    fromDay = serializers.DateField(source="from_day", help_text="When that block was or is expected.")
    foundation_percent = serializers.FloatField()
    operators_percent = serializers.FloatField()
    words = serializers.CharField()

    @classmethod
    def write(cls, source: ShareRule) -> dict[str, Any]:
        names = ("from_height", "from_day", "words")
        shares = {f"{who}_percent": getattr(source, f"{who}_ppm") / 10_000 for who in ("foundation", "operators")}
        return super().write({name: getattr(source, name) for name in names} | shares)


class FeesCoverage(Answer):
    completeDays = serializers.IntegerField()
    priced_percent = serializers.FloatField(allow_null=True, help_text="Share of the payments that have a price.")


class FeesAnswer(Answer):
    data = FeesDayAnswer(many=True)  # type: ignore[assignment]  # the wire name
    rules = RuleAnswer(many=True, help_text="Who gets which part of a payment, from which block on.")
    coverage = FeesCoverage()
    asOf = serializers.DateTimeField(allow_null=True)
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null, by figure.")


class FeesView(ReadView):
    """Daily fees in the shape of DefiLlama; what blocks issue stands apart."""

    name, operation, tag = "Daily fees", "export_fees", "reports"
    query, answer = DaysQuery, FeesAnswer

    def etag(self, now: datetime) -> object:
        rules = list(ShareRule.objects.values_list("from_height", "foundation_ppm"))
        return ledger_stamp(), MessagesState.objects.values_list("version").first(), rules, now.date()

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        found = fees.fees(values["start"], values["end"], now)
        payments = sum(day.payments or 0 for day in found.days)
        priced = payments - sum(day.usd_missing for day in found.days)
        coverage = {
            "completeDays": sum(day.complete for day in found.days),
            "priced_percent": round(priced * 100 / payments, 2) if payments else None,
        }
        return {"data": found.days, "rules": found.rules, "coverage": coverage, "asOf": found.as_of, "notes": NOTES}
