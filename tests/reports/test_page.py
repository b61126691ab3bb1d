"""The page of a report: what it shows, what it links to, and which addresses there are."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.reports import rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def shown(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def test_the_index_leads_to_the_last_completed_month(client: Client) -> None:
    answer = client.get("/reports/")
    assert (answer.status_code, answer["Location"]) == (302, "/reports/month/2026-10/")


def test_it_shows_value_before_and_change(client: Client) -> None:
    rows.ledger()
    page = shown(client, "/reports/month/2026-10/")
    assert "<h2>Report: October 2026</h2>" in page
    assert "450.00 FLUX" in page
    assert "300.00 FLUX" in page
    assert "▲ +50.00 %" in page


def test_each_reason_stands_once_under_its_table(client: Client) -> None:
    rows.ledger()
    page = shown(client, "/reports/month/2026-10/")
    reason = "n/a because no snapshot has it on 31 of 31 days (1 Oct 2026, 2 Oct 2026, 3 Oct 2026 and others)"
    assert page.count(reason) == 1
    assert '<td class="value">n/a<sup>1</sup></td>' in page


def test_it_links_to_its_neighbours_as_far_as_there_are_any(client: Client) -> None:
    rows.ledger()
    october, september = shown(client, "/reports/month/2026-10/"), shown(client, "/reports/month/2026-09/")
    assert 'href="/reports/month/2026-09/" rel="prev"' in october
    assert 'rel="next"' not in october
    assert 'href="/reports/month/2026-10/" rel="next"' in september
    assert 'rel="prev"' not in september


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("week/2026-W41", "week 41 of 2026"),
        ("week/2026-10-07", "week 41 of 2026"),
        ("day/2026-10-07", "7 Oct 2026"),
        ("quarter/2026-Q3", "quarter 3 of 2026"),
        ("year/2025", "2025"),
        ("week/2020-W53", "week 53 of 2020"),
    ],
)
def test_every_period_has_a_page(client: Client, path: str, title: str) -> None:
    assert f"<h2>Report: {title}</h2>" in shown(client, f"/reports/{path}/")


@pytest.mark.parametrize(
    "path",
    ["hour/2026-10", "month/2026-13", "month/2026-W41", "week/2026-W54", "week/2025-W53", "quarter/2026-Q5",
     "year/26", "year/0001", "day/2026-02-30", "month/x"],
)  # fmt: skip
def test_an_unknown_period_is_not_found(client: Client, path: str) -> None:
    assert client.get(f"/reports/{path}/").status_code == 404


def test_a_period_before_the_ledger_is_not_found(client: Client) -> None:
    rows.ledger()
    assert client.get("/reports/month/2026-08/").status_code == 404


@pytest.mark.parametrize("path", ["month/2026-11", "week/2026-W45", "year/2027"])
def test_a_period_that_is_not_over_links_to_the_last_completed_one(client: Client, path: str) -> None:
    answer = client.get(f"/reports/{path}/")
    assert answer.status_code == 400
    assert 'href="/reports/' in answer.content.decode()


def test_a_known_page_is_not_made_again(client: Client) -> None:
    etag = client.get("/reports/month/2026-10/")["ETag"]
    assert client.get("/reports/month/2026-10/", headers={"if-none-match": etag}).status_code == 304
