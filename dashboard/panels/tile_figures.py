"""Format the figures of a tile: value, change and 30-day line. Unknown has a reason, not a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString

from fluxtracker import formatting, money
from metrics.metric_keys import with_ratios
from metrics.selectors import Latest
from revenue.period_totals import Sums, Totals, daily
from snapshots.comparison.calculate import COLUMNS
from snapshots.models import Snapshot

Number = int | float
Values = Sequence[Number | None]
Point = tuple[float, float]
Bounds = tuple[Number, Number]

WIDTH, HEIGHT = 120, 32
PAD = 3.0  # room for half a stroke and the end dot


def spark(values: Values, label: str = "") -> SafeString:
    """Return the line as SVG, hidden from screen readers, and a sentence for them. `label`: metric and span.

    It stretches to its CSS box; strokes keep their width.
    """
    places = trend_points(values)
    drawing = (
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
        f' focusable="false"><path class="line" d="{_path(places)}" vector-effect="non-scaling-stroke"/>'
        f'<path class="end" d="{_path(places[-1:])}" vector-effect="non-scaling-stroke"/></svg>'
    )
    return SafeString(f'{drawing}<span class="unseen">{escape(sentence(values, label))}</span>')


def line(values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None) -> str:
    """Return the `d` of a path through the values: a new stroke after each gap, a dot for a single value."""
    return _path(trend_points(values, width, height, bounds))


def bars(values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None) -> str:
    """Return the `d` of a bar for each known value, from the bottom of the drawing."""
    room = (width - 2 * PAD) / max(len(values), 1)
    places = trend_points(values, width, height, bounds)
    return "".join(
        f"M{PAD + number * room + room * 0.1:.1f} {height - PAD}V{place[1]:.1f}h{room * 0.8:.1f}V{height - PAD}z"
        for number, place in enumerate(places)
        if place is not None
    )


def trend_points(
    values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None
) -> list[Point | None]:
    """Return the position of each value, in the middle if all are equal. `bounds`: bottom and top of the drawing."""
    known = [value for value in values if value is not None]
    low, high = bounds or ((min(known), max(known)) if known else (0, 0))
    step, room = (width - 2 * PAD) / max(len(values) - 1, 1), height - 2 * PAD

    def place(number: int, value: Number) -> Point:
        share = (value - low) / (high - low) if high > low else 0.5
        return PAD + number * step, height - PAD - share * room

    return [None if value is None else place(number, value) for number, value in enumerate(values)]


def sentence(values: Values, label: str = "") -> str:
    """Describe the line for screen readers."""
    return (f"{label}: " if label else "") + "; ".join(_facts(values)) + "."


def _facts(values: Values) -> Iterator[str]:
    known = [value for value in values if value is not None]
    if not known:
        yield "no history yet"
        return
    yield f"from {trend_value(known[0])} to {trend_value(known[-1])}"
    if len(known) > 2:
        yield f"lowest {trend_value(min(known))}, highest {trend_value(max(known))}"
    if len(known) < len(values):
        yield f"{formatting.plural(len(values) - len(known), 'day')} not known"


def trend_value(value: Number) -> str:
    """Return a formatted number: whole with commas, else two decimals, or four digits if small."""
    if float(value).is_integer():
        return formatting.whole(int(value))
    text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    return text.replace("-", formatting.MINUS)


def _path(places: Sequence[Point | None]) -> str:
    """Return a stroke for each run between gaps; a single point becomes a zero-length stroke, shown as a dot."""
    strokes = []
    for missing, run in groupby(places, key=lambda place: place is None):
        if not missing:
            first, *rest = [f"{place[0]:.1f} {place[1]:.1f}" for place in run if place]
            strokes.append(f"M{first}" + ("".join(f"L{place}" for place in rest) or "h0"))
    return "".join(strokes)


Leaf = Mapping[str, Any]  # current, previous, change, percentage, trend (docs/contract.md#api)
Words = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Change:
    """`words` have the sign, `arrow` repeats it visually; `trend` is up, down or neutral.

    `share` is the relative part of the words, `+2.94 %`, empty if not known.
    """

    arrow: str
    words: str
    trend: str
    share: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Format of a kind of number: value, exact words on hover, change."""

    value: Words
    exact: Words
    change: Words


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is empty if not known; then `why` says why. Likewise `change` and `why_no_change`."""

    metric: str
    label: str
    value: str
    exact: str
    why: str
    change: Change | None
    why_no_change: str
    spark: Values
    number: float | None
    """Key that sorts it."""
    share: float | None = None
    """Percent, for a bar."""
    detail: str = ""

    @classmethod
    def of(
        cls, metric: str, label: str, number: float | None, form: Form, *, why: str, why_no_change: str, **more: Any
    ) -> Figure:
        """Return the figure in words; reasons are kept where they apply."""
        unknown = number is None
        return cls(
            metric,
            label,
            value="" if number is None else form.value(number),
            exact="" if number is None else form.exact(number),
            why=why if unknown else "",
            why_no_change="" if unknown or more["change"] else why_no_change,
            number=number,
            **more,
        )


def change(difference: float | None, words: Words, percentage: float | None = None) -> Change | None:
    """Return `▲ +300 (+2.94 %)`, `▼ −1.2 pp` or `= 0`, None if the difference is not known."""
    if difference is None:
        return None
    trend = "up" if difference > 0 else "down" if difference < 0 else "neutral"
    if trend == "neutral":
        return Change(formatting.ARROWS[trend], "0", trend)
    share = "" if percentage is None else formatting.plus(formatting.percent(percentage, 2))
    text = formatting.plus(words(difference)) + (f" ({share})" if share else "")
    return Change(formatting.ARROWS[trend], text, trend, share)


def points(value: float) -> str:
    """Return percentage points, without showing a small difference as zero."""
    return formatting.percent(value, 1 if abs(value) >= 0.1 else 2).replace("%", "pp")


COUNT = Form(formatting.count, formatting.count, formatting.count)
CORES = Form(formatting.count, lambda value: f"{formatting.count(value)} cores", formatting.count)
SIZE = Form(formatting.size, lambda value: f"{formatting.count(value)} GB", formatting.size)
SHARE = Form(formatting.percent, lambda value: formatting.percent(value, 2), points)
FLUX = Form(formatting.coins, lambda value: f"{formatting.coins(value, 8)} FLUX", formatting.coins)
USD = Form(formatting.dollars, formatting.dollars, formatting.dollars)


DAYS = 30


@dataclass(frozen=True, slots=True)
class Sparks:
    """Values of the 30 days before today and of today, by metric; None: not known."""

    days: tuple[Mapping[str, Number | None], ...]

    def of(self, metric: str) -> Values:
        return tuple(day.get(metric) for day in self.days)


def network(latest: Latest, now: datetime) -> Sparks:
    """Return the days of metrics in snapshots, with today as last read."""
    days = [now.date() - timedelta(days=back) for back in range(DAYS, 0, -1)]
    rows = Snapshot.objects.filter(day__gte=days[0], day__lte=days[-1]).values_list("day", "counts", *COLUMNS)
    by_day = {day: with_ratios(counts | dict(zip(COLUMNS, columns, strict=True))) for day, counts, *columns in rows}
    return Sparks((*(by_day.get(day, {}) for day in days), latest.values))


def revenue(now: datetime) -> Sparks:
    """Return revenue of complete days only: neither today nor a day not fully read by the sync."""
    totals = Totals.load(now.date() - timedelta(days=DAYS), now.date())
    days = daily(totals, now.date(), DAYS + 1, now)[:-1]
    return Sparks(tuple(_earned(row.sums) if row.complete else {} for row in days))


def _earned(sums: Sums) -> Mapping[str, Number | None]:
    return {
        "revenue_flux": None if sums.revenue_sat is None else money.flux(sums.revenue_sat),
        "revenue_usd": money.usd(sums.usd_micro),
        "payments": sums.payments,
    }
