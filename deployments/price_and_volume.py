"""Split a change of revenue into the price of FLUX, the volume sold and the price of a unit, without a residual.

Logarithmic mean Divisia index (LMDI): with R = volume x dollars per unit x FLUX per dollar, each factor's part is
L(R1, R0) x ln(factor1 / factor0), L(a, b) = (a - b) / ln(a / b). Symmetric: swapping the periods swaps the signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from enum import StrEnum

DIGITS = 50  # enough that the parts of any amount of satoshi are off by far less than one
MONTH_S = 2_629_800  # 365.25 / 12 days


class Missing(StrEnum):
    """Why a change cannot be split: a factor has no logarithm."""

    REVENUE = "no_revenue"
    PRICE = "no_price"
    VOLUME = "no_volume"


@dataclass(frozen=True, slots=True)
class Sold:
    """Sales of one period: payments in both currencies for a number of instance seconds."""

    revenue_sat: int
    usd_micro: int
    instance_s: int

    @property
    def missing(self) -> Missing | None:
        if self.revenue_sat <= 0:
            return Missing.REVENUE
        if self.usd_micro <= 0:
            return Missing.PRICE
        return None if self.instance_s > 0 else Missing.VOLUME


@dataclass(frozen=True, slots=True)
class Parts:
    """Satoshi of a revenue change explained by each factor; they add up to it."""

    flux_price_sat: int
    """Negative when FLUX rises, as it buys the same for fewer."""
    volume_sat: int
    unit_price_sat: int
    """Dollars per unit."""


def split_change(current: Sold, previous: Sold) -> Parts | Missing:
    """Return the parts of `current` minus `previous` revenue, or why there are none."""
    if missing := current.missing or previous.missing:
        return missing
    change = current.revenue_sat - previous.revenue_sat
    with localcontext(Context(prec=DIGITS)):
        revenue, dollars, volume = (
            (Decimal(now) / before).ln()
            for now, before in (
                (current.revenue_sat, previous.revenue_sat),
                (current.usd_micro, previous.usd_micro),
                (current.instance_s, previous.instance_s),
            )
        )
        mean = change / revenue if change else Decimal(current.revenue_sat)
        return Parts(*_whole([mean * (revenue - dollars), mean * volume, mean * (dollars - volume)], change))


def _whole(parts: Sequence[Decimal], total: int) -> list[int]:
    """Return whole parts that add up to the total: the largest takes the rounding error."""
    whole = [int(part.quantize(Decimal(1), ROUND_HALF_EVEN)) for part in parts]
    largest = max(range(len(parts)), key=lambda place: abs(parts[place]))
    whole[largest] += total - sum(whole)
    return whole
