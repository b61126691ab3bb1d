from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import responses as responses_library
import time_machine
from django.utils import timezone

from metrics.models import Source
from tests.api.conftest import get, plain_static_files, refused
from tests.factories import NOON
from tests.metrics.census_network import CensusNetwork
from tests.metrics.network import API, BINANCE, DEAD, EXPLORER, GECKO, STATS, Network, spec
from tests.system.conftest import build, in_process, warned

__all__ = ["build", "get", "in_process", "plain_static_files", "refused", "warned"]

NOW = NOON  # 2026-11-20 12:00 UTC


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def web() -> Iterator[responses_library.RequestsMock]:
    with responses_library.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def network(web: responses_library.RequestsMock, settings: Any) -> Network:
    """Ten nodes, each with one container of an app that is registered."""
    settings.FLUX_API_URL, settings.FLUX_STATS_URL, settings.COINGECKO_URL = API, STATS, GECKO
    settings.FLUX_EXPLORER_URL, settings.BINANCE_URL, settings.CRYPTOCOMPARE_API_KEY = EXPLORER, BINANCE, ""
    settings.UPSTREAM_RATE, settings.UPSTREAM_TIMEOUT = 0, 5
    found = Network(web)
    found.specs = [spec(f"app{number}", ("web", "nginx:latest")) for number in range(10)]
    assert DEAD
    return found


@pytest.fixture
def collect(in_process: Callable[..., Any], clock: Any) -> Callable[..., Any]:
    """Runs the command and answers its report; `code` is what it has to end with."""

    def run(*, code: int = 0) -> Any:
        outcome = in_process("collect_metrics", "--json")
        assert outcome.code == code, outcome
        return json.loads(outcome.out.splitlines()[-1]) if not code else outcome.err

    return run


@pytest.fixture
def later(clock: Any) -> Callable[..., datetime]:
    """Moves the clock on."""

    def move(**span: float) -> datetime:
        clock.shift(timedelta(**span))
        return timezone.now()

    return move


@pytest.fixture
def source(db: None) -> Callable[[str], Source]:
    return lambda name: Source.objects.get(name=name)


@pytest.fixture
def counted(network: Network, collect: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """What is counted when these containers run: the values of the source `apps`."""

    def run(*names: str) -> dict[str, Any]:
        network.run(*names)
        assert collect()["sources"]["apps"] == "ok"
        values: dict[str, Any] = Source.objects.get(name="apps").values
        return values

    return run


@pytest.fixture
def census_network(web: responses_library.RequestsMock, settings: Any) -> CensusNetwork:
    """Ten nodes, each with one instance of one of four apps."""
    settings.FLUX_API_URL, settings.FLUX_STATS_URL, settings.UPSTREAM_RATE = API, STATS, 0
    return CensusNetwork(web)


@pytest.fixture
def census(in_process: Callable[..., Any], clock: Any) -> Callable[..., Any]:
    """Runs the command and answers its report; `code` is what it has to end with."""

    def run(*, code: int = 0) -> Any:
        outcome = in_process("take_census", "--json")
        assert outcome.code == code, outcome
        return json.loads(outcome.out.splitlines()[-1]) if not code else outcome.err

    return run
