"""What an answer of a source comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metrics.catalogue import Number


@dataclass(frozen=True, slots=True)
class Readout:
    """Values by metric, how much of the answer they rest on, and its size to hold against the next one."""

    values: Mapping[str, Number]
    coverage: dict[str, Any]
    size: int


class Refused(Exception):
    """An answer that came and is not believed."""
