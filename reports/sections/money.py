"""Compute money figures (payments by sender, prices, earnings) and volume figures (sales)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import Sum

from deployments import run_rate
from deployments.models import DailySplit, MessagesState
from deployments.price_and_volume import MONTH_S, Missing, Parts, Sold, split_change
from deployments.run_rate import sold
from fluxtracker.formatting import plural
from fluxtracker.money import MICRO, SAT
from fluxtracker.periods import Period, Span
from reports.figures import Group, How, Known, Spec, Unit, mean, missing, ratio, share, unknown
from revenue import pricing
from revenue.models import ChangedDay
from revenue.period_totals import Sums, Totals

Dimension = DailySplit.Dimension
NOT_READ = "app messages have not been read completely yet"


@dataclass(frozen=True, slots=True)
class State:
    """Progress of the splits and the lives of apps."""

    waiting: frozenset[date]
    """Days with changed payments."""
    is_read: bool
    """Whether all app messages were read once."""

    @classmethod
    def load(cls) -> State:
        is_read = MessagesState.objects.filter(complete_at__isnull=False).exists()
        return cls(frozenset(ChangedDay.objects.values_list("day", flat=True)), is_read)

    def waits(self, period: Period) -> Known | None:
        """Return why days of the period are not split yet, None if all are."""
        days = [day for day in period.days() if day in self.waiting]
        return unknown(f"the payments of {plural(len(days), 'day')} are still being split") if days else None

    def unread(self, period: Period) -> Known | None:
        """Return why figures based on app messages are unknown, None if they are known."""
        return self.waits(period) if self.is_read else unknown(NOT_READ)


def parts(dimension: str, period: Period) -> dict[str, int]:
    """Return satoshi by key over the period, largest first."""
    rows = DailySplit.objects.filter(dimension=dimension, day__range=(period.first_day, period.last_day))
    sums = rows.order_by().values_list("key").annotate(sat=Sum("revenue_sat"))
    return dict(sorted(sums, key=lambda row: (-row[1], row[0])))


SPECS = (
    Spec("fees_flux", Group.MONEY, "Fees", Unit.FLUX, How.SUM),
    Spec("fees_usd", Group.MONEY, "Fees in dollars", Unit.USD, How.SUM),
    Spec("payments", Group.MONEY, "Payments", Unit.COUNT, How.SUM),
    Spec("organic_flux", Group.MONEY, "Organic fees (without the team)", Unit.FLUX, How.SUM),
    Spec("card_share", Group.MONEY, "Paid by card", Unit.PERCENT, How.RATIO),
    Spec("accrued_flux", Group.MONEY, "Accrued revenue", Unit.FLUX, How.SUM),
    Spec("accrued_usd", Group.MONEY, "Accrued revenue in dollars", Unit.USD, How.SUM),
    Spec("breakage_flux", Group.MONEY, "Left over of cancelled apps", Unit.FLUX, How.SUM),
    Spec("mrr_flux", Group.MONEY, "Run-rate (MRR)", Unit.FLUX, How.MEAN),
    Spec("mrr_usd", Group.MONEY, "Run-rate (MRR) in dollars", Unit.USD, How.MEAN),
    Spec("deferred_flux", Group.MONEY, "Deferred revenue", Unit.FLUX, How.MEAN),
    Spec("flux_price_usd", Group.MONEY, "FLUX price", Unit.PRICE, How.MEAN),
)

Prices = Mapping[date, Decimal]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Daily totals and closing prices of both periods, from the ledger."""

    totals: Totals
    prices: Prices
    now: datetime

    @classmethod
    def load(cls, first: date, last: date, now: datetime) -> Ledger:
        rows = pricing.priced().filter(day__gte=first, day__lte=last).values_list("day", "price_usd")
        return cls(Totals.load(first, last), {day: price for day, price in rows if price is not None}, now)

    def lacking(self, period: Period) -> list[date]:
        """Return the days that may still get payments."""
        return [day for day in period.days() if not self.totals.ledger.has_all_of(day, self.now)]

    def sums(self, period: Period) -> Sums | Known:
        """Return the payments, or why they are not known."""
        days, lacking = list(period.days()), self.lacking(period)
        if lacking:
            return missing("the ledger is not complete", lacking, len(days))
        return self.totals.of(days)


