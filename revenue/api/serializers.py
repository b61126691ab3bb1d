"""Describe and write the answers of the revenue API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from fluxtracker import money
from fluxtracker.api.fields import PageAnswer
from fluxtracker.periods import Period
from fluxtracker.timestamps import iso
from revenue.models import App, AppType, Payment
from revenue.selectors import Comparison, DayReport, Ledger, Sums, ToDate

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


def transaction(row: tuple[Any, ...], tip: int | None) -> dict[str, Any]:
    """Return a payment from its columns (pages.COLUMNS)."""
    (_, txid, vout, address, sender, amount_sat, usd_micro, height, paid_at, day,
     app, app_type, source, kind, message_hash, price, block_hash) = row  # fmt: skip
    return {
        "txid": txid,
        "vout": vout,
        "address": address,
        "from_address": sender,
        "amount": money.flux(amount_sat),
        "amount_sat": amount_sat,
        "amount_usd": money.usd(usd_micro),
        "price_usd": None if price is None else float(price),
        "block_height": height,
        "block_hash": block_hash or None,
        "confirmations": None if tip is None else max(tip - height + 1, 0),
        "timestamp": int(paid_at.timestamp()),
        "date": day.isoformat(),
        "app_name": app,
        "app_type": app_type,
        "kind": kind,
        "message_hash": message_hash or None,
        "source": source,
    }


def app_sums(app: App) -> dict[str, Any]:
    return {
        "app_name": app.name,
        "transaction_count": app.payments,
        "total_revenue": money.flux(app.revenue_sat),
        "total_revenue_sat": app.revenue_sat,
        "avg_payment": money.flux((app.revenue_sat + app.payments // 2) // app.payments),
        "first_payment": app.first_paid_at and app.first_paid_at.date().isoformat(),
        "last_payment": app.last_paid_at and app.last_paid_at.date().isoformat(),
    }


def day_sums(report: DayReport) -> dict[str, Any]:
    sums = report.sums
    return {
        "date": report.day.isoformat(),
        "daily_revenue": flux(sums.revenue_sat),
        "daily_revenue_usd": money.usd(sums.usd_micro),
        "usdMissing": sums.usd_missing,
        "payments": sums.payments,
        "complete": report.complete,
    }


def comparison(found: Comparison, ledger: Ledger, now: datetime) -> dict[str, Any]:
    """Contract section 4: `change` is percent, only that of the payments is absolute."""
    return {
        "current": _period(found.current, found.now, complete=False),
        "previous": _period(found.previous, found.before, complete=found.is_before_complete),
        "comparison": _change(found.now.revenue_sat, found.before.revenue_sat),
        **_changes(found.now, found.before),
        "asOf": iso(ledger.completed_at),
        "stale": ledger.is_stale(now),
    }


def to_date(found: ToDate) -> dict[str, Any]:
    """Contract section 4: `toDate`. Its ranges are instants, the end left out."""
    return {
        "current": _stretch(found.cut.current, found.now),
        "previous": _stretch(found.cut.previous, found.before),
        "wholeDays": found.cut.whole_days,
        **_changes(found.now, found.before),
    }


def _changes(current: Sums, previous: Sums) -> dict[str, Any]:
    revenue = _change(current.revenue_sat, previous.revenue_sat)
    return {
        "flux": {"amount": flux(current.revenue_sat), "previous": flux(previous.revenue_sat)} | revenue,
        "usd": {
            "amount": money.usd(current.usd_micro),
            "previous": money.usd(previous.usd_micro),
            "usdMissing": current.usd_missing,
            "usdMissingPrevious": previous.usd_missing,
        }
        | _change(current.usd_micro, previous.usd_micro),
        "payments": _payments(current.payments, previous.payments),
    }


def _period(period: Period, sums: Sums, *, complete: bool) -> dict[str, Any]:
    days = {"start": period.first_day.isoformat(), "end": period.last_day.isoformat()}
    return days | _sums(sums) | {"complete": complete}


def _stretch(period: Period, sums: Sums) -> dict[str, Any]:
    return {"start": iso(period.start), "end": iso(period.end)} | _sums(sums)


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "revenue": flux(sums.revenue_sat),
        "payments": sums.payments,
        "usd": money.usd(sums.usd_micro),
    }


def _payments(current: int | None, previous: int | None) -> dict[str, Any]:
    change = _change(current, previous)
    return {
        "count": current,
        "previous": previous,
        "change": None if current is None or previous is None else current - previous,
        "percentage": change["change"],
        "trend": change["trend"],
    }


def _change(current: int | None, previous: int | None) -> dict[str, Any]:
    percent = None if current is None else money.percent_change(current, previous)
    return {"change": percent, "trend": money.trend(current, previous)}


def flux(sat: int | None) -> float | None:
    return None if sat is None else money.flux(sat)
