from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from tests.api.conftest import get, refused
from tests.snapshots.network import at
from tests.system.conftest import build, home, in_process, template

__all__ = ["build", "get", "home", "in_process", "refused", "template"]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """2026-11-20 00:10 UTC, a Friday, until it is moved."""
    with time_machine.travel(at("00:10"), tick=False) as traveller:
        yield traveller
