from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from tests.dashboard.reading import html, panel
from tests.dashboard.rows import NOW, feed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def iso(at: Any) -> str:
    return at.isoformat().replace("+00:00", "Z")


IMAGE = {"type": "app", "rank": 1, "label": "WordPress", "name": "runonflux/wp-nginx", "value": 1_763}
BEST = {
    "type": "benchmark",
    "rank": 1,
    "label": "Most CPU cores",
    "name": "Stratus node",
    "value": 128,
    "unit": "cores",
}
APP = {"name": "<i>game</i>", "components": 2, "instances": 3, "kind": "git", "image": "runonflux/orbit"}
DEPLOYED = APP | {"type": "deployed", "rank": 1, "value": 5, "deployedAt": iso(NOW - timedelta(minutes=3))}
EXPIRING = APP | {
    "type": "expiring", "rank": 1, "value": 240, "expireHeight": 2_997_155, "expiresAt": iso(NOW + timedelta(hours=2))
}  # fmt: skip


def test_images_and_benchmarks_go_round(client: Client) -> None:
    feed("network", [IMAGE, BEST])
    words = panel(client, "feeds")
    assert "WordPress 1,763 instances Most CPU cores 128 cores Stratus node updated 0 s ago" in words
    assert 'title="runonflux/wp-nginx"' in html(client, "/panels/feeds/")


def test_a_deployed_app_tells_when_and_what(client: Client) -> None:
    feed("deployed", [DEPLOYED, DEPLOYED | {"kind": "encrypted", "components": None, "image": None}])
    body, words = html(client, "/panels/feeds/"), panel(client, "feeds")
    assert "3 min ago git, 2 components, 3 instances" in words
    assert "3 min ago encrypted, 3 instances" in words
    assert "&lt;i&gt;game&lt;/i&gt;" in body
    assert "<i>" not in body


def test_an_app_that_ends_tells_about_when(client: Client, clock: time_machine.Traveller) -> None:
    feed("expiring", [EXPIRING], coverage={"endWithin7Days": 41})
    words = panel(client, "feeds")
    assert "in about 2 h block 2,997,155" in words
    assert "41 apps end within 7 days; the next 1 are listed." in words
    clock.shift(timedelta(hours=3))
    assert "ending now" in panel(client, "feeds")


@pytest.mark.parametrize(
    ("items", "unknown", "said"), [([EXPIRING], 1, "1 more app is"), ([], 1_204, "1,204 more apps is")]
)
def test_ends_that_are_not_known_are_told(client: Client, items: list[Any], unknown: int, said: str) -> None:
    feed("expiring", items, coverage={"endWithin7Days": 0, "endsUnknown": unknown})
    words = panel(client, "feeds")
    assert f"The end of {said} not known." in words
    assert ("No app is known to end soon." in words) is (not items)


def test_a_feed_that_was_never_read_says_so(client: Client) -> None:
    assert panel(client, "feeds").count("No data yet (updated hourly).") == 3


def test_a_feed_with_nothing_in_it_says_what_that_means(client: Client) -> None:
    feed("deployed", [])
    assert "No app was deployed or changed in the last 24 hours." in panel(client, "feeds")


def test_a_feed_that_failed_keeps_its_items_and_says_so(client: Client) -> None:
    feed("network", [IMAGE], NOW - timedelta(hours=5), tried_at=NOW, error="Stats: HTTP 503")
    words = panel(client, "feeds")
    assert "WordPress 1,763 instances updated 5 h ago The source could not be read at 18 Nov, 14:05 UTC." in words


def test_a_feed_that_is_old_says_since_when(client: Client) -> None:
    feed("network", [IMAGE], NOW - timedelta(hours=3))
    assert "Not read since 18 Nov, 11:05 UTC." in panel(client, "feeds")


@pytest.mark.parametrize(("query", "chosen"), [("", "network"), ("?feed=expiring", "expiring"), ("?feed=x", "network")])
def test_the_chosen_feed_stands_in_the_address(client: Client, query: str, chosen: str) -> None:
    body = html(client, f"/panels/feeds/{query}")
    assert re.findall(r'value="(\w+)"\s+checked', body) == [chosen]


def test_one_query_is_enough(client: Client, django_assert_num_queries) -> None:
    feed("network", [IMAGE] * 17)
    with django_assert_num_queries(2):  # what it is made of, and the lists
        client.get("/panels/feeds/")
