"""Payments that are not deep enough yet: apart from the list, with their confirmations, in no sum and no count."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from tests.dashboard import rows
from tests.dashboard.reading import html, panel, text
from tests.dashboard.rows import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


COUNTED = (
    "/panels/payments/",
    "/panels/tiles/",
    "/export/payments.csv",
    "/feeds/revenue.atom",
    "/api/revenue/transactions",
    "/api/revenue/daily",
    "/api/stats",
)


@pytest.fixture(autouse=True)
def ledger() -> None:
    rows.synced()
    rows.network()
    rows.many(12)


def test_they_stand_above_the_list_with_their_confirmations(client: Client):
    rows.pending(0, 3)
    found = panel(client, "pending")
    assert "Counted from 8 confirmations on ·" in found
    assert re.findall(r"(\d+) of 8 confirmations", found) == ["0", "3"]
    assert found.count("3.00000000 FLUX plain transfer") == 2
    page = html(client)
    assert 0 < page.index('id="panel-pending"') < page.index('id="panel-payments"')
    assert re.findall(r"(\d) of 8 confirmations", text(client, "/live")) == ["0", "3"]


@pytest.mark.parametrize("address", COUNTED)
def test_nothing_that_is_counted_changes(client: Client, address: str):
    def answer() -> bytes:
        response = client.get(address)
        return response.getvalue()

    before = answer()
    rows.pending(0, 3, 7)
    assert answer() == before


def test_none_unknown_and_old_are_three_things(client: Client):
    assert "Not read yet: the first sync comes before." in panel(client, "pending")
    rows.pending()
    assert "No payment waits for confirmations" in panel(client, "pending")
    rows.pending(3)
    with time_machine.travel(NOW + timedelta(minutes=6), tick=False):
        found = panel(client, "pending")
    assert "Could not be read since 6 min ago" in found
    assert "confirmations" not in found


def test_what_is_not_shown_is_said(client: Client):
    rows.pending(*range(8), *range(4), is_cut=True, unreadable=2)
    found = panel(client, "pending")
    assert found.count("of 8 confirmations") == 10
    assert "2 more (JSON)" in found
    assert "There are more than one reading lists." in found
    assert "2 transactions could not be read." in found


def test_the_strip_tells_an_open_page_of_each_reading(client: Client):
    def told() -> tuple[str, ...]:
        return tuple(re.findall(r'data-(?:version|pending)="([^"]*)"', html(client, "/panels/strip/")))

    rows.pending(0)
    version, pending = told()
    rows.pending(1, at=NOW + timedelta(minutes=1))
    assert told()[0] == version
    assert told()[1] != pending
