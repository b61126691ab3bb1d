from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from ops.status import Status
from tests.dashboard import rows


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Wednesday 18 November 2026, 14:05 UTC; fixed until a test moves it."""
    with time_machine.travel(rows.NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers."""
    monkeypatch.setattr("ops.broker.status", Status)
