"""One metric now and then, and what follows from the two."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from metrics.catalogue import Number

FINEST = 6  # decimals of a change: what lies below is noise of binary fractions


@dataclass(frozen=True, slots=True)
class Pair:
    """One metric now and then; None: not known."""

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
        """The change in percent of what was before; None when that is 0."""
        if self.change is None or not self.previous:
            return None
        return float(round(Decimal(str(self.change)) * 100 / Decimal(str(self.previous)), 2)) or 0.0

    @property
    def trend(self) -> str | None:
        return None if self.change is None else "neutral" if not self.change else "up" if self.change > 0 else "down"

    @property
    def points(self) -> float | None:
        """For percentages: how many points lie between them."""
        return None if self.change is None else round(float(self.change), 2) or 0.0
