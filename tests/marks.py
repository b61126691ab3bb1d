"""The marks of tests that only `make test-full` runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from tests.engines import BOTH

ALL = 100
FEWEST = 5
EXAMPLES = int(os.environ.get("TEST_EXAMPLES") or ALL)  # of a law, where a test does not say: fewer in `make test`
IN_FULL = (pytest.mark.slow, pytest.mark.further)
law = pytest.mark.law  # on a test that has its law inside of it; hypothesis marks those that are laws themselves


def examples(most: int) -> int:
    """Of a law that says itself how many: so many in the full run, a share of them where others try fewer as well."""
    return min(most, max(FEWEST, most * EXAMPLES // ALL))


def share(tries: int) -> range:
    """The seeds that fall to this engine: in a run on both, each does half of so many tries."""
    return range(bool(os.environ.get("DATABASE_URL")), tries, 2) if os.environ.get(BOTH) else range(tries)


def every_other(values: Iterable[str]) -> list[str]:
    """The values that fall to this engine: a run on both has half of them on each."""
    return list(values)[bool(os.environ.get("DATABASE_URL")) :: 2] if os.environ.get(BOTH) else list(values)


def only_in_full(*values: Any) -> list[Any]:
    """Further values of a parameter (a tuple: of several) whose likes `make test` has tried already."""
    several = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*value, marks=IN_FULL) for value in several]


def only_in_full_of(*values: tuple[Any, ...]) -> list[Any]:
    """The same for several parameters at a time."""
    return [pytest.param(*value, marks=IN_FULL) for value in values]


def some_in_full(values: dict[str, Any], *quick: str) -> list[Any]:
    """The values of a parameter by name: all but the `quick` ones only in the full run."""
    assert set(quick) <= set(values), quick
    return [pytest.param(value, id=name, marks=() if name in quick else IN_FULL) for name, value in values.items()]
