from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client

NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)  # a Tuesday: October, week 44 and the third quarter are over


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def kpi(client: Client) -> Callable[..., dict[str, Any]]:
    """Ask for a report, and return it with its figures by key."""

    def ask(**query: object) -> dict[str, Any]:
        answer = client.get("/api/reports/kpi", query)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        found["figures"] = {figure["key"]: figure for figure in found["figures"]}
        return found

    return ask


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
