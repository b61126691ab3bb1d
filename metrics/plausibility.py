"""Whether an answer can be believed, next to the last one that was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from metrics.catalogue import FIXED, TOTALS, Number

MOST_PERCENT = 15  # by which a number may change from one reading to the next
FEW = 50
MOST_NODES = 7  # the same for a network of few nodes: what 15 percent of 50 are
SIZE, CONTAINERS = "rows", "total_apps"
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
COMPARED = (*TOTALS, *TIERS)
LABELS = {metric.key: metric.label for metric in FIXED} | {SIZE: "Rows"}

Compared = Mapping[str, Number]


def compared(values: Mapping[str, Number | None], size: int | None) -> dict[str, Number]:
    """Return what is held against the same of another answer: the numbers that are known, and how many rows."""
    found = {key: values.get(key) for key in COMPARED} | {SIZE: size}
    return {key: number for key, number in found.items() if number is not None}


def collapse(before: Compared, after: Compared) -> str | None:
    """Return what looks broken about an answer: fewer than half of what was there, or none of a tier.

    No absolute limits: a small network is one, too.
    """
    for key, last, number in _pairs(before, after):
        if key not in TIERS and number * 2 < last:
            return f"{LABELS[key]}: {number}, fewer than half of the last {last}"
        if key in TIERS and last and not number:
            return f"{LABELS[key]}: none is left of {last}"
    return None


def change(before: Compared, after: Compared) -> str | None:
    """Return which number has changed by more than 15 percent, and by more than what 7 nodes come to.

    A few containers or apps may become a few others at once: a single app brings several.
    """
    size = before.get(SIZE)
    for key, last, number in _pairs(before, after):
        if key in (SIZE, CONTAINERS) and max(last, number) < FEW:
            continue
        of_a_node = max(1, last / size) if size else 1
        if abs(number - last) > max(last * MOST_PERCENT / 100, MOST_NODES * of_a_node):
            return f"{LABELS[key]}: {number} instead of {last}"
    return None


def confirmed(readings: Sequence[Compared]) -> list[bool]:
    """Return for each of several readings in a row whether the one before or after it tells about the same."""
    same = [change(first, second) is None for first, second in pairwise(readings)]
    return [before or after for before, after in zip([False, *same], [*same, False], strict=True)][: len(readings)]


def _pairs(before: Compared, after: Compared) -> Iterator[tuple[str, Number, Number]]:
    return ((key, before[key], number) for key, number in after.items() if key in before)
