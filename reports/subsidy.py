"""Compute the coins issued by blocks (docs/upstream.md#chain)."""

from __future__ import annotations

from fluxtracker.money import SAT
from fluxtracker.upstream.records import FORK_HEIGHT

FIRST_SAT = 14 * SAT  # per block from the fork on
REDUCED_EVERY = 1_051_200  # blocks, after each of which nine tenths remain
MOST_REDUCTIONS = 20
WORK_SAT = 150 * SAT  # per block before the fork
HALVED_FROM, HALVED_EVERY, MOST_HALVINGS = 2_500, 655_350, 2
SLOW_UNTIL = 5_000  # the first blocks issued less: heights of 2018, before any app


def subsidy_sat(height: int) -> int:
    """Return the coins issued at this height. ValueError for the slow start of 2018."""
    if height >= FORK_HEIGHT:
        subsidy = FIRST_SAT
        for _ in range(min((height - FORK_HEIGHT) // REDUCED_EVERY, MOST_REDUCTIONS)):
            subsidy = subsidy * 9 // 10
        return subsidy
    if height < SLOW_UNTIL:
        raise ValueError("the subsidy of the first blocks is not known here")
    return WORK_SAT >> min((height - HALVED_FROM) // HALVED_EVERY, MOST_HALVINGS)


def issued_sat(low: int, high: int) -> int:
    """Return the coins issued from `low` up to, but excluding, `high`."""
    total, height = 0, low
    while height < high:
        end = min(_next_change(height), high)
        total += (end - height) * subsidy_sat(height)
        height = end
    return total


def _next_change(height: int) -> int:
    """Return the next height above this one at which the subsidy may change."""
    if height >= FORK_HEIGHT:
        return height + REDUCED_EVERY - (height - FORK_HEIGHT) % REDUCED_EVERY
    return min(height + HALVED_EVERY - (height - HALVED_FROM) % HALVED_EVERY, FORK_HEIGHT)
