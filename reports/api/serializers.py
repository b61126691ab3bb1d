"""Describe the report and daily fees for the API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.fields import (
    Answer,
    BucketOf,
    CalendarDay,
    ErrorAnswer,
    MicroDollars,
    OrNull,
    Query,
    Satoshi,
    UnixTime,
)
from fluxtracker.periods import Bucket
from reports.fees import EMISSION
from reports.figures import Group, How
from revenue.models import ShareRule

USD = "US dollars, of the priced payments."


class KpiQuery(Query):
    period = BucketOf(default=Bucket.MONTH, help_text="A UTC day, a week from Monday, or a longer period.")
    date = CalendarDay(help_text="A day in the period; by default the last completed one.")


class ReportPeriod(Answer):
    key = serializers.CharField(help_text="As in the address of the page: 2026-W41, 2026-10, 2026-Q3.")
    title = serializers.CharField()
    start = serializers.DateField(source="first_day")
    end = serializers.DateField(source="last_day", help_text="Included.")


class FigureAnswer(Answer):
    key = serializers.CharField()
    group = serializers.ChoiceField([group.value for group in Group])
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(help_text="FLUX, USD, count, %, GB, cores and the like.")
    how = serializers.ChoiceField(
        [how.value for how in How],
        help_text="Of the days; ratio: of sums or means; count: different ones in the period.",
    )
    value = serializers.FloatField(allow_null=True)
    previous = serializers.FloatField(allow_null=True)
    difference = serializers.FloatField(allow_null=True, help_text="value - previous.")
    change = serializers.FloatField(allow_null=True, help_text="In `change_unit`.")
    change_unit = serializers.ChoiceField(["percent", "points"], help_text="points for percentages.")
    trend = serializers.ChoiceField(["up", "down", "neutral"], allow_null=True)
    coverage = serializers.FloatField(allow_null=True, help_text="Percent of what the value rests on that is known.")
    previous_coverage = serializers.FloatField(allow_null=True)
    reason = OrNull(allow_null=True, help_text="Why the value is null.")
    previous_reason = OrNull(allow_null=True)


class KpiAnswer(Answer):
    period = serializers.ChoiceField([bucket.value for bucket in Bucket], source="bucket")
    current = ReportPeriod()
    previous = ReportPeriod()
    figures = FigureAnswer(many=True)
    coverage = serializers.DictField(
        child=serializers.FloatField(), help_text="Days of the period, figures, and how many of those are known."
    )
    asOf = serializers.DateTimeField(source="as_of", allow_null=True, help_text="Up to when the chain was read.")
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is missing, by its key.")


class NotOverAnswer(ErrorAnswer):
    lastCompleted = ReportPeriod(required=False, help_text="Where the period is not over.")


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
