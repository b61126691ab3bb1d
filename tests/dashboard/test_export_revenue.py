"""GET /export/revenue.csv: whole or in parts, exact to the satoshi."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from deployments.models import MessagesState
from deployments.splits import daily
from revenue.models import ChangedDay
from tests.dashboard.reading import panel
from tests.dashboard.rows import FLUX, NOW, pay, synced
from tests.dashboard.test_detail_pages import OWNER, message, split_all
from tests.dashboard.test_export_laws import cells
from tests.factories import digest

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]

PATH = "/export/revenue.csv"
SUMMED = ("revenue_sat", "payments", "payments_without_price")


@pytest.fixture
def ledger() -> None:
    """An app with an owner and plain payments, of every month of a year and a half; one has no price."""
    synced()
    for back in range(0, 540, 27):
        row = pay(7 * FLUX + back, at=NOW - timedelta(days=back), app="Web1", message_hash=digest("w", back))
        message(row, "Web1")
        pay(FLUX // 3, at=NOW - timedelta(days=back, hours=1), priced=back != 27)


def added(rows: list[dict[str, str]]) -> dict[tuple[str, str], tuple[int, ...]]:
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for row in rows:
        key = row["start"], row["end"]
        part = tuple(int(row[name]) for name in SUMMED)
        found[key] = tuple(map(sum, zip(found.get(key, (0, 0, 0)), part, strict=True)))
    return found


@pytest.mark.parametrize("state", ["split", "few wait", "many wait"])
def test_the_parts_of_each_bucket_add_up_to_its_row(
    client: Client, ledger: None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state != "few wait":
        split_all()
    if state == "many wait":
        monkeypatch.setattr(daily, "MOST_PENDING", 0)
        ChangedDay.objects.create(day=NOW.date())
    for query in (
        {"bucket": "month"},
        {"bucket": "quarter", "range": "last_year"},
        {"bucket": "day", "range": "2026-11"},
    ):
        whole = {key: sums for key, sums in added(cells(client, PATH, **query)).items() if any(sums)}
        assert whole
        for by in daily.REST:
            assert added(cells(client, PATH, by=by, **query)) == whole, (by, query)


@pytest.mark.parametrize("kind", ["app", "owner"])
def test_sums_say_what_was_paid_on_days_that_wait_to_be_split(
    client: Client, ledger: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    split_all()
    MessagesState.objects.get_or_create(id=1)
    path, tab = f"/export/{kind}s.csv", f"?tab={kind}s&range=2026-11"
    whole = cells(client, path, range="2026-11")
    etag = client.get(path, {"range": "2026-11"})["ETag"]
    assert "days have changed" not in panel(client, "payments", tab)
    known = client.get(f"/panels/payments/{tab}")["ETag"]
    monkeypatch.setattr(daily, "MOST_PENDING", 0)
    ChangedDay.objects.create(day=NOW.date())
    MessagesState.objects.update(version=F("version") + 1)
    *rest, waiting = cells(client, path, range="2026-11")
    today = cells(client, "/export/revenue.csv", range="today", bucket="day")[0]
    assert (waiting[f"{kind}_name" if kind == "app" else kind], waiting["first_payment"]) == (
        "(not split yet)", "2026-11-18",
    )  # fmt: skip
    assert (waiting["payments"], waiting["revenue_sat"]) == (today["payments"], today["revenue_sat"])
    assert len(rest) < len(whole)
    assert "Many days have changed; they are split with the next update." in panel(client, "payments", tab)
    assert client.get(f"/panels/payments/{tab}")["ETag"] != known
    assert client.get(path, {"range": "2026-11"})["ETag"] != etag


def test_a_row_has_exact_amounts_and_says_whether_it_is_complete(client: Client, ledger: None) -> None:
    october, november = cells(client, PATH, range="2026-10..2026-11")
    assert (october["start"], october["end"], october["complete"]) == ("2026-10-01", "2026-10-31", "true")
    assert (november["start"], november["end"], november["complete"]) == ("2026-11-01", "2026-11-18", "false")
    assert (october["revenue"], october["revenue_sat"]) == ("7.33333360", "733333360")
    assert (october["payments"], october["payments_without_price"]) == ("2", "1")
    assert len(cells(client, PATH)) == 18
    (mine,) = cells(client, PATH, by="app", key="web1", range="2026-10")
    assert (mine["app"], mine["revenue_sat"], mine["payments"]) == ("Web1", "700000027", "1")
    assert {row["owner"] for row in cells(client, PATH, by="owner")} == {OWNER, ""}
    response = client.get(PATH, {"by": "app", "range": "last_month"})
    assert 'filename="fluxtracker-revenue-2026-10-01-to-2026-10-31.csv"' in response["Content-Disposition"]


def test_a_month_without_payments_has_a_row(client: Client, ledger: None) -> None:
    first, *_ = cells(client, PATH, range="2024-12..2026-11")
    assert [first[key] for key in ("start", "revenue_sat", "payments")] == ["2024-12-01", "0", "0"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "colour"}, "by"),
        ({"bucket": "hour"}, "bucket"),
        ({"range": "October"}, "range"),
        ({"key": "web1"}, "key"),
        ({"days": "7"}, "days"),
    ],
)
def test_a_wrong_query_is_refused_with_what_is_allowed(client: Client, query: dict[str, Any], field: str) -> None:
    response = client.get(PATH, query)
    assert (response.status_code, list(response.json()["fields"])) == (400, [field])
