"""Describe the chart in words: values with units, days, and a sentence for each line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from fluxtracker import formatting
from fluxtracker.periods import Span
from metrics.metric_keys import CORES, GB, PERCENT, Number
from snapshots.series.choices import FLUX, USD, Choice
from snapshots.series.selectors import LIVE, Chart, Line, Series, SeriesRequest

PRICE = "flux_price_usd"
FORMS: Mapping[str, Callable[[Number], str]] = {
    FLUX: lambda value: f"{formatting.coins(value)} FLUX",
    USD: formatting.dollars,
    GB: formatting.size,
    PERCENT: lambda value: formatting.percent(value, 2),
    CORES: lambda value: f"{formatting.count(value)} cores",
    "": formatting.count,
}
SOURCES = {
    "simulated": "simulated",
    "backfilled": "backfilled from the ledger and the history of node counts",
    "import": "from the previous tracker",
    LIVE: "as last read",
}


def value(choice: Choice, number: Number) -> str:
    """Return the value with its unit."""
    if choice.key == PRICE:
        return formatting.price(Decimal(str(number)))
    return FORMS[choice.unit](number)


def days(first: date, last: date) -> str:
    """Return `22 Oct – 20 Nov 2026`, with both years only if they differ."""
    if first == last:
        return formatting.day(first)
    start = f"{first.day} {first:%b}" if first.year == last.year else formatting.day(first)
    return f"{start} – {formatting.day(last)}"


def when(chart: Chart, index: int) -> str:
    """Return the days of a point, and `in progress` if it is a sum of a day not over."""
    goes_on = chart.spans[index].last >= chart.today and any(index in drawn.line.partial for drawn in chart.series)
    return stretch(chart.spans[index]) + (", in progress" if goes_on else "")


def stretch(*spans: Span) -> str:
    """Return the days of one or more spans, each a day, a week or a month."""
    return days(min(span.first for span in spans), max(span.last for span in spans))


def sentence(drawn: Series, chart: Chart) -> str:
    """Describe a line: range, ends, change, extremes, gaps, incomplete values."""
    request = chart.request
    summed = ", added up" if request.cumulative and drawn.choice.is_sum else ""
    name = f"{drawn.choice.label}{summed}, {days(request.first, request.last)} by {request.bucket}"
    return f"{name}: {'; '.join(_facts(drawn, chart))}."


def _facts(drawn: Series, chart: Chart) -> Iterator[str]:
    choice, line, spans = drawn.choice, drawn.line, chart.spans
    every = [(index, number) for index, number in enumerate(line.points) if number is not None]
    if not every:
        yield "no data"
        return
    whole = [pair for pair in every if pair[0] not in line.partial]
    known = [(number, spans[index]) for index, number in whole or every]
    (first, _), (last, _) = known[0], known[-1]
    if len(known) == 1:
        yield f"{value(choice, first)} {_when(known[0][1])}"
    else:
        moved = _change(first, last) if whole else ""  # incomplete values give no change
        yield f"from {value(choice, first)} to {value(choice, last)}{moved}"
        low, high = min(known, key=lambda pair: pair[0]), max(known, key=lambda pair: pair[0])
        yield f"lowest {value(choice, low[0])} {_when(low[1])}"
        yield f"highest {value(choice, high[0])} {_when(high[1])}"
    if len(every) < len(spans):
        yield f"{len(spans) - len(every)} of {formatting.whole(len(spans))} points not known"
    if whole and whole[-1] != every[-1]:
        yield f"{value(choice, every[-1][1])} {_when(spans[every[-1][0]])}, incomplete"
    if line.partial:
        yield formatting.plural(len(line.partial), f"incomplete {chart.request.bucket}")
    yield from _against(drawn, chart)


def before(chart: Chart) -> str:
    """Return the previous days, drawn dotted; empty if not shown or not known."""
    known = any(drawn.ghost and last_known(drawn.ghost) for drawn in chart.series)
    return stretch(*chart.before) if chart.before and known else ""


def nothing_before(chart: Chart) -> str:
    """Return that the requested previous period has no data, else empty."""
    return f"No data for the previous period, {stretch(*chart.before)}." if chart.before and not before(chart) else ""


def _against(drawn: Series, chart: Chart) -> Iterator[str]:
    """Compare with the dotted line: totals of days complete in both, states where both were last known."""
    if drawn.ghost is None or chart.before is None:
        return
    line, ghost = drawn.line, drawn.ghost
    both = [
        (index, now, then)
        for index, (now, then) in enumerate(zip(line.points, ghost.points, strict=True))
        if now is not None and then is not None
    ]
    if drawn.choice.is_sum:
        whole = [pair for pair in both if pair[0] not in {*line.partial, *ghost.partial}]
        if whole:
            yield _sums_against(drawn.choice, [pair[1:] for pair in whole], chart.request)
    elif both:
        index, now, then = both[-1]
        here, there = (_when(spans[index]) for spans in (chart.spans, chart.before))
        yield f"{value(drawn.choice, now)} {here}, before {value(drawn.choice, then)} {there}{_change(then, now)}"
    yield f"previous period, {stretch(*chart.before)}: {'dotted' if last_known(ghost) else 'no data'}"


def _sums_against(choice: Choice, pairs: Sequence[tuple[Number, Number]], request: SeriesRequest) -> str:
    now, then = pairs[-1] if request.cumulative else (sum(side) for side in zip(*pairs, strict=True))
    whole = formatting.plural(len(pairs), f"full {request.bucket}")
    return f"total of {whole}: {value(choice, now)} (previous: {value(choice, then)}){_change(then, now)}"


def _when(span: Span) -> str:
    return f"{'on' if span.first == span.last else 'in'} {stretch(span)}"


def _change(first: Number, last: Number) -> str:
    """Return the change in percent, empty if 0.0 or unknown."""
    percent = round((last - first) / first * 100, 1) if first else 0
    return f" ({formatting.plus(formatting.percent(percent, 1))})" if percent else ""


def rows(chart: Chart) -> list[dict[str, Any]]:
    """Return the points as a table, newest first. A value in words is None if not known.

    `before`: the value one range length earlier. `notes` qualify the values.
    """
    return [
        {
            "when": stretch(chart.spans[index]),
            "cells": [_cell(drawn, index) for drawn in chart.series],
            "notes": "; ".join(dict.fromkeys(_notes(chart, index))),
        }
        for index in range(len(chart.spans) - 1, -1, -1)
    ]


def _cell(drawn: Series, index: int) -> dict[str, str | None]:
    point, before = drawn.line.points[index], drawn.ghost.points[index] if drawn.ghost else None
    now, then = (None if number is None else value(drawn.choice, number) for number in (point, before))
    return {"label": drawn.choice.label, "value": now, "before": then}


def _notes(chart: Chart, index: int) -> Iterator[str]:
    if any(index in drawn.line.partial for drawn in chart.series):
        yield _why_partial(chart.spans[index], chart)
    for drawn in chart.series:
        source = drawn.line.sources[index]
        if source in SOURCES:
            yield SOURCES[source]


def _why_partial(span: Span, chart: Chart) -> str:
    if span.last >= chart.today:
        return "in progress"
    return f"a part of the {chart.request.bucket}" if span.cut else "not all known or priced"


def marks(chart: Chart) -> list[str]:
    """Return a sentence, with the days, for each origin of values not read on their day."""
    by_source: dict[str, list[Span]] = {}
    for line in (drawn.line for drawn in chart.series):
        for index, source in enumerate(line.sources):
            if source in SOURCES and source != LIVE:
                by_source.setdefault(source, []).append(chart.spans[index])
    return [f"{stretch(*spans)}: {SOURCES[source]}." for source, spans in by_source.items()]


def last_known(line: Line) -> tuple[int, Number] | None:
    """Return the newest known point, with its index."""
    known = [(index, number) for index, number in enumerate(line.points) if number is not None]
    return known[-1] if known else None
