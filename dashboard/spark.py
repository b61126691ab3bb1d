"""Small trend lines, drawn by the server. A day nobody knows is a gap in the line, never a 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import figures

Number = int | float
Values = Sequence[Number | None]
Point = tuple[float, float]
Bounds = tuple[Number, Number]

WIDTH, HEIGHT = 120, 32
PAD = 3.0  # room for half a stroke and the dot at the end


def spark(values: Values, label: str = "") -> SafeString:
    """The line as SVG, hidden from readers that hear, and a sentence for them. `label`: what and how long."""
    return format_html('{}<span class="unseen">{}</span>', svg(values), sentence(values, label))


def svg(values: Values, width: int = WIDTH, height: int = HEIGHT) -> SafeString:
    """Stretches to the box that CSS gives it; strokes keep their width."""
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<path class="line" d="{}" vector-effect="non-scaling-stroke"/>'
        '<path class="end" d="{}" vector-effect="non-scaling-stroke"/></svg>',
        width,
        height,
        line(values, width, height),
        end(values, width, height),
    )


def line(values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None) -> str:
    """The `d` of a path through the values: a new stroke after each gap, a dot for a value between two gaps."""
    return "".join(map(_stroke, _runs(points(values, width, height, bounds))))


def end(values: Values, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The `d` of the dot on the last value; empty when that is unknown."""
    last = points(values, width, height)[-1:]
    return "".join(map(_stroke, _runs(last)))


def points(
    values: Values, width: int = WIDTH, height: int = HEIGHT, bounds: Bounds | None = None
) -> list[Point | None]:
    """Where each value stands: in the middle when all are equal. `bounds`: bottom and top, else lowest and highest."""
    known = [value for value in values if value is not None]
    low, high = bounds or ((min(known), max(known)) if known else (0, 0))
    step, room = (width - 2 * PAD) / max(len(values) - 1, 1), height - 2 * PAD

    def place(number: int, value: Number) -> Point:
        share = (value - low) / (high - low) if high > low else 0.5
        return PAD + number * step, height - PAD - share * room

    return [None if value is None else place(number, value) for number, value in enumerate(values)]


def sentence(values: Values, label: str = "") -> str:
    """What the line shows, for those who cannot see it."""
    return (f"{label}: " if label else "") + "; ".join(_facts(values)) + "."


def _facts(values: Values) -> Iterator[str]:
    known = [value for value in values if value is not None]
    if not known:
        yield "no history yet"
        return
    yield f"from {figure(known[0])} to {figure(known[-1])}"
    if len(known) > 2:
        yield f"lowest {figure(min(known))}, highest {figure(max(known))}"
    if len(known) < len(values):
        yield f"{figures.plural(len(values) - len(known), 'day')} not known"


def figure(value: Number) -> str:
    """A number in words: whole with commas, else with two decimals, or four digits when it is small."""
    if float(value).is_integer():
        return figures.whole(int(value))
    text = f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"
    return text.replace("-", figures.MINUS)


def _runs(places: Sequence[Point | None]) -> Iterator[list[Point]]:
    """The places between the gaps."""
    for _, run in groupby(places, key=lambda place: place is None):
        known = [place for place in run if place is not None]
        if known:
            yield known


def _stroke(run: Sequence[Point]) -> str:
    """From the first place to the last; a lone place is a stroke of no length, which shows as a dot."""
    places = [f"{x:.1f} {y:.1f}" for x, y in run]
    return f"M{places[0]}" + ("".join(f"L{place}" for place in places[1:]) or "h0")