def fees(period: Period, ledger: Ledger) -> dict[str, Known]:
    """Return fees in FLUX and in dollars, and the number of payments."""
    sums = ledger.sums(period)
    if isinstance(sums, Known):
        return dict.fromkeys(("fees_flux", "fees_usd", "payments"), sums)
    return {"fees_flux": in_flux(sums.revenue_sat), "payments": Known(sums.payments), "fees_usd": _dollars(sums)}


def price(period: Period, ledger: Ledger) -> dict[str, Known]:
    """Return the mean of the closing prices."""
    return {"flux_price_usd": mean(ledger.prices, list(period.days()), "no closing price is known")}


def in_flux(sat: int | None, coverage: float | None = 100.0) -> Known:
    return Known(None if sat is None else Decimal(sat) / SAT, coverage)


def in_dollars(micro: int | None, coverage: float | None = 100.0) -> Known:
    return Known(None if micro is None else Decimal(micro) / MICRO, coverage)


def _dollars(sums: Sums) -> Known:
    """Return the sum over priced payments, with their share as coverage."""
    payments = sums.payments or 0
    if sums.usd_micro is None:
        return unknown("no payment has a price yet")
    return in_dollars(sums.usd_micro, share(payments - sums.usd_missing, payments))


ACCRUALS = ("accrued_flux", "accrued_usd", "breakage_flux", "mrr_flux", "mrr_usd", "deferred_flux")
TEAM, CARD = "team", "card"


def sources(period: Period, ledger: Ledger, state: State) -> dict[str, Known]:
    """Return fees without the team's own payments, and the card gateway's share. One query."""
    keys = ("organic_flux", "card_share")
    sums = ledger.sums(period)
    if isinstance(sums, Known):
        return dict.fromkeys(keys, sums)
    if missing := state.waits(period):
        return dict.fromkeys(keys, missing)
    paid = parts(Dimension.SOURCE, period)
    if sum(paid.values()) != (sums.revenue_sat or 0):
        return dict.fromkeys(keys, unknown("the payments have not been split by sender yet"))
    known = share(sum(paid.values()) - paid.get("unknown", 0), sum(paid.values()))
    return {
        "organic_flux": in_flux(sum(paid.values()) - paid.get(TEAM, 0), known),
        "card_share": ratio(Known(paid.get(CARD, 0), known), Known(sum(paid.values()), known)),
    }


def accruals(period: Period, ledger: Ledger, state: State) -> dict[str, Known]:
    """Return earnings, run-rate and balance, the last two as daily means. Two queries."""
    lacking = ledger.lacking(period)
    if lacking:
        return dict.fromkeys(ACCRUALS, missing("the ledger is not complete", lacking, len(list(period.days()))))
    if unread := state.unread(period):
        return dict.fromkeys(ACCRUALS, unread)
    days = list(period.days())
    flows = run_rate.flows(Span(days[0], days[-1]))
    sums = {name: sum(row[name] for row in flows.values()) for name in run_rate.SUMS}
    known = share(sums["cash_sat"] - sums["unassigned_sat"], sums["cash_sat"])
    dollars = Known(None, known, "no payment behind it has a price")
    earned = run_rate.Amount.of(sums["accrued_sat"], sums["accrued_usd_micro"])
    rate = run_rate.run_rate(sums, len(days))
    return {
        "accrued_flux": in_flux(earned.sat, known),
        "accrued_usd": in_dollars(earned.usd_micro, known) if earned.usd_micro is not None else dollars,
        "breakage_flux": in_flux(sums["breakage_sat"], known),
        "mrr_flux": in_flux(rate.sat, known),
        "mrr_usd": in_dollars(rate.usd_micro, known) if rate.usd_micro is not None else dollars,
        "deferred_flux": in_flux(_mean_left(flows, days), known),
    }


def _mean_left(flows: Mapping[date, run_rate.Row], days: Sequence[date]) -> int:
    """Return the mean balance not yet earned at the end of each day, in satoshi."""
    left, total = run_rate.left_before(days[0]), 0
    for day in days:
        row = flows.get(day)
        left += run_rate.left_of(row) if row else 0
        total += left
    return round(Decimal(total) / len(days))


