"""Files of the apps that end and of what messages did, and the same on the page."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from deployments.models import AppEvent, MessagesState
from fluxtracker.money import flux
from tests.dashboard.reading import panel
from tests.dashboard.rows import FLUX, NOW, pay, synced
from tests.dashboard.test_detail_pages import OWNER, event, life, message
from tests.factories import digest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

DAYS = {"today": 0.2, "Soon": 3, "=last": 30, "Later": 31.5}
KINDS = {"new": 4, "renewal": 12, "change": 0}


@pytest.fixture(autouse=True)
def ledger() -> None:
    synced()
    MessagesState.objects.update_or_create(id=1, defaults={"complete_at": NOW, "tip_height": 1})
    for name, days in DAYS.items():
        life(name, end_at=NOW + timedelta(days=days))
    life("gone", end_at=NOW - timedelta(hours=1))
    app = life("events", end_at=NOW + timedelta(days=90))
    for number, (kind, amount) in enumerate(KINDS.items()):
        row = pay(amount * FLUX, app="events", kind="app", message_hash=digest("kinds", number))
        message(row, "events")
        event(app, row, kind, number)


def file(client: Client, address: str) -> list[dict[str, str]]:
    response: Any = client.get(address)
    assert response.status_code == 200
    return list(csv.DictReader(response.getvalue().decode().splitlines()))


def test_the_apps_that_end_within_thirty_days_on_the_page_and_as_a_file(client: Client):
    found = file(client, "/export/ending.csv")
    assert [(row["app_name"], row["owner"]) for row in found] == [
        ("today", OWNER), ("Soon", OWNER), ("'=last", OWNER)
    ]  # fmt: skip
    assert found[1]["end"] == "2026-11-21T14:05:00Z"
    shown = panel(client, "paid")
    assert "Apps due for renewal in 30 days 3" in shown
    assert "today 18 Nov Soon 21 Nov =last 18 Dec All as CSV" in shown


@pytest.mark.parametrize(("days", "count"), [(1, 1), (31, 3), (32, 4), (366, 5)])
def test_the_file_takes_any_number_of_days(client: Client, days: int, count: int):
    assert len(file(client, f"/export/ending.csv?days={days}")) == count


@pytest.mark.parametrize("days", ["0", "-1", "soon", "3661"])
def test_a_wrong_number_of_days_is_refused(client: Client, days: str):
    assert client.get(f"/export/ending.csv?days={days}").status_code == 400


def test_the_share_of_renewals_on_the_page_equals_the_api_and_the_file(client: Client):
    shown = panel(client, "origins", "?range=2026-11")
    assert "New or renewed Renewal 12.00" in shown
    assert "75 % · 1 message" in shown.replace("75.0", "75")
    (row,) = file(client, "/export/kinds.csv?range=2026-11")
    (told,) = client.get("/api/economics/kinds?range=2026-11&by=month").json()["data"]
    assert {kind: (int(row[f"{kind}_count"]), flux(int(row[f"{kind}_sat"]))) for kind in KINDS} == {
        kind: (told[kind]["count"], told[kind]["flux"]) for kind in KINDS
    }
    assert (row["start"], row["end"], row["renewal_count"], row["renewal_sat"]) == (
        "2026-11-01", "2026-11-18", "1", str(12 * FLUX)
    )  # fmt: skip


def test_losses_that_are_not_decided_yet_are_empty_cells(client: Client):
    (row,) = file(client, "/export/kinds.csv?range=2026-11-18&bucket=day")
    assert (row["renewal_count"], row["new_count"] != "") == ("1", True)
    assert (row["lost_count"], row["lost_sat"], row["lost_usd"]) == ("", "", "")


def test_before_the_messages_are_read_nothing_is_claimed(client: Client):
    MessagesState.objects.all().delete()
    AppEvent.objects.all().delete()
    (row,) = file(client, "/export/kinds.csv?range=2026-11")
    assert (row["renewal_count"], row["renewal_sat"]) == ("", "")
    assert "New or renewed" not in panel(client, "origins", "?range=2026-11")
    assert "Apps that end" not in panel(client, "paid")
