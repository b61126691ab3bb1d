from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.db.migrations.recorder import MigrationRecorder

NOW = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Friday 20 November 2026, 14:00 UTC; fixed until a test moves it."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def installed() -> Callable[[datetime], None]:
    """Says when this installation was made."""

    def at(moment: datetime) -> None:
        MigrationRecorder.Migration.objects.update(applied=moment)

    return at
