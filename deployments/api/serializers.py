"""Describe and write the answers about apps, owners and their payments."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from deployments.models import AppEvent, AppLife
from deployments.splits import breakdown
from deployments.splits.breakdown import ORGANIC
from fluxtracker.api.fields import Answer, MicroDollars, PageAnswer, Satoshi
from revenue.api.serializers import AppsAnswer
from revenue.labels import SOURCES
from revenue.models import Label
from revenue.period_totals import Sums

OF_PRICED = "Of the priced payments; null if none is priced."
PRICED_BEHIND = "Of the priced payments behind it; null if none is priced."
WHY_NULL = "Why a figure is null, by figure."
WHY_PRELIMINARY = "Why a figure is null or preliminary, by figure."
SAT = "Satoshi."


class RestingAnswer(Answer):
    """Fields of all answers about app messages."""

    coverage = serializers.DictField(child=serializers.IntegerField(), help_text="Messages and apps it rests on.")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True, help_text="When messages were last read.")
    notes = serializers.DictField(child=serializers.CharField(), help_text=WHY_NULL)


class PaidAnswer(Answer):
    count = serializers.IntegerField(source="payments")
    flux = Satoshi(source="revenue_sat")
    flux_sat = serializers.IntegerField(source="revenue_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=OF_PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")
    first = serializers.DateTimeField(allow_null=True)
    last = serializers.DateTimeField(allow_null=True)


class EndAnswer(Answer):
    height = serializers.IntegerField(allow_null=True, help_text="null: not known, or a duration without a block.")
    at = serializers.DateTimeField(allow_null=True)


class InstancesAnswer(Answer):
    ordered = serializers.IntegerField(allow_null=True)
    running = serializers.IntegerField(allow_null=True, help_text="From the last census.")


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
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=OF_PRICED)
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


class OwnedAnswer(Answer):
    name = serializers.CharField()
    payments = serializers.IntegerField(source="sum_payments")
    flux = Satoshi(source="sum_sat")
    flux_sat = serializers.IntegerField(source="sum_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=OF_PRICED)
    first = serializers.DateTimeField(allow_null=True)
    last = serializers.DateTimeField(allow_null=True)


class TotalsAnswer(Answer):
    flux = Satoshi(source="revenue_sat")
    flux_sat = serializers.IntegerField(source="revenue_sat")
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=OF_PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")
    payments = serializers.IntegerField()


class OwnerAnswer(RestingAnswer, PageAnswer):
    owner = serializers.CharField()
    apps = OwnedAnswer(many=True)
    totals = TotalsAnswer()
    first = serializers.DateTimeField(allow_null=True, help_text="First payment.")
    last = serializers.DateTimeField(allow_null=True)


class KindAnswer(Answer):
    count = serializers.IntegerField(allow_null=True, help_text="null: the row is in the future or not read.")
    flux = Satoshi(source="sat", allow_null=True)
    flux_sat = serializers.IntegerField(source="sat", allow_null=True)
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=OF_PRICED)
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")


class LostAnswer(Answer):
    count = serializers.IntegerField(
        allow_null=True, help_text="Known a week after the end; null: no day of the row is that old."
    )


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
        allow_null=True, help_text="Earnings at the end of `period` from owners of its start, % of then, in USD."
    )
    retention = serializers.DictField(
        child=serializers.FloatField(),
        help_text="USD per month: start + expansion - contraction - lost are the same owners' earnings at the end.",
    )
    period = serializers.DictField(
        child=serializers.CharField(), help_text="`start` and `end`, YYYY-MM-DD: the last 30 complete days."
    )
    owners = serializers.DictField(
        child=serializers.IntegerField(), help_text="Who paid in `period`: paying = new + returning."
    )
    concentration = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text="Of `period`: top10_percent, apps_for_80_percent.",
    )


class MoneyAnswer(Answer):
    """One amount in both currencies."""

    flux = Satoshi(source="sat", allow_null=True)
    flux_sat = serializers.IntegerField(source="sat", allow_null=True, help_text=SAT)
    usd = MicroDollars(source="usd_micro", allow_null=True, help_text=PRICED_BEHIND)


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
    cash_usd = MicroDollars(source="cash.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
    accrued_usd = MicroDollars(source="accrued.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
    breakage_usd = MicroDollars(source="breakage.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
    unassigned_usd = MicroDollars(source="unassigned.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
    deferred_usd = MicroDollars(source="deferred.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
    mrr_sat = serializers.IntegerField(
        source="mrr.sat",
        allow_null=True,
        help_text="Run-rate: the mean of the days' accrued times 365.25 / 12. Null until each day is complete.",
    )
    mrr_usd = MicroDollars(source="mrr.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
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
    notes = serializers.DictField(child=serializers.CharField(), help_text=WHY_PRELIMINARY)


class EndingAnswer(Answer):
    """Apps that end on a day, and their balance not yet earned."""

    apps = serializers.IntegerField()
    flux = Satoshi(source="sat")
    flux_sat = serializers.IntegerField(source="sat", help_text=SAT)
    usd = MicroDollars(source="amount.usd_micro", allow_null=True, help_text=PRICED_BEHIND)


class ForecastDayAnswer(Answer):
    date = serializers.DateField()
    accrued = Satoshi(source="accrued.sat", help_text="FLUX that the day earns without any renewal.")
    accrued_sat = serializers.IntegerField(source="accrued.sat", help_text=SAT)
    accrued_usd = MicroDollars(source="accrued.usd_micro", allow_null=True, help_text=PRICED_BEHIND)
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
    notes = serializers.DictField(child=serializers.CharField(), help_text=WHY_PRELIMINARY)


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=help_text)


class UnderFilled(Answer):
    name = serializers.CharField()
    ordered = serializers.IntegerField()
    running = serializers.IntegerField()
    since = serializers.DateTimeField(help_text="As far back as censuses reach.")


class ExpiredRunning(Answer):
    name = serializers.CharField()
    instances = serializers.IntegerField()
    endedAt = serializers.DateTimeField()


class FillAnswer(Answer):
    ordered = _count("Instances that the apps in force pay for.")
    running = _count("Of these, running: per app at most as many as it pays for.")
    fill_percent = serializers.FloatField(allow_null=True, help_text="`running` of `ordered`, %.")
    surplus = _count("Instances beyond what their apps pay for.")
    under = UnderFilled(many=True, allow_null=True, help_text="Below the order for more than 24 hours.")
    expiredRunning = ExpiredRunning(
        many=True, allow_null=True, help_text="Running 2,880 blocks or more after their end."
    )
    oldVersion = _count("Instances running another specification than their app's newest.")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True, help_text="When running instances were read.")
    coverage = serializers.DictField(help_text="Apps in force, those with a known order, instances left out.")
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null.")


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
    """A row's days and total, and its parts by key."""

    date = serializers.DateField(help_text="First day of the row.")
    end = serializers.DateField(help_text="Last day of the row, included.")
    complete = serializers.BooleanField(help_text="All its days are over and complete.")
    total = Amounts()


