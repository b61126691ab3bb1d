"""Split work into batches, compute growing pauses, and reduce garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

IDS = 5_000  # per statement: SQLite takes at most 32,766 parameters
ROWS = 1_000  # of several values each, per statement
MOST_DOUBLINGS = 20
KEPT = (100_000, 20, 100)  # new objects, and collections of a younger generation, before one is collected


def chunks(items: Sequence[T], size: int = IDS) -> Iterator[Sequence[T]]:
    """Yield the items in order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def batched(items: Iterable[T], size: int = ROWS) -> Iterator[list[T]]:
    """Yield the same from an iterator."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def backoff(first: timedelta, attempts: int, longest: timedelta) -> timedelta:
    """Return how long to wait after this many attempts: `first` after one, then twice as long each time."""
    return min(first * (1 << min(max(attempts - 1, 0), MOST_DOUBLINGS)), longest)


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Collect garbage rarely, for work on many objects without cycles, where it takes a fifth of the time."""
    threshold = gc.get_threshold()
    gc.set_threshold(*KEPT)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
