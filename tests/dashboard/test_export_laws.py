"""What a file holds is what the pages hold, whatever is asked for."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils.http import urlencode
from hypothesis import HealthCheck, given, settings

from dashboard.panels.payments.filters import parse
from fluxtracker import money
from revenue.payments import filters, pagination
from tests.dashboard.payments_rows import ledger, questions
from tests.marks import examples, law

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]


def ndjson(client: Client, **query: Any) -> list[dict[str, Any]]:
    response = client.get("/export/payments.ndjson", query)
    assert response.status_code == 200, response.content
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


def cells(client: Client, path: str = "/export/payments.csv", **query: Any) -> list[dict[str, str]]:
    response = client.get(path, query)
    assert response.status_code == 200, response.content
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def api_rows(client: Client, **query: Any) -> list[dict[str, Any]]:
    """Every page of the endpoint, one after the other."""
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = client.get("/api/revenue/transactions", query | {"page": page, "limit": 17}).json()
        rows += answer["transactions"]
        if page >= answer["totalPages"]:
            assert len(rows) == answer["total"]
            return rows
        page += 1


@pytest.fixture(params=[0, 5_000], ids=["walked", "gathered"])
def gather(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which all rows are read."""
    monkeypatch.setattr(pagination, "GATHER", request.param)
    monkeypatch.setattr(pagination, "BATCH", 13)


@law
def test_the_lines_are_the_rows_of_all_pages(client: Client, gather: None) -> None:
    ledger()

    @settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(questions())
    def check(query: dict[str, Any]) -> None:
        assert ndjson(client, **query) == api_rows(client, **query)

    check()


def test_the_cells_say_the_same_exactly(client: Client) -> None:
    ledger()
    rows = api_rows(client)
    assert rows
    for cell, row in zip(cells(client), rows, strict=True):
        assert Decimal(cell["amount"]) * money.SAT == int(cell["amount_sat"]) == row["amount_sat"]
        assert len(cell["amount"].partition(".")[2]) == 8
        assert (float(cell["amount_usd"]) if cell["amount_usd"] else None) == row["amount_usd"]
        assert (float(cell["price_usd"]) if cell["price_usd"] else None) == row["price_usd"]
        assert cell["app_name"].removeprefix("'") == (row["app_name"] or "")
        for key in ("txid", "address", "app_type", "kind", "date", "source"):
            assert cell[key] == row[key]
        for key in ("vout", "block_height", "timestamp", "confirmations"):
            assert int(cell[key]) == row[key]
        for key in ("from_address", "message_hash", "block_hash"):
            assert cell[key] == (row[key] or "")
        assert cell["time"].startswith(row["date"])
        assert cell["time"].endswith("Z")


def test_the_apps_are_those_of_the_endpoint(client: Client) -> None:
    ledger()
    for sort in ("-flux", "app", "usd", "-usd", "payments", "-first", "last"):
        names = [app["app_name"] for app in client.get("/api/analytics/apps", {"sort": sort}).json()["apps"]]
        assert [row["app_name"].removeprefix("'") for row in cells(client, "/export/apps.csv", sort=sort)] == names
    found = cells(client, "/export/apps.csv", search="CRAFT")
    assert [row["app_name"] for row in found] == ["minecraft1510"]
    mine = [row for row in api_rows(client) if row["app_name"] == "minecraft1510"]
    assert int(found[0]["payments"]) == len(mine)
    assert int(found[0]["revenue_sat"]) == sum(row["amount_sat"] for row in mine)
    assert int(found[0]["payments_without_price"]) == sum(row["amount_usd"] is None for row in mine)
    assert float(found[0]["revenue_usd"]) == pytest.approx(sum(row["amount_usd"] or 0 for row in mine))
    assert found[0]["first_payment"].startswith(min(row["date"] for row in mine))
    assert found[0]["last_payment"].startswith(max(row["date"] for row in mine))


@law
@pytest.mark.parametrize("most", [1, 7, 1_000])
def test_a_bounded_count_is_the_count_up_to_its_bound(most: int) -> None:
    ledger()

    @settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(questions())
    def check(query: dict[str, Any]) -> None:
        selection = filters.select(parse(QueryDict(urlencode(query))).values)
        assert selection.count_up_to(most) == min(selection.count(), most)

    check()
