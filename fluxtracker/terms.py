"""How long an app runs, as its specification says it, and the block at which that ends (docs/upstream.md#app-terms)."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

FORK_HEIGHT = 2_020_000  # from here on a block comes every 30 s, before it came every 120 s
OLD_SECONDS, NEW_SECONDS = 120, 30
OLD_TERM, NEW_TERM = 22_000, 88_000  # blocks an app runs when its specification does not say
FORK_FACTOR = OLD_SECONDS // NEW_SECONDS
LAST_IN_BLOCKS = 8  # the version; above it a term is a duration
MOST_BLOCKS = 2**31 - 1
SHORTEST_S, LONGEST_S = 3_600, 3 * 365 * 86_400


class Unit(StrEnum):
    BLOCKS = "blocks"
    SECONDS = "seconds"


class Term(NamedTuple):
    """How long an app runs from the block of its newest message on."""

    amount: int
    unit: Unit


def read_term(version: int, expire: object, ttl: object, height: int | None) -> Term | None:
    """Return the term that the specification of a message at this height says; None where that is not known.

    Versions 1 to 8: `expire` counts blocks; where it is missing or 0, the default of its time holds. Above: `expire`
    or `ttl` counts seconds, where they agree on a plausible duration; anything else is never taken for blocks.
    """
    if version > LAST_IN_BLOCKS:
        told = _numbers(expire, ttl)
        seconds = told.pop() if told and len(told) == 1 else 0
        return Term(seconds, Unit.SECONDS) if SHORTEST_S <= seconds <= LONGEST_S else None
    told = _numbers(expire)
    if version < 1 or height is None or told is None:
        return None
    return Term(told.pop() if told else OLD_TERM if height < FORK_HEIGHT else NEW_TERM, Unit.BLOCKS)


def end_height(height: int, blocks: int) -> int:
    """Return the end block of an app whose newest message is of that height and that was paid for in blocks.

    An app of before the fork was paid in blocks of 120 s: its blocks after the fork count four times.
    """
    end = height + blocks
    if height < FORK_HEIGHT < end:
        end = FORK_HEIGHT + FORK_FACTOR * (end - FORK_HEIGHT)
    return end


def _numbers(*values: object) -> set[int] | None:
    """Return the whole numbers above 0; None where a value is neither one nor absent."""
    if any(value is not None and (type(value) is not int or not 0 <= value <= MOST_BLOCKS) for value in values):
        return None
    return {value for value in values if isinstance(value, int)} - {0}
