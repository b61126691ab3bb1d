"""The range of an address, and that the API reads it everywhere alike."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.test import Client

from fluxtracker.ranges import WrongRange, read_range
from tests.dashboard.rows import FLUX, NOW, pay, synced

TODAY = date(2026, 11, 18)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "first", "last", "name"),
    [
        ("today", "2026-11-18", "2026-11-18", "today"),
        ("yesterday", "2026-11-17", "2026-11-17", "yesterday"),
        ("this_week", "2026-11-16", "2026-11-18", "this week"),
        ("last_week", "2026-11-09", "2026-11-15", "last week"),
        ("This_Month", "2026-11-01", "2026-11-18", "this month"),
        ("last_quarter", "2026-07-01", "2026-09-30", "last quarter"),
        ("last_year", "2025-01-01", "2025-12-31", "last year"),
        ("last_7d", "2026-11-12", "2026-11-18", "last 7 days"),
        ("last_1d", "2026-11-18", "2026-11-18", "today"),
        ("last_2w", "2026-11-09", "2026-11-18", "last 2 weeks"),
        ("last_24m", "2024-12-01", "2026-11-18", "last 24 months"),
        ("last_1q", "2026-10-01", "2026-11-18", "this quarter"),
        ("2026-10", "2026-10-01", "2026-10-31", ""),
        ("2026-11", "2026-11-01", "2026-11-18", ""),
        ("2026-w45", "2026-11-02", "2026-11-08", ""),
        ("2026-Q3", "2026-07-01", "2026-09-30", ""),
        ("2024", "2024-01-01", "2024-12-31", ""),
        ("2026-02-28", "2026-02-28", "2026-02-28", ""),
        ("2025-01..2026-10", "2025-01-01", "2026-10-31", ""),
        ("2026-10-30..2026-W46", "2026-10-30", "2026-11-15", ""),
        ("2026-11-05..2027", "2026-11-05", "2026-11-18", ""),
        ("2025-01..", "2025-01-01", "2026-11-18", ""),
    ],
)
def test_a_range_names_days(text: str, first: str, last: str, name: str) -> None:
    found = read_range(text, TODAY)
    assert (str(found.first), str(found.last), found.name) == (first, last, name)
    assert found.goes_on == (found.last == TODAY)
    assert read_range(found.text, TODAY) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "..", "..2026-10", "month", "this_day", "last_0d", "last_07d", "last_7", "last_9999d", "last_9999m",
        "2026-13", "2026-02-30", "2026-W54", "2026-10...2026-11", "2026-10..x", "2026-11..2026-10", "2026-12", "1999",
        "2010..2026", "9999", "0000", "2026-10..2026-11..2026-12", "²026", "last_7d..2026-10",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(WrongRange, match="range"):
        read_range(text, TODAY)


TWINS = {  # an address that lists days or payments: its key for the rows, the rows of October and of 18 November
    "/api/revenue/transactions": ("transactions", 2, 1),
    "/api/analytics/apps": ("apps", 1, 1),
    "/api/revenue/daily": ("data", 31, 1),
    "/api/history/series?metrics=payments": ("points", 31, 1),
    "/api/revenue/sources": ("data", 31, 1),
    "/api/revenue/categories": ("data", 31, 1),
    "/api/economics/kinds": ("data", 31, 1),
    "/api/economics/accrual": ("data", 31, 1),
}


@pytest.mark.django_db
def test_the_api_reads_it_everywhere_alike(client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        synced()
        for at in (NOW, NOW - timedelta(days=20), NOW - timedelta(days=40)):
            pay(FLUX, at=at, app="wordpress1")
        for address, (key, month, today) in TWINS.items():
            path, _, query = address.partition("?")
            ask = dict(part.split("=") for part in filter(None, [query]))
            for text, count in (("2026-10", month), ("last_1d", today), ("2026-10-01..2026-10-31", month)):
                answer = client.get(path, ask | {"range": text})
                assert answer.status_code == 200, (path, answer.content)
                rows = answer.json().get(key) or answer.json()["series"][0][key]
                assert len(rows) == count, (path, text)
            wrong = client.get(path, ask | {"range": "October"})
            assert (wrong.status_code, wrong.json()["fields"]["range"][:16]) == (400, "expected a range"), path
            days = {"start": "2026-10-01", "from": "2026-10-01", "days": "7"}
            known = client.get(path, ask | {"wrong": ""}).json()["fields"]["wrong"]
            first = next(name for name in days if name in known.replace(",", " ").split())
            both = client.get(path, ask | {"range": "2026-10", first: days[first]})
            assert (both.status_code, first in both.json()["fields"]["range"]) == (400, True), path
