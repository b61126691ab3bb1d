"""Badges, feeds and what crawlers ask for, as their readers get them."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.test import Client

from ops.models import Alert
from tests.dashboard.rows import FLUX, NOW, pay, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]

ATOM = "{http://www.w3.org/2005/Atom}"
DAY = timedelta(days=1)
EVERY = ("/badge/revenue-week.svg", "/badge/revenue-week.json", "/feeds/revenue.atom", "/feeds/alerts.atom",
         "/feeds/app/shop.atom", "/sitemap.xml", "/robots.txt", "/manifest.webmanifest")  # fmt: skip


def entries(client: Client, address: str) -> list[str]:
    root = ElementTree.fromstring(client.get(address).content)
    return [entry.findtext(f"{ATOM}title", "") for entry in root.iter(f"{ATOM}entry")]


@pytest.mark.parametrize(
    ("period", "message"), [("today", "3.00 FLUX"), ("week", "8.00 FLUX"), ("month", "15.00 FLUX")]
)
def test_a_badge_says_what_came_in(client: Client, period: str, message: str) -> None:
    synced()
    for amount, days in ((3, 0), (5, 2), (7, 10), (9, 20)):
        pay(amount * FLUX, at=NOW - DAY * days)
    found = client.get(f"/badge/revenue-{period}.json").json()
    assert (found["schemaVersion"], found["message"]) == (1, message)
    svg = ElementTree.fromstring(client.get(f"/badge/revenue-{period}.svg").content)
    assert svg.get("aria-label", "").endswith(f": {message}")


def test_a_badge_without_a_sync_is_unknown_and_of_another_period_there_is_none(client: Client) -> None:
    assert client.get("/badge/revenue-week.json").json()["message"] == "unknown"
    assert client.get("/badge/revenue-century.svg").status_code == 404
    assert client.get("/badge/revenue-week.png").status_code == 404


def test_the_revenue_feed_has_complete_days_only(client: Client) -> None:
    synced()
    pay(2 * FLUX, at=NOW)
    pay(5 * FLUX, at=NOW - DAY)
    found = entries(client, "/feeds/revenue.atom")
    assert found[0] == "17 Nov 2026: 5.00 FLUX, 1 payment"
    assert not any("18 Nov 2026" in title for title in found)


def test_the_feed_of_an_app_has_its_payments_and_other_names_none(client: Client) -> None:
    synced()
    pay(2 * FLUX, at=NOW - DAY, app="shop")
    pay(3 * FLUX, at=NOW, app="shop")
    pay(4 * FLUX, at=NOW, app="other")
    assert entries(client, "/feeds/app/shop.atom") == [
        "3.00 FLUX on 18 Nov, 14:05 UTC",
        "2.00 FLUX on 17 Nov, 14:05 UTC",
    ]
    assert client.get("/feeds/app/nobody.atom").status_code == 404


def test_the_alerts_feed_names_no_host(client: Client) -> None:
    Alert.objects.create(
        key="source:nodes", message="10.0.0.9: HTTP 502", raised_at=NOW - DAY, seen_at=NOW, closed_at=NOW
    )
    assert entries(client, "/feeds/alerts.atom") == ["Node counts could not be read (over after 1 day)"]
    assert "10.0.0.9" not in client.get("/feeds/alerts.atom").text


@pytest.mark.parametrize("address", EVERY)
def test_each_has_an_etag_and_no_cookie(client: Client, address: str) -> None:
    synced()
    pay(FLUX, app="shop")
    first = client.get(address)
    assert first.status_code == 200
    assert not first.cookies
    assert "Cookie" not in first.get("Vary", "")
    assert client.get(address, headers={"if-none-match": first["ETag"]}).status_code == 304


def test_the_sitemap_and_robots_lead_to_pages(client: Client) -> None:
    pay(FLUX, app="shop")
    urls = [found.text for found in ElementTree.fromstring(client.get("/sitemap.xml").content).iter() if found.text]
    assert "http://testserver/app/shop" in urls
    assert client.get("/robots.txt").text.splitlines()[-1] == "Sitemap: http://testserver/sitemap.xml"


def test_a_demo_is_not_for_crawlers(client: Client, settings) -> None:
    settings.DEMO = True
    assert "Disallow: /\n" in client.get("/robots.txt").text
    assert client.get("/badge/revenue-week.json").json()["label"].startswith("demo: ")
