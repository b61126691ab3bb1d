"""What `make test` leaves to `make test-full`."""

from __future__ import annotations

from typing import Any

import pytest


def only_in_full(*values: Any, ids: tuple[str, ...] = ()) -> list[Any]:
    """Further values of a parameter whose likes `make test` has tried already."""
    return [
        pytest.param(value, marks=pytest.mark.slow, id=ids[number] if ids else None)
        for number, value in enumerate(values)
    ]


def some_in_full(values: dict[str, Any], *quick: str) -> list[Any]:
    """The values of a parameter by name: all but the `quick` ones only in the full run."""
    assert set(quick) <= set(values), quick
    return [
        pytest.param(value, id=name) if name in quick else only_in_full(value, ids=(name,))[0]
        for name, value in values.items()
    ]
