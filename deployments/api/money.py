"""Serve what was paid, what of it is earned, and what is already paid for days to come."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from deployments import run_rate
from deployments.selectors import stamp
from fluxtracker.api.fields import Answer, ByQuery, MicroDollars, Satoshi
from fluxtracker.api.views import ReadView

SAT = "Satoshi."
PRICED = "Of the priced payments behind it; null where none is priced."
NOTES = "Why a figure is null or preliminary, by figure."


class MoneyAnswer(Answer):
    """One amount in both currencies."""

    flux = Satoshi(source="sat", allow_null=True)
    flux_sat = serializers.IntegerField(source="sat", allow_null=True, help_text=SAT)
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED)


class FlowAnswer(Answer):
    date = serializers.DateField(help_text="First day of the row.")
    cash_sat = serializers.IntegerField(source="cash.sat", allow_null=True, help_text="Received, by the ledger.")
    accrued_sat = serializers.IntegerField(source="accrued.sat", allow_null=True, help_text="Earned by time passed.")
    breakage_sat = serializers.IntegerField(
        source="breakage.sat", allow_null=True, help_text="Left over when apps were cancelled."
    )
    unassigned_sat = serializers.IntegerField(
        source="unassigned.sat", allow_null=True, help_text="Received for no known life of an app."
    )
    deferred_sat = serializers.IntegerField(
        source="deferred.sat",
        allow_null=True,
        help_text="Received and not yet earned at the end of the row's last day.",
    )
    cash_usd = MicroDollars(source="cash.usd_micro", allow_null=True, help_text=PRICED)
    accrued_usd = MicroDollars(source="accrued.usd_micro", allow_null=True, help_text=PRICED)
    breakage_usd = MicroDollars(source="breakage.usd_micro", allow_null=True, help_text=PRICED)
    unassigned_usd = MicroDollars(source="unassigned.usd_micro", allow_null=True, help_text=PRICED)
    deferred_usd = MicroDollars(source="deferred.usd_micro", allow_null=True, help_text=PRICED)
    mrr_sat = serializers.IntegerField(
        source="mrr.sat",
        allow_null=True,
        help_text="Run-rate: the mean of the days' accrued times 365.25 / 12. Null until each day is complete.",
    )
    mrr_usd = MicroDollars(source="mrr.usd_micro", allow_null=True, help_text=PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments of these days without a price.")


class AccrualCheck(Answer):
    """Over the whole ledger, exactly: cash = accrued + breakage + deferred + unassigned."""

    cash_sat = serializers.IntegerField()
    accrued_sat = serializers.IntegerField(help_text="Up to the end of today.")
    breakage_sat = serializers.IntegerField()
    deferred_sat = serializers.IntegerField(help_text="After today.")
    unassigned_sat = serializers.IntegerField()


class TermsCoverage(Answer):
    unknownTerm_sat = serializers.IntegerField(help_text="Paid for messages whose term is not known: unassigned.")
    endsUnknown = serializers.IntegerField(help_text="Apps whose end is not known.")
    waitingDays = serializers.IntegerField(help_text="Days that changed since the last update.")


class AccrualCoverage(TermsCoverage):
    assigned_percent = serializers.FloatField(
        allow_null=True, help_text="Share of the cash that belongs to a known life."
    )


class AccrualAnswer(Answer):
    data = FlowAnswer(many=True)  # type: ignore[assignment]  # the wire name
    mrr = MoneyAnswer(help_text="Run-rate of the last complete day: accrued, times 365.25 / 12.")
    check = AccrualCheck()
    coverage = AccrualCoverage()
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    notes = serializers.DictField(child=serializers.CharField(), help_text=NOTES)


class EndingAnswer(Answer):
    """Apps that end on a day and what is not yet earned of them now."""

    apps = serializers.IntegerField()
    flux = Satoshi(source="sat")
    flux_sat = serializers.IntegerField(source="sat", help_text=SAT)
    usd = MicroDollars(source="amount.usd_micro", allow_null=True, help_text=PRICED)


class ForecastDayAnswer(Answer):
    date = serializers.DateField()
    accrued = Satoshi(source="accrued.sat", help_text="FLUX that the day earns without any renewal.")
    accrued_sat = serializers.IntegerField(source="accrued.sat", help_text=SAT)
    accrued_usd = MicroDollars(source="accrued.usd_micro", allow_null=True, help_text=PRICED)
    ending = EndingAnswer()


class ForecastCoverage(TermsCoverage):
    later_sat = serializers.IntegerField(help_text="Earned on days after the last row.")
    laterApps = serializers.IntegerField(help_text="Apps that end after the last row.")


class ForecastAnswer(Answer):
    data = ForecastDayAnswer(many=True)  # type: ignore[assignment]  # the wire name
    endingToday = EndingAnswer(source="ending_today", help_text="Apps that end in what is left of today.")
    deferred = MoneyAnswer(help_text="Paid and not yet earned at the end of today: the sum of all days to come.")
    coverage = ForecastCoverage()
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    notes = serializers.DictField(child=serializers.CharField(), help_text=NOTES)


class AccrualView(ReadView):
    """What was received and what of it is earned, by day, week, month, quarter or year."""

    name, operation, tag = "Accrual", "economics_accrual", "economics"
    query, answer = ByQuery, AccrualAnswer

    def etag(self, now: datetime) -> object:
        return stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> run_rate.AccrualReport:
        return run_rate.accrual(values["start"], values["end"], values["by"], now)


class ForecastView(ReadView):
    """Return what the days to come earn without any renewal, and the apps that end on them."""

    name, operation, tag = "Forecast", "economics_forecast", "economics"
    answer = ForecastAnswer

    def etag(self, now: datetime) -> object:
        """Balances go with the clock."""
        return stamp(now), now.hour, now.minute

    def read(self, values: dict[str, Any], now: datetime) -> run_rate.Forecast:
        return run_rate.forecast(now)
