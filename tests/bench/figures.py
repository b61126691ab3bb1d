"""Say what was measured, what was hoped for, and which rows fall short."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WIDTHS = (54, 12, 9, 10, 11)
HEADS = ("measured", "ratio", "at least", "reach for")
PER_SECOND = "/s"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value. `ratio`: to the yardstick; the targets are ratios then. Of rates more is better."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    reach_for: float | None = None
    ratio: float | None = None
    errors: int = 0

    @property
    def falls_short(self) -> bool:
        if self.errors:
            return True
        if self.at_least is None:
            return False
        measured = self.value if self.ratio is None else self.ratio
        return measured < self.at_least if self.unit == PER_SECOND else measured > self.at_least

    @property
    def cells(self) -> tuple[str, ...]:
        value = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.2f}"
        ratio = "" if self.ratio is None else f"{self.ratio:.3f}"
        return f"{value} {self.unit}", ratio, _target(self.at_least), _target(self.reach_for)


def _target(value: float | None) -> str:
    return "" if value is None else f"{value:,g}"


def table(figures: Iterable[Figure]) -> Iterable[str]:
    """The lines of the table, those that fall short marked and repeated at the end."""
    yield _line("figure", *HEADS)
    short = list[Figure]()
    for figure in figures:
        errors = f"  {figure.errors} errors" if figure.errors else ""
        yield _line(figure.name, *figure.cells) + ("  falls short" if figure.falls_short else "") + errors
        short += [figure] * figure.falls_short
    yield f"{len(short)} rows fall short: " + ("; ".join(figure.name for figure in short) or "none")


def _line(name: str, *cells: str) -> str:
    return f"{name:<{WIDTHS[0]}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS[1:], strict=True))
