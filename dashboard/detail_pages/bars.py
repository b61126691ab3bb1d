"""Draw payments by day or month as server-rendered bars, with the same data as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode

from dashboard.detail_pages.selectors import Bar
from dashboard.panels.payments.filters import PLACE
from fluxtracker import formatting
from revenue.period_totals import Sums

STEP, WIDTH, HEIGHT = 10, 8, 100  # of a bar, in drawing units
LEAST = 1  # minimum height, so that small payments are visible


@dataclass(frozen=True, slots=True)
class Drawn:
    """A bar with its position, and its table row. `sums` has None where nothing is known."""

    x: int
    y: float
    height: float
    label: str
    sums: Sums
    url: str
    look: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A drawing of FLUX by month or day with its caption, and the same as a table, newest first."""

    unit: str
    bars: Sequence[Drawn]
    caption: str
    width: int
    height: int = HEIGHT
    bar: int = WIDTH

    @property
    def ends(self) -> tuple[str, str]:
        return self.bars[0].label, self.bars[-1].label

    @property
    def rows(self) -> Sequence[Drawn]:
        return self.bars[::-1]


def by_month(bars: Sequence[Bar], query: Mapping[str, str] | None = None) -> Bars | None:
    """Return bars linked to the payments of their month; `query`: the filter of the page's subject."""

    def url(bar: Bar) -> str:
        days = {"from": str(bar.first), "to": str(bar.last)}
        return f"{reverse('dashboard:home')}?{urlencode({**query, **days})}{PLACE}" if query else ""

    return _draw("month", bars, lambda bar: f"{bar.first:%b %Y}", url)


def by_day(bars: Sequence[Bar]) -> Bars | None:
    """Return bars linked to the pages of their days."""
    return _draw(
        "day",
        bars,
        lambda bar: formatting.day(bar.first),
        lambda bar: reverse("dashboard:day", args=[str(bar.first)]),
    )


def _draw(unit: str, bars: Sequence[Bar], label: Callable[[Bar], str], url: Callable[[Bar], str]) -> Bars | None:
    """Return the drawing, None without a bar."""
    if not bars:
        return None
    highest = max(bars, key=lambda bar: bar.sums.revenue_sat or 0)
    most = highest.sums.revenue_sat or 0
    drawn = [
        _place(number, bar, _height(bar.sums.revenue_sat or 0, most), label(bar), url(bar))
        for number, bar in enumerate(bars)
    ]
    best = f"; most in {label(highest)}: {formatting.flux(most)} FLUX" if most else ""
    partial = f"; hatched: not the whole {unit}" if any(bar.is_open for bar in bars) else ""
    caption = f"FLUX by {unit}, {label(bars[0])} to {label(bars[-1])}{best}{partial}"
    return Bars(unit, drawn, caption, STEP * len(bars))


def _place(number: int, bar: Bar, height: float, label: str, url: str) -> Drawn:
    look = " ".join(word for word, holds in (("open", bar.is_open), ("marked", bar.marked)) if holds)
    return Drawn(STEP * number + (STEP - WIDTH) // 2, HEIGHT - height, height, label, bar.sums, url, look)


def _height(sat: int, most: int) -> float:
    return max(round(HEIGHT * sat / most, 1), LEAST) if sat else 0
