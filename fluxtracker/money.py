"""Convert between satoshi, FLUX and US dollars. Amounts are integers; JSON numbers are only for output."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

Number = int | float

SAT = 100_000_000  # satoshi in one FLUX
MICRO = 1_000_000  # micro-dollars in one US dollar
PRICE_PLACES = Decimal("1e-10")
HIGHEST_PRICE = 10_000  # US dollars; the value of all FLUX still fits into 63 bits of micro-dollars


def flux(sat: int) -> float:
    """Return FLUX as a JSON number, exact to the satoshi below 67 million FLUX (2^26; a double has 53 bits)."""
    return sat / SAT


def usd(micro: int | None) -> float | None:
    """Return US dollars as a JSON number, None if unknown."""
    return None if micro is None else micro / MICRO


def price(value: object) -> Decimal:
    """Return a price in US dollars from a JSON number or text.

    ValueError unless it lies between 0 and HIGHEST_PRICE.
    """
    try:
        amount = Decimal(str(value) if isinstance(value, str | int | float | Decimal) else "NaN")
    except ArithmeticError:
        raise ValueError("a price must be a number") from None
    if isinstance(value, bool) or not amount.is_finite() or not 0 < amount <= HIGHEST_PRICE:
        raise ValueError(f"a price must be a number above 0, at most {HIGHEST_PRICE}")
    amount = amount.quantize(PRICE_PLACES)
    if not amount:
        raise ValueError("a price must not round to 0 at ten decimals")
    return amount


def usd_micro(amount_sat: int, price_usd: Decimal) -> int:
    """Return the value of `amount_sat` in micro-dollars, rounded half to even."""
    return int((Decimal(amount_sat) * price_usd * MICRO / SAT).quantize(Decimal(1), ROUND_HALF_EVEN))


FINEST = 6  # decimals of a change; more is noise of binary fractions


@dataclass(frozen=True)
class Pair:
    """A number now and before. None: not known."""

    current: Number | None
    previous: Number | None

    @property
    def change(self) -> Number | None:
        if self.current is None or self.previous is None:
            return None
        change = round(Decimal(str(self.current)) - Decimal(str(self.previous)), FINEST)
        whole = isinstance(self.current, int) and isinstance(self.previous, int)
        return int(change) if whole else float(change) or 0.0  # never -0.0

    @property
    def percentage(self) -> float | None:
        """Return the change in percent of the previous value with 2 decimals, None if that is 0 or not known."""
        if self.change is None or not self.previous:
            return None
        return float(round(Decimal(str(self.change)) * 100 / Decimal(str(self.previous)), 2)) or 0.0

    @property
    def trend(self) -> str | None:
        return None if self.change is None else "neutral" if not self.change else "up" if self.change > 0 else "down"

    @property
    def points(self) -> float | None:
        """Return the difference of percentages in points."""
        return None if self.change is None else round(float(self.change), 2) or 0.0
