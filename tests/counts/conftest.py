"""The networks of the system tests, in this process."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from tests.system.conftest import build, in_process

__all__ = ["build", "in_process"]


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Far from midnight, around which the time of a block is one request more."""
    with time_machine.travel(datetime(2026, 11, 29, 12, tzinfo=UTC)):
        yield
