"""The API in a browser: readable pages under the strict content policy."""

import re

import pytest

from tests.factories import pay, settle

PAGES = ["/api/", "/api/docs/", "/api/health", "/api/revenue/transactions", "/api/revenue/daily", "/api/analytics/apps"]
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EXECUTABLE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")", re.I)


@pytest.fixture
def ledger(db, plain_static_files):
    pay("25.93", app="presearch")
    settle()


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("page", PAGES)
def test_a_browser_gets_a_page_without_anything_in_line(client, page):
    response = client.get(page, headers=BROWSER)
    html = response.content.decode()
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/html")
    assert not EXECUTABLE.search(html)
    assert "<style" not in html
    assert not re.search(r"\s(style|on[a-z]+)=\"", html)
    assert not re.search(r"(src|href)=\"(https?:)?//(?!testserver)", html)
    assert "'unsafe" not in response["Content-Security-Policy"]


@pytest.mark.usefixtures("ledger")
def test_the_page_shows_the_answer(client):
    html = client.get("/api/revenue/transactions", headers=BROWSER).content.decode()
    assert "presearch" in html
    assert "25.93" in html


@pytest.mark.usefixtures("ledger")
def test_an_error_is_a_page_too(client):
    response = client.get("/api/revenue/transactions?page=0", headers=BROWSER)
    assert (response.status_code, b"expected a whole number" in response.content) == (400, True)


@pytest.mark.usefixtures("ledger")
def test_programs_get_json_whatever_they_accept(client):
    for accept in ("*/*", "application/json", ""):
        response = client.get("/api/revenue/weekly", headers={"accept": accept})
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.usefixtures("ledger")
def test_the_format_in_the_address_decides_before_the_header(client):
    for accept in ("application/json", "image/png"):
        page = client.get("/api/revenue/weekly?format=api", headers={"accept": accept})
        assert (page.status_code, page["Content-Type"].split(";")[0]) == (200, "text/html")
    assert client.get("/api/revenue/weekly?format=json", headers=BROWSER)["Content-Type"] == "application/json"


NEEDED = {  # what cannot be answered without being told more
    "analytics/comparison": {"period": "W"},
    "history/images": {"image": "itzg/minecraft-server"},
    "history/range": {"start": "2026-11-01", "end": "2026-11-20"},
    "history/readings": {"metric": "node_total"},
    "history/series": {"metrics": "node_total"},
}


@pytest.mark.usefixtures("ledger")
def test_the_index_links_to_everything_there_is(client):
    links = client.get("/api/").json()
    told = {label: client.get(link, NEEDED.get(label)).status_code for label, link in links.items()}
    assert set(told.values()) == {200}, told


@pytest.mark.django_db
@pytest.mark.parametrize(("label", "query"), NEEDED.items())
def test_a_link_that_needs_a_query_says_so(refused, label, query):
    assert next(iter(query)) in refused(label)
