"""Describe and write the answers of the revenue API."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.fields import Answer, MicroDollars, OrNull, PageAnswer, Price, Satoshi, UnixTime, UnixTimeMs
from fluxtracker.periods import Bucket
from revenue.models import AppType, Payment
from revenue.pending import NEVER, OK, STALE

TRENDS = ["up", "down", "neutral"]
UNKNOWN = "null: not known yet."


class Transaction(Answer):
    txid = serializers.CharField()
    vout = serializers.IntegerField(allow_null=True, help_text="null: imported, one row per txid.")
    address = serializers.CharField(help_text="The tracked address that was paid.")
    from_address = serializers.CharField(allow_null=True, help_text="Owner of the first input; null: there is none.")
    amount = Satoshi(source="amount_sat", help_text="FLUX")
    amount_sat = serializers.IntegerField(help_text="Satoshi: 100,000,000 are one FLUX.")
    amount_usd = MicroDollars(source="usd_micro", allow_null=True, help_text="At the price of the payment's day.")
    price_usd = Price(allow_null=True)
    block_height = serializers.IntegerField(source="height")
    block_hash = OrNull(allow_null=True)
    confirmations = serializers.IntegerField(allow_null=True, help_text="At the last known tip of the chain.")
    timestamp = UnixTime(source="paid_at", help_text="Time of the block, unix s.")
    date = serializers.DateField(source="day", help_text="UTC day of the block.")
    app_name = serializers.CharField(source="app__name", allow_null=True)
    app_type = serializers.ChoiceField(AppType.choices)
    kind = serializers.ChoiceField(Payment.Kind.choices)
    message_hash = OrNull(allow_null=True)
    source = serializers.ChoiceField(Payment.Source.choices)  # type: ignore[assignment]  # the wire name


class TransactionsAnswer(PageAnswer):
    transactions = Transaction(many=True, source="rows")


class PendingTransaction(Answer):
    txid = serializers.CharField()
    vout = serializers.IntegerField()
    address = serializers.CharField(help_text="The tracked address that is paid.")
    from_address = serializers.CharField(allow_null=True, help_text="Owner of the first input; null: there is none.")
    amount = Satoshi(source="amount_sat", help_text="FLUX")
    amount_sat = serializers.IntegerField()
    block_height = serializers.IntegerField(source="height", allow_null=True, help_text="null: in no block yet.")
    confirmations = serializers.IntegerField(help_text="At `readAt`.")
    timestamp = UnixTime(source="seen_at", help_text="Time of the block, or when it was first seen; unix s.")
    app_name = serializers.CharField(source="app", allow_null=True)
    app_type = serializers.ChoiceField(AppType.choices)
    kind = serializers.ChoiceField(Payment.Kind.choices)
    message_hash = OrNull(allow_null=True)


class PendingAnswer(Answer):
    state = serializers.ChoiceField(
        [OK, STALE, NEVER], help_text="stale: not read for 5 minutes; never: the ledger has not been read yet."
    )
    readAt = serializers.DateTimeField(source="read_at", allow_null=True)
    minConfirmations = serializers.IntegerField(source="required", help_text="From which on a payment counts.")
    truncated = serializers.BooleanField(help_text="An address has more than one page: there may be more.")
    unreadable = serializers.IntegerField(help_text="Transactions that could not be read or have no reported sender.")
    transactions = PendingTransaction(many=True, source="payments", allow_null=True, help_text="null unless `ok`.")


class AppSums(Answer):
    app_name = serializers.CharField(source="name")
    transaction_count = serializers.IntegerField(source="payments")
    total_revenue = Satoshi(source="revenue_sat", help_text="FLUX")
    total_revenue_sat = serializers.IntegerField(source="revenue_sat")
    avg_payment = Satoshi(source="average_sat", help_text="FLUX")
    total_revenue_usd = MicroDollars(source="usd", allow_null=True, help_text="Of the priced payments.")
    usdMissing = serializers.IntegerField(source="unpriced", help_text="Payments without a price.")
    first_payment = serializers.DateField(source="first_paid_at", help_text="UTC day.")
    last_payment = serializers.DateField(source="last_paid_at", help_text="UTC day.")


class AppsAnswer(PageAnswer):
    apps = AppSums(many=True, source="rows")


class PayerTotals(Answer):
    flux = Satoshi(source="revenue_sat")
    flux_sat = serializers.IntegerField(source="revenue_sat")
    usd = MicroDollars(allow_null=True, help_text="Of the priced payments.")
    usdMissing = serializers.IntegerField(source="usd_missing", help_text="Payments without a price.")
    payments = serializers.IntegerField()


class PayerAnswer(PageAnswer):
    """`total` counts stored payments; `totals` includes pruned ones."""

    address = serializers.CharField(source="payer.address")
    label = OrNull(source="payer.words", allow_null=True)  # type: ignore[assignment]  # the wire name
    payments = Transaction(many=True, source="rows")
    apps = serializers.ListField(child=serializers.CharField(), help_text="Apps named by the payments of this page.")
    totals = PayerTotals(source="payer")
    first = serializers.DateField(source="payer.first", help_text="UTC day of the first payment.")
    last = serializers.DateField(source="payer.last", help_text="UTC day of the last payment.")
    coverage = serializers.DictField(child=serializers.FloatField(allow_null=True), source="payer.coverage")
    asOf = serializers.DateTimeField(source="payer.as_of", allow_null=True)
    notes = serializers.DictField(child=serializers.CharField(), source="payer.notes")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "class": serializers.CharField(source="payer.category")}


class DaySums(Answer):
    date = serializers.DateField(source="day")
    daily_revenue = Satoshi(source="sums.revenue_sat", allow_null=True, help_text=f"FLUX. {UNKNOWN}")
    daily_revenue_usd = MicroDollars(source="sums.usd_micro", allow_null=True, help_text="Of the priced payments.")
    usdMissing = serializers.IntegerField(source="sums.usd_missing", help_text="Payments without a price.")
    payments = serializers.IntegerField(source="sums.payments", allow_null=True, help_text=UNKNOWN)
    complete = serializers.BooleanField(help_text="The day is over and complete.")


class PeriodSums(Answer):
    start = serializers.DateField(source="period.first_day")
    end = serializers.DateField(source="period.last_day", help_text="Last day, included.")
    revenue = Satoshi(source="sums.revenue_sat", allow_null=True, help_text=f"FLUX. {UNKNOWN}")
    payments = serializers.IntegerField(source="sums.payments", allow_null=True)
    usd = MicroDollars(source="sums.usd_micro", allow_null=True, help_text="Of the priced payments.")
    complete = serializers.BooleanField(help_text="All its days are over and complete.")


class Change(Answer):
    change = serializers.FloatField(
        source="percentage", allow_null=True, help_text="Percent; null when there is nothing to compare with."
    )
    trend = serializers.ChoiceField(TRENDS, allow_null=True)


class Amount(Change):
    amount = Satoshi(source="current", allow_null=True)
    previous = Satoshi(allow_null=True)


class UsdAmount(Amount):
    amount = MicroDollars(source="current", allow_null=True)  # type: ignore[assignment]
    previous = MicroDollars(allow_null=True)  # type: ignore[assignment]
    usdMissing = serializers.IntegerField(source="missing", help_text="Payments of this period without a price.")
    usdMissingPrevious = serializers.IntegerField(source="missing_before")


class Count(Answer):
    count = serializers.IntegerField(source="current", allow_null=True)
    previous = serializers.IntegerField(allow_null=True)
    change = serializers.IntegerField(allow_null=True, help_text="Absolute.")
    percentage = serializers.FloatField(allow_null=True)
    trend = serializers.ChoiceField(TRENDS, allow_null=True)


class Stretch(Answer):
    start = serializers.DateTimeField(source="period.start")
    end = serializers.DateTimeField(source="period.end", help_text="Left out.")
    revenue = Satoshi(source="sums.revenue_sat", allow_null=True, help_text=f"FLUX. {UNKNOWN}")
    payments = serializers.IntegerField(source="sums.payments", allow_null=True)
    usd = MicroDollars(source="sums.usd_micro", allow_null=True, help_text="Of the priced payments.")


class ToDateAnswer(Answer):
    current = Stretch(help_text="So far.")
    previous = Stretch(help_text="The period before, cut at the same elapsed time, at most to its end.")
    wholeDays = serializers.BooleanField(
        source="whole_days",
        help_text="The rows of the day of the cut are pruned: that day counts as a whole.",
    )
    flux = Amount()
    usd = UsdAmount()
    payments = Count()


class PeriodAnswer(Answer):
    period = serializers.ChoiceField([bucket.adverb for bucket in Bucket], source="bucket.adverb")
    current = PeriodSums(source="whole.current", help_text="So far.")
    previous = PeriodSums(source="whole.previous", help_text="The whole period before.")
    toDate = ToDateAnswer(source="to_date", help_text="Like for like, as in the comparison.")
    comparison = Change(source="whole.flux")
    flux = Amount(source="whole.flux")
    usd = UsdAmount(source="whole.usd")
    payments = Count(source="whole.payments")
    timestamp = UnixTimeMs(source="now", help_text="ms")
    asOf = serializers.DateTimeField(
        source="ledger.read_until", allow_null=True, help_text="When a sync last completed."
    )
    stale = serializers.BooleanField(source="is_stale", help_text="No sync has completed for 30 minutes.")


class DailyAnswer(PeriodAnswer):
    count = serializers.IntegerField(help_text="Days in `data`.")
    data = DaySums(many=True, source="days")  # type: ignore[assignment]  # the wire name


class RevenueStatus(Answer):
    isSchedulerRunning = serializers.BooleanField(help_text="A worker is running and the sync is on schedule.")
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
