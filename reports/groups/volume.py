"""Figures of volume: instance-months that were sold, at which price, and for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from deployments.price_and_volume import MONTH_S, Missing, Parts, Sold, split_change
from deployments.run_rate import sold
from fluxtracker.periods import Period, Span
from reports.figures import Group, How, Known, Spec, Unit, share, unknown
from reports.groups.money import Dimension, State, in_flux, parts
from revenue.selectors import Totals

SPECS = (
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
        """Return the percent of the fees whose volume is known."""
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
    """Return why the fees differ from those of the period before, in parts that add up to the difference."""
    keys = (*EFFECTS, "effect_uncovered")
    if missing := state.unread(period) or state.waits(period.previous()):
        return dict.fromkeys(keys, missing)
    if now.revenue_sat is None or before.revenue_sat is None:
        return dict.fromkeys(keys, unknown("the ledger does not know one of the two periods"))
    found = split_change(now.sold, before.sold)
    if not isinstance(found, Parts):
        return dict.fromkeys(keys, unknown(NO_PARTS[found]))
    covered = now.sold.revenue_sat - before.sold.revenue_sat
    coverage = share(now.sold.revenue_sat + before.sold.revenue_sat, now.revenue_sat + before.revenue_sat)
    return {
        **{key: in_flux(getattr(found, name), coverage) for key, name in EFFECTS.items()},
        "effect_uncovered": in_flux(now.revenue_sat - before.revenue_sat - covered),
    }


def categories(period: Period, state: State) -> dict[str, Known]:
    """Return the fees of each category, and how much of all fees has one. One query."""
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
    """Return a line for each category that was paid for in one of the periods, in the order of the first."""
    keys = dict.fromkeys(key for known in periods for key in known if key.startswith(CATEGORY))
    return [_spec(key) for key in keys]


def _spec(key: str) -> Spec:
    name = key.removeprefix(CATEGORY).replace("-", " ").replace("_", " ")
    return Spec(key, Group.VOLUME, f"Fees: {name}", Unit.FLUX, How.SUM)


def without_zeros(specs: Iterable[Spec], *periods: dict[str, Known]) -> None:
    """Count a category that one of the periods was not paid for as 0 in it, where its categories are known."""
    for known in periods:
        if known["classified_percent"].coverage is None or known["classified_percent"].value is None:
            continue
        for spec in specs:
            known.setdefault(spec.key, Known(0, known["classified_percent"].coverage))
