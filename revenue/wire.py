"""Rows as the API writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fluxtracker import money
from fluxtracker.periods import Period
from ops.health import iso
from revenue.models import App
from revenue.reports import Comparison, DayReport, Ledger, Sums
from revenue.todate import ToDate


def transaction(row: tuple[Any, ...], tip: int | None) -> dict[str, Any]:
    """A payment from its columns (pages.COLUMNS)."""
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
