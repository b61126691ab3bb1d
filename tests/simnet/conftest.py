"""A small frozen network, and one with a busy past."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simnet.asking import build
from tests.simnet.server import SimServer
from tests.simnet.world import World


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
