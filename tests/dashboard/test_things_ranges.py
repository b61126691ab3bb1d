"""One range for the page of an app, an owner or a sender: sums, bars, payments, file and twin obey it."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from tests.dashboard.reading import html, words
from tests.dashboard.rows import FLUX, NOW, SENDER, pay, synced
from tests.dashboard.test_detail_pages import OWNER, life, message
from tests.factories import digest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

MONTHS = {7: 1, 9: 2, 10: 4, 11: 8}  # FLUX by month of 2026
ADDRESSES = ["/app/Wordpress1", f"/owner/{OWNER}", f"/payer/{SENDER}"]


@pytest.fixture(autouse=True)
def ledger() -> None:
    synced()
    life("Wordpress1")
    for month, amount in MONTHS.items():
        at = datetime(2026, month, 5, 12, tzinfo=UTC)
        row = pay(amount * FLUX, at=at, app="Wordpress1", kind="app", message_hash=digest("range", month))
        message(row, "Wordpress1")


def flux(page: str) -> str:
    found = re.search(r"<dt>FLUX</dt><dd><span[^>]*>([^<]*)", page)
    assert found
    return found[1]


def bars(page: str) -> list[str]:
    return re.findall(r"<title>(\w+ \d{4}):\s+([\d.]+) FLUX", page)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(("text", "sum_of"), [("", 15), ("last_month", 4), ("2026-09..2026-10", 6), ("this_year", 15),
                                              ("2026-10-06..", 8), ("2026-08", 0)])  # fmt: skip
def test_sums_payments_file_and_twin_obey_it(client: Client, address: str, text: str, sum_of: int):
    page = html(client, f"{address}?range={text}" if text else address)
    assert flux(page) == f"{sum_of}.00"
    amounts = re.findall(r'class="flux">([\d.]+)<', page)
    assert sum(map(float, amounts)) == sum_of
    file, twin = (re.search(rf'href="([^"]+)"[^>]*>{name}</a>', page) for name in ("CSV", "JSON"))
    assert file
    assert twin
    answer: Any = client.get(file[1].replace("&amp;", "&"))
    rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert sum(int(row["amount_sat"]) for row in rows) == sum_of * FLUX
    if text:
        found = client.get(twin[1].replace("&amp;", "&")).json()
        assert sum(row["amount_sat"] for row in found["transactions"]) == sum_of * FLUX


@pytest.mark.parametrize("address", ADDRESSES)
def test_bars_are_the_months_of_the_range(client: Client, address: str):
    page = html(client, f"{address}?range=2026-09..2026-10-20")
    assert bars(page) == [("Sep 2026", "2.00"), ("Oct 2026", "4.00")]
    assert "hatched: not the whole month" in words(page)
    assert "from=2026-10-01&amp;to=2026-10-20" in page


def test_a_relative_range_stays_relative_and_moves(client: Client, clock: Any):
    address = f"/payer/{SENDER}?range=last_month"
    first = client.get(address)
    clock.move_to(NOW.replace(month=12))
    assert flux(html(client, address)) == "8.00"
    assert client.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200
    assert f'value="http://testserver/payer/{SENDER}?range=last_month"' in html(client, address)


def test_another_spelling_keeps_the_range(client: Client):
    response = client.get("/app/wordpress1?range=2026-10")
    assert (response.status_code, response.headers["Location"]) == (301, "/app/Wordpress1?range=2026-10")


def test_a_wrong_range_says_what_is_allowed_and_shows_all_days(client: Client):
    page = html(client, "/app/Wordpress1?range=soon")
    assert flux(page) == "15.00"
    assert "Expected a range such as this_month" in words(page)
    assert "All days are shown." in words(page)
