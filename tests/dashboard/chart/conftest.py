"""The chart panel as the server makes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client

from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW

Panel = Callable[..., str]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def panel(client: Client) -> Panel:
    """The panel's HTML for an address."""

    def ask(**query: str) -> str:
        response = client.get("/panels/chart/", query)
        assert response.status_code == 200
        assert "X-Panel-Failed" not in response.headers
        return response.content.decode()

    return ask


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def look(html: str) -> str:
    return re.search(r'data-look="(\w+)"', html)[1]


def way(html: str, label: str) -> dict[str, str]:
    """The query of the first link with this label."""
    found = re.search(rf'<a [^>]*?href="([^"]+)"[^>]*>(?:<span[^>]*>)?{re.escape(label)}<', html)
    assert found, label
    return {key: values[0] for key, values in parse_qs(urlsplit(unescape(found[1])).query).items()}


def chosen(html: str) -> list[str]:
    return [unescape(label) for label in re.findall(r'aria-current="true">(?:<span[^>]*>)?([^<]+)', html)]


def earn(*amounts: str, settled: bool = True) -> None:
    """A payment a day, the last one today."""
    for back, amount in enumerate(reversed(amounts)):
        pay(amount, at=NOW - DAY * back)
    if settled:
        settle(NOW)
