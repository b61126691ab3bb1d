"""One figure of a tile: its value in words, its change, its last 30 days. Unknown is a reason, never a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dashboard.spark import Values
from fluxtracker import figures

Leaf = Mapping[str, Any]  # current, previous, change, percentage, trend (docs/contract.md#api)
Words = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Change:
    """`words` carry the sign, `arrow` repeats it for the eye; `trend` is up, down or neutral."""

    arrow: str
    words: str
    trend: str


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` is empty when nobody knows it: then `why` says why. So with `change` and `why_no_change`."""

    metric: str
    label: str
    value: str
    exact: str = ""
    why: str = ""
    change: Change | None = None
    why_no_change: str = ""
    spark: Values = ()
    number: float | None = None
    """What it is sorted by."""
    share: float | None = None
    """Percent, for a bar."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind of number is written: the value, its exact words on hover, its change."""

    value: Words
    exact: Words
    change: Words


def change(difference: float | None, words: Words, percentage: float | None = None) -> Change | None:
    """`▲ +300 (+2.94 %)`, `▼ −1.2 pp`, `= 0`; None when the difference is not known."""
    if difference is None:
        return None
    trend = "up" if difference > 0 else "down" if difference < 0 else "neutral"
    if trend == "neutral":
        return Change(figures.ARROWS[trend], "0", trend)
    share = "" if percentage is None else f" ({figures.plus(figures.percent(percentage, 2))})"
    return Change(figures.ARROWS[trend], figures.plus(words(difference)) + share, trend)


def percent_words(value: float) -> str:
    return figures.percent(value, 1)


def points(value: float) -> str:
    """Percentage points; what is less than a tenth of one is not shown as nothing."""
    return figures.percent(value, 1 if abs(value) >= 0.1 else 2).replace("%", "pp")


def cores(value: float) -> str:
    return f"{figures.count(value)} cores"


def gigabytes(value: float) -> str:
    return f"{figures.count(value)} GB"


COUNT = Form(figures.count, figures.count, figures.count)
CORES = Form(figures.count, cores, figures.count)
SIZE = Form(figures.size, gigabytes, figures.size)
SHARE = Form(percent_words, lambda value: figures.percent(value, 2), points)


def figure(metric: str, label: str, leaf: Leaf, form: Form, **more: Any) -> Figure:
    """A figure from a leaf of the comparison. `more`: why it is unknown, its spark, its share."""
    current = leaf["current"]
    told = leaf["points"] if "points" in leaf else leaf["change"]
    percentage = None if "points" in leaf else leaf["percentage"]
    return Figure(
        metric,
        label,
        value="" if current is None else form.value(current),
        exact="" if current is None else form.exact(current),
        number=current,
        change=change(told, form.change, percentage),
        **more,
    )
