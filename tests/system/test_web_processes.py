"""Two web processes count as one."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.processes import WEB, Program
from tests.system.home import Home, Template
from tests.waiting import AMPLE, eventually

LIMIT, ASKED = 20, 60


@pytest.fixture(scope="module")
def site(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site with two processes."""
    folder = tmp_path_factory.mktemp("processes") / "home"
    home, port = Home(folder, template.copy(folder)), free_port()
    settings = {"WEB_PROCESSES": "2", "PORT": str(port), "HOST": "127.0.0.1", "API_RATE": str(LIMIT)}
    try:
        home.run(Program("web", WEB, settings | {"METRICS_ON_LOOPBACK": "1"}))
        address = f"http://127.0.0.1:{port}"
        assert eventually(lambda: status(f"{address}/api/health/live") == 200), home.log("web")
        yield address
    finally:
        home.close()


def status(url: str, headers: dict[str, str] | None = None) -> int:
    try:
        with urlopen(Request(url, headers=headers or {}), timeout=AMPLE) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


def ask(url: str, headers: dict[str, str] | None = None) -> Counter[int]:
    """What so many clients get that ask at once, each on a connection of its own."""
    with ThreadPoolExecutor(12) as clients:
        return Counter(clients.map(lambda _: status(url, headers), range(ASKED)))


def test_a_client_has_one_rate_over_both(site):
    """Asked again by another one where the minute ended meanwhile: the next has begun with what was asked in it."""
    for number in range(5):
        minute = int(time.time() // 60)
        found = ask(f"{site}/api/stats", {"X-Forwarded-For": f"203.0.113.{number}"})
        if int(time.time() // 60) == minute:
            break
    assert found == {200: LIMIT, 429: ASKED - LIMIT}


def test_what_either_has_answered_is_counted_once(site):
    def answered() -> int:
        with urlopen(f"{site}/metrics", timeout=AMPLE) as answer:
            text = answer.read().decode()
        sample = (
            r'fluxtracker_http_request_duration_seconds_count\{.*route="/api/carousel/stats".*status="200"\} ([0-9.]+)'
        )
        return int(sum(float(count) for count in re.findall(sample, text)))

    before = answered()
    assert ask(f"{site}/api/carousel/stats") == {200: ASKED}
    assert {answered() - before for _ in range(6)} == {ASKED}
