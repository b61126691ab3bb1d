"""The shapes of this room's answers, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.answers import PageAnswer
from revenue.models import AppType, Payment

UNKNOWN = "null: nobody can know yet."


class Transaction(serializers.Serializer[Any]):
    txid = serializers.CharField()
    vout = serializers.IntegerField(allow_null=True, help_text="null: imported, one row per txid.")
    address = serializers.CharField(help_text="The tracked address that was paid.")
    from_address = serializers.CharField(allow_null=True, help_text="Owner of the first input; null: there is none.")
    amount = serializers.FloatField(help_text="FLUX")
    amount_sat = serializers.IntegerField(help_text="Satoshi: 100,000,000 are one FLUX.")
    amount_usd = serializers.FloatField(allow_null=True, help_text="At the price of the payment's day.")
    price_usd = serializers.FloatField(allow_null=True)
    block_height = serializers.IntegerField()
    block_hash = serializers.CharField(allow_null=True)
    confirmations = serializers.IntegerField(allow_null=True, help_text="At the chain's tip as last read.")
    timestamp = serializers.IntegerField(help_text="Time of the block, unix s.")
    date = serializers.DateField(help_text="UTC day of the block.")
    app_name = serializers.CharField(allow_null=True)
    app_type = serializers.ChoiceField(AppType.choices)
    kind = serializers.ChoiceField(Payment.Kind.choices)
    message_hash = serializers.CharField(allow_null=True)
    source = serializers.ChoiceField(Payment.Source.choices)  # type: ignore[assignment]  # the wire name


class TransactionsAnswer(PageAnswer):
    transactions = Transaction(many=True)


class AppSums(serializers.Serializer[Any]):
    app_name = serializers.CharField()
    transaction_count = serializers.IntegerField()
    total_revenue = serializers.FloatField(help_text="FLUX")
    total_revenue_sat = serializers.IntegerField()
    avg_payment = serializers.FloatField(help_text="FLUX")
    first_payment = serializers.DateField(help_text="UTC day.")
    last_payment = serializers.DateField(help_text="UTC day.")


class AppsAnswer(PageAnswer):
    apps = AppSums(many=True)


class DaySums(serializers.Serializer[Any]):
    date = serializers.DateField()
    daily_revenue = serializers.FloatField(allow_null=True, help_text=f"FLUX. {UNKNOWN}")
    daily_revenue_usd = serializers.FloatField(allow_null=True, help_text="Of the priced payments.")
    usdMissing = serializers.IntegerField(help_text="Payments without a price.")
    payments = serializers.IntegerField(allow_null=True, help_text=UNKNOWN)
    complete = serializers.BooleanField(help_text="Over, and every payment of it is in.")


class PeriodSums(serializers.Serializer[Any]):
    start = serializers.DateField()
    end = serializers.DateField(help_text="Last day, included.")
    revenue = serializers.FloatField(allow_null=True, help_text=f"FLUX. {UNKNOWN}")
    payments = serializers.IntegerField(allow_null=True)
    usd = serializers.FloatField(allow_null=True, help_text="Of the priced payments.")
    complete = serializers.BooleanField(help_text="Each of its days is over, and every payment of it is in.")


class Change(serializers.Serializer[Any]):
    change = serializers.FloatField(allow_null=True, help_text="Percent; null when there is nothing to compare with.")
    trend = serializers.ChoiceField(["up", "down", "neutral"], allow_null=True)


class Amount(Change):
    amount = serializers.FloatField(allow_null=True)
    previous = serializers.FloatField(allow_null=True)


class UsdAmount(Amount):
    usdMissing = serializers.IntegerField(help_text="Payments of this period without a price.")
    usdMissingPrevious = serializers.IntegerField()


class Count(serializers.Serializer[Any]):
    count = serializers.IntegerField(allow_null=True)
    previous = serializers.IntegerField(allow_null=True)
    change = serializers.IntegerField(allow_null=True, help_text="Absolute.")
    percentage = serializers.FloatField(allow_null=True)
    trend = serializers.ChoiceField(["up", "down", "neutral"], allow_null=True)


class Stretch(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField(help_text="Left out.")
    revenue = serializers.FloatField(allow_null=True, help_text=f"FLUX. {UNKNOWN}")
    payments = serializers.IntegerField(allow_null=True)
    usd = serializers.FloatField(allow_null=True, help_text="Of the priced payments.")


class ToDateAnswer(serializers.Serializer[Any]):
    current = Stretch(help_text="So far.")
    previous = Stretch(help_text="The period before, cut at the same elapsed time, at most to its end.")
    wholeDays = serializers.BooleanField(
        help_text="The rows of the day in which the cut lies are pruned: that day counts whole."
    )
    flux = Amount()
    usd = UsdAmount()
    payments = Count()


class PeriodAnswer(serializers.Serializer[Any]):
    period = serializers.ChoiceField(["daily", "weekly", "monthly", "quarterly", "yearly"])
    current = PeriodSums(help_text="So far.")
    previous = PeriodSums(help_text="The whole period before.")
    toDate = ToDateAnswer(help_text="Like for like, as in the comparison.")
    comparison = Change()
    flux = Amount()
    usd = UsdAmount()
    payments = Count()
    timestamp = serializers.IntegerField(help_text="ms")
    asOf = serializers.DateTimeField(allow_null=True, help_text="When a sync last completed.")
    stale = serializers.BooleanField(help_text="No sync has completed for 30 minutes.")


class DailyAnswer(PeriodAnswer):
    count = serializers.IntegerField(help_text="Days in `data`.")
    data = DaySums(many=True)  # type: ignore[assignment]  # the wire name


class RevenueStatus(serializers.Serializer[Any]):
    isSchedulerRunning = serializers.BooleanField(help_text="A worker lives and the sync is on its schedule.")
    isSyncInProgress = serializers.BooleanField()
    isSyncing = serializers.BooleanField(help_text="The same.")
    lastRun = serializers.DateTimeField(allow_null=True)
    lastCompleted = serializers.DateTimeField(allow_null=True)
    consecutiveFailures = serializers.IntegerField()
    isHealthy = serializers.BooleanField()
    transactionCount = serializers.IntegerField(help_text="Payments stored; pruned ones are not.")
    lastSyncBlock = serializers.IntegerField(allow_null=True)
    currentBlock = serializers.IntegerField(allow_null=True)
    unprovedSince = serializers.IntegerField(allow_null=True, help_text="As in /api/health.")
