"""A small network that stands still, and a client that asks its server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from fluxtracker.simnet.server import SimServer
from fluxtracker.simnet.world import World

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Get = Callable[..., Any]


def build(**options: Any) -> World:
    """A frozen world with nothing in its past, unless told otherwise."""
    return World(**({"payments": 0, "old_messages": 5, "nodes": 20, "now": NOW, "frozen": True} | options))


@pytest.fixture
def world() -> World:
    return build()


@pytest.fixture
def sim(world: World) -> Iterator[SimServer]:
    with SimServer(world) as server:
        yield server


@pytest.fixture(scope="module")
def busy() -> Iterator[SimServer]:
    """A server whose world has a past with every kind of payment; its tests only read."""
    with SimServer(build(payments=1500, days=400, nodes=60)) as server:
        yield server


def get(sim: SimServer, path: str, **params: Any) -> Any:
    """The JSON of an answer, whatever its status."""
    return requests.get(f"{sim.url}{path}", params=params, timeout=10).json()
