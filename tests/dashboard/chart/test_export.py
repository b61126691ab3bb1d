"""`/export/chart.csv`: exactly the view, as numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from django.test import Client

from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW, TODAY, image, nodes, snapshot

pytestmark = pytest.mark.django_db

Rows = Callable[..., list[list[str]]]


@pytest.fixture
def rows(client: Client) -> Rows:
    """The lines of the file, its header first."""

    def ask(**query: str) -> list[list[str]]:
        response = client.get("/export/chart.csv", query)
        assert response.status_code == 200
        assert response.streaming
        return list(csv.reader(io.StringIO(b"".join(response).decode())))

    return ask


def test_each_metric_has_its_value_and_where_it_comes_from(rows: Rows) -> None:
    pay("12.34567891", at=NOW)
    settle(NOW)
    nodes(TODAY - DAY, [None, 6700], "simulated")
    assert rows(metrics="revenue_flux,node_total", days="2") == [
        ["start", "end", "revenue_flux", "revenue_flux note", "node_total", "node_total note"],
        ["2026-11-19", "2026-11-19", "0.0", "ledger", "", ""],
        ["2026-11-20", "2026-11-20", "12.34567891", "ledger, partial", "6700", "simulated"],
    ]


def test_the_days_before_stand_beside_them(rows: Rows) -> None:
    nodes(TODAY - 3 * DAY, [1, 2, 3, 4])
    assert rows(metrics="node_total", days="2", previous="1") == [
        ["start", "end", "node_total", "node_total note", "previous_start", "node_total previous"],
        ["2026-11-19", "2026-11-19", "3", "taken", "2026-11-17", "1"],
        ["2026-11-20", "2026-11-20", "4", "taken", "2026-11-18", "2"],
    ]


def test_weeks_name_their_ends(rows: Rows) -> None:
    nodes(TODAY, [4])
    assert rows(metrics="node_total", start="2026-11-12", end="2026-11-20", bucket="week")[1:] == [
        ["2026-11-12", "2026-11-15", "", ""],
        ["2026-11-16", "2026-11-20", "4", "taken"],
    ]


def test_it_holds_what_the_api_says_however_long(rows: Rows, client: Client) -> None:
    nodes(TODAY - 1_200 * DAY, list(range(1_201)))
    query = {"metrics": "node_total", "days": "1201"}
    api = client.get("/api/history/series", query).json()
    found = rows(**query)[1:]
    assert [row[0] for row in found] == api["dates"]
    assert [int(row[2]) for row in found] == api["series"][0]["points"]


def test_an_images_name_is_no_formula(rows: Rows) -> None:
    image(TODAY, "=cmd|'/c calc'!a1", 1)
    snapshot(TODAY)
    header = rows(metrics="image:=cmd|'/c calc'!a1", days="1")[0]
    assert not [cell for cell in header if cell.startswith(("=", "+", "-", "@"))]


def test_the_file_is_named_after_its_days(client: Client) -> None:
    response = client.get("/export/chart.csv?metrics=payments&days=3")
    b"".join(response)
    name = response.headers["Content-Disposition"]
    assert name == 'attachment; filename="fluxtracker-chart-2026-11-18-to-2026-11-20.csv"'


def test_a_wrong_view_is_refused_in_words(client: Client) -> None:
    response = client.get("/export/chart.csv?metrics=nothing")
    assert response.status_code == 400
    assert "unknown metrics: nothing" in response.json()["error"]


def test_head_tells_the_headers_and_makes_no_file(client: Client) -> None:
    response = client.head("/export/chart.csv?metrics=payments")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/csv")
