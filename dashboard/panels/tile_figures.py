"""Format the figures of a tile: value, change and the line of the last 30 days. Unknown has a reason, not a number."""

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
from revenue.selectors import Sums, Totals, daily
from snapshots.comparison.calculate import COLUMNS
from snapshots.models import Snapshot

Number = int | float
Values = Sequence[Number | None]
Point = tuple[float, float]
Bounds = tuple[Number, Number]

WIDTH, HEIGHT = 120, 32
PAD = 3.0  # room for half a stroke and the dot at the end


def spark(values: Values, label: str = "") -> SafeString:
    """Return the line as SVG, hidden from screen readers, and a sentence for them. `label`: what and how long.

    It stretches to the box that CSS gives it; strokes keep their width.
    """
    places = trend_points(values)
    drawing = (
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
        f' focusable="false"><path class="line" d="{_path(places)}" vector-effect="non-scaling-stroke"/>'
        f'<path class="end" d="{_path(places[-1:])}" vector-effect="non-scaling-stroke"/></svg>'
    )
    return SafeString(f'{drawing}<span class="unseen">{escape(sentence(values, label))}</span>')


def line(values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None) -> str:
    """Return the `d` of a path through the values: a new stroke after each gap, a dot for a value between two gaps."""
    return _path(trend_points(values, width, height, bounds))


def bars(values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None) -> str:
    """Return the `d` of a bar for each known value, from the foot of the drawing."""
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
    """Return the place of each value, in the middle when all are equal. `bounds`: bottom and top of the drawing."""
    known = [value for value in values if value is not None]
    low, high = bounds or ((min(known), max(known)) if known else (0, 0))
    step, room = (width - 2 * PAD) / max(len(values) - 1, 1), height - 2 * PAD

    def place(number: int, value: Number) -> Point:
        share = (value - low) / (high - low) if high > low else 0.5
        return PAD + number * step, height - PAD - share * room

    return [None if value is None else place(number, value) for number, value in enumerate(values)]


def sentence(values: Values, label: str = "") -> str:
    """Return what the line shows, for those who cannot see it."""
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
    """Return a number in words: whole with commas, else with two decimals, or four digits when it is small."""
    if float(value).is_integer():
        return formatting.whole(int(value))
    text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    return text.replace("-", formatting.MINUS)


def _path(places: Sequence[Point | None]) -> str:
    """Return a stroke for each run between two gaps; one of no length, for a single place, shows as a dot."""
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
    """`words` carry the sign, `arrow` repeats it for the eye; `trend` is up, down or neutral.

    `share` is the relative part of the words, `+2.94 %`; empty where it is not known.
    """

    arrow: str
    words: str
    trend: str
    share: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Format of a kind of number: the value, its exact words on hover, its change."""

    value: Words
    exact: Words
    change: Words


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is empty when it is not known: then `why` says why. So with `change` and `why_no_change`."""

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
        """Return the figure in words; the reasons are kept where they apply."""
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
    """`▲ +300 (+2.94 %)`, `▼ −1.2 pp`, `= 0`; None when the difference is not known."""
    if difference is None:
        return None
    trend = "up" if difference > 0 else "down" if difference < 0 else "neutral"
    if trend == "neutral":
        return Change(formatting.ARROWS[trend], "0", trend)
    share = "" if percentage is None else formatting.plus(formatting.percent(percentage, 2))
    text = formatting.plus(words(difference)) + (f" ({share})" if share else "")
    return Change(formatting.ARROWS[trend], text, trend, share)


def points(value: float) -> str:
    """Return percentage points; what is less than a tenth of one is not shown as nothing."""
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
    """A value for each of the 30 days before today and today's, by metric; None where it is unknown."""

    days: tuple[Mapping[str, Number | None], ...]

    def of(self, metric: str) -> Values:
        return tuple(day.get(metric) for day in self.days)


def network(latest: Latest, now: datetime) -> Sparks:
    """Return the days of the metrics that snapshots have; today as last read."""
    days = [now.date() - timedelta(days=back) for back in range(DAYS, 0, -1)]
    rows = Snapshot.objects.filter(day__gte=days[0], day__lte=days[-1]).values_list("day", "counts", *COLUMNS)
    found = {day: with_ratios(counts | dict(zip(COLUMNS, columns, strict=True))) for day, counts, *columns in rows}
    return Sparks((*(found.get(day, {}) for day in days), latest.values))


def revenue(now: datetime) -> Sparks:
    """Return complete days of revenue only: neither today nor a day that the sync has not read to its end."""
    totals = Totals.load(now.date() - timedelta(days=DAYS), now.date())
    days = daily(totals, now.date(), DAYS + 1, now)[:-1]
    return Sparks(tuple(_earned(row.sums) if row.complete else {} for row in days))


def _earned(sums: Sums) -> Mapping[str, Number | None]:
    return {
        "revenue_flux": None if sums.revenue_sat is None else money.flux(sums.revenue_sat),
        "revenue_usd": money.usd(sums.usd_micro),
        "payments": sums.payments,
    }