def _base(row: breakdown.Row) -> dict[str, Any]:
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
    def write(cls, source: breakdown.Row) -> dict[str, Any]:
        parts = {key: amounts(source.parts[key] if source.parts else None) for key in SOURCES}
        return _base(source) | parts | {ORGANIC: amounts(breakdown.organic(source))}


class CategoriesRow(RowAnswer):
    """Each category adds its own key, with the same amounts."""

    @classmethod
    def write(cls, source: breakdown.Row) -> dict[str, Any]:
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
    waitingDays = serializers.IntegerField(source="unsplit", help_text="Changed days, which are null.")


class BreakdownAnswer(Answer):
    coverage = SplitCoverage(source="*")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    notes = serializers.DictField(child=serializers.CharField(), help_text=WHY_NULL)


class SourcesAnswer(BreakdownAnswer):
    data = SourcesRow(many=True, source="rows")  # type: ignore[assignment]  # the wire name
    labels = LabelAnswer(many=True)


class CategoriesAnswer(BreakdownAnswer):
    data = CategoriesRow(many=True, source="rows")  # type: ignore[assignment]  # the wire name
    categories = serializers.ListField(child=serializers.CharField(), source="keys", help_text="Keys of each row.")


class AppsCoverage(Answer):
    waitingDays = serializers.IntegerField(source="unsplit", help_text="Changed days, which are left out.")


class AppAnalyticsAnswer(AppsAnswer):
    coverage = AppsCoverage(source="sums")
    asOf = serializers.DateTimeField(source="sums.as_of", allow_null=True)
    notes = serializers.DictField(source="sums.notes", child=serializers.CharField(), help_text=WHY_NULL)