VOLUME_SPECS = (
    Spec("instance_months", Group.VOLUME, "Instance-months sold", Unit.MONTHS, How.SUM),
    Spec("usd_per_instance_month", Group.VOLUME, "Dollars per instance-month", Unit.USD_A_MONTH, How.RATIO),
    Spec("classified_percent", Group.VOLUME, "Fees with a known category", Unit.PERCENT, How.RATIO),
)
EFFECTS = {
    "effect_flux_price": "flux_price_sat",
    "effect_volume": "volume_sat",
    "effect_unit_price": "unit_price_sat",
}
EFFECT_SPECS = (
    Spec("effect_flux_price", Group.MONEY, "Change by the price of FLUX", Unit.FLUX, How.SUM),
    Spec("effect_volume", Group.MONEY, "Change by volume", Unit.FLUX, How.SUM),
    Spec("effect_unit_price", Group.MONEY, "Change by dollars per instance-month", Unit.FLUX, How.SUM),
    Spec("effect_uncovered", Group.MONEY, "Change of payments without a known volume", Unit.FLUX, How.SUM),
)
NO_PARTS = {
    Missing.REVENUE: "one of the two periods has no revenue with a known term and price",
    Missing.PRICE: "one of the two periods has no price",
    Missing.VOLUME: "one of the two periods sold no known volume",
}
UNCLASSIFIED = "unknown"
CATEGORY = "category_"


@dataclass(frozen=True, slots=True)
class Sales:
    """Sales of a period, and all its payments. None: not known."""

    sold: Sold
    revenue_sat: int | None

    @classmethod
    def load(cls, period: Period, totals: Totals) -> Sales:
        span = Span(period.first_day, period.last_day)
        return cls(sold(span), totals.of(span.days()).revenue_sat)

    @property
    def coverage(self) -> float:
        """Return the percentage of fees with a known volume."""
        return share(self.sold.revenue_sat, self.revenue_sat or 0)


def sales(period: Period, of: Sales, state: State) -> dict[str, Known]:
    """Return the volume and its price."""
    if missing := state.unread(period):
        return dict.fromkeys(("instance_months", "usd_per_instance_month"), missing)
    months = Decimal(of.sold.instance_s) / MONTH_S
    price = Known(Decimal(of.sold.usd_micro) / 1_000_000 / months, of.coverage) if months else None
    return {
        "instance_months": Known(months, of.coverage),
        "usd_per_instance_month": price or unknown("no volume is known", of.coverage),
    }


def effects(period: Period, now: Sales, before: Sales, state: State) -> dict[str, Known]:
    """Return the causes of the change in fees, in parts that add up to it."""
    keys = (*EFFECTS, "effect_uncovered")
    if missing := state.unread(period) or state.waits(period.previous()):
        return dict.fromkeys(keys, missing)
    if now.revenue_sat is None or before.revenue_sat is None:
        return dict.fromkeys(keys, unknown("the ledger does not know one of the two periods"))
    result = split_change(now.sold, before.sold)
    if not isinstance(result, Parts):
        return dict.fromkeys(keys, unknown(NO_PARTS[result]))
    covered = now.sold.revenue_sat - before.sold.revenue_sat
    coverage = share(now.sold.revenue_sat + before.sold.revenue_sat, now.revenue_sat + before.revenue_sat)
    return {
        **{key: in_flux(getattr(result, name), coverage) for key, name in EFFECTS.items()},
        "effect_uncovered": in_flux(now.revenue_sat - before.revenue_sat - covered),
    }


def categories(period: Period, state: State) -> dict[str, Known]:
    """Return the fees of each category, and the share of fees with one. One query."""
    if missing := state.unread(period):
        return {"classified_percent": missing}
    paid = parts(Dimension.CATEGORY, period)
    total = sum(paid.values())
    known = share(total - paid.get(UNCLASSIFIED, 0), total)
    classified = Known(round(known, 2)) if total else unknown("nothing was paid", 100.0)
    return {
        "classified_percent": classified,
        **{f"{CATEGORY}{name}": in_flux(sat, round(known, 2)) for name, sat in paid.items()},
    }


def category_specs(*periods: Mapping[str, Known]) -> list[Spec]:
    """Return a figure for each category paid for in either period, in the order of the first."""
    keys = dict.fromkeys(key for known in periods for key in known if key.startswith(CATEGORY))
    return [_spec(key) for key in keys]


def _spec(key: str) -> Spec:
    name = key.removeprefix(CATEGORY).replace("-", " ").replace("_", " ")
    return Spec(key, Group.VOLUME, f"Fees: {name}", Unit.FLUX, How.SUM)


def without_zeros(specs: Iterable[Spec], *periods: dict[str, Known]) -> None:
    """Set unpaid categories of a period to 0 if its categories are known."""
    for known in periods:
        if known["classified_percent"].coverage is None or known["classified_percent"].value is None:
            continue
        for spec in specs:
            known.setdefault(spec.key, Known(0, known["classified_percent"].coverage))
