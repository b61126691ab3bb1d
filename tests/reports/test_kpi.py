"""The report's figures from hand-made rows, with exact numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client

from fluxtracker.periods import Span
from revenue.models import DailyPrice
from tests.factories import pay, settle
from tests.reports import rows
from tests.reports.conftest import NOW, noon

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Kpi = Callable[..., dict[str, Any]]


def picked(figure: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(figure[key] for key in keys)


def test_by_default_it_is_the_last_completed_month_against_the_one_before(kpi: Kpi) -> None:
    found = kpi()
    assert found["period"] == "month"
    assert found["current"] == {"key": "2026-10", "title": "October 2026", "start": "2026-10-01", "end": "2026-10-31"}
    assert found["previous"]["key"] == "2026-09"


def test_fees_are_sums_with_their_change_in_percent(kpi: Kpi) -> None:
    rows.ledger()
    figures = kpi()["figures"]
    assert picked(figures["fees_flux"], "value", "previous", "difference", "change", "trend", "unit") == (
        450.0, 300.0, 150.0, 50.0, "up", "FLUX",
    )  # fmt: skip
    assert picked(figures["fees_usd"], "value", "previous", "change", "coverage") == (36.0, 30.0, 20.0, 100.0)
    assert picked(figures["payments"], "value", "previous", "change_unit") == (3, 3, "percent")


def test_the_price_is_the_mean_of_the_closes(kpi: Kpi) -> None:
    rows.ledger()
    DailyPrice.objects.filter(day="2026-10-31").update(price_usd=Decimal("0.39"))
    price = kpi()["figures"]["flux_price_usd"]
    assert picked(price, "value", "previous", "change") == (0.09, 0.1, -10.0)


def test_a_day_without_a_close_leaves_the_price_out_and_says_so(kpi: Kpi) -> None:
    rows.ledger()
    DailyPrice.objects.filter(day="2026-10-12").delete()
    found = kpi()
    price = found["figures"]["flux_price_usd"]
    reason = "no closing price is known on 1 of 31 days (12 Oct 2026)"
    assert picked(price, "value", "previous", "change", "coverage", "reason") == (None, 0.1, None, 96.77, reason)
    assert found["notes"]["flux_price_usd"] == f"n/a because {reason}"


def test_dollars_are_of_the_priced_payments_and_coverage_says_how_many(kpi: Kpi) -> None:
    rows.ledger()
    pay("50", at=noon(date(2026, 10, 20)), price_usd=None)
    settle(NOW)
    assert picked(kpi()["figures"]["fees_usd"], "value", "coverage") == (36.0, 75.0)


def test_fees_wait_until_the_ledger_has_every_day(kpi: Kpi) -> None:
    rows.ledger()
    settle(NOW, settled_at=noon(date(2026, 10, 31)))
    fees = kpi()["figures"]["fees_flux"]
    assert picked(fees, "value", "previous", "change", "coverage") == (None, 300.0, None, 96.77)
    assert fees["reason"] == "the ledger is not complete on 1 of 31 days (31 Oct 2026)"


def test_stocks_are_means_of_days_and_percentages_change_in_points(kpi: Kpi) -> None:
    rows.snapshots(rows.SEPTEMBER)
    rows.snapshots(Span(date(2026, 10, 1), date(2026, 10, 30)))
    rows.snapshots(Span(date(2026, 10, 31), date(2026, 10, 31)), node_total=91, used_cpu_cores=560.0)
    figures = kpi()["figures"]
    assert picked(figures["node_total"], "value", "previous", "how") == (61.0, 60.0, "mean")
    percent = figures["cpu_utilization_percent"]
    assert picked(percent, "value", "previous", "change", "change_unit") == (26.0, 25.0, 1.0, "points")


def test_a_day_without_a_snapshot_leaves_the_networks_figures_out(kpi: Kpi) -> None:
    rows.snapshots(rows.SEPTEMBER)
    rows.snapshots(rows.OCTOBER, without=(date(2026, 10, 2), date(2026, 10, 5)))
    nodes = kpi()["figures"]["node_total"]
    assert picked(nodes, "value", "previous", "change") == (None, 60.0, None)
    assert nodes["reason"] == "no snapshot has it on 2 of 31 days (2 Oct 2026, 5 Oct 2026)"


@pytest.mark.parametrize(
    ("period", "day", "key", "start", "end", "before"),
    [
        ("day", "2026-11-02", "2026-11-02", "2026-11-02", "2026-11-02", "2026-11-01"),
        ("week", "2026-01-01", "2026-W01", "2025-12-29", "2026-01-04", "2025-W52"),
        ("week", "2024-12-30", "2025-W01", "2024-12-30", "2025-01-05", "2024-W52"),
        ("week", "2021-01-03", "2020-W53", "2020-12-28", "2021-01-03", "2020-W52"),
        ("month", "2024-02-29", "2024-02", "2024-02-01", "2024-02-29", "2024-01"),
        ("quarter", "2026-02-01", "2026-Q1", "2026-01-01", "2026-03-31", "2025-Q4"),
        ("year", "2025-06-30", "2025", "2025-01-01", "2025-12-31", "2024"),
    ],
)
def test_a_day_chooses_the_calendar_period_that_contains_it(
    kpi: Kpi, period: str, day: str, key: str, start: str, end: str, before: str
) -> None:
    found = kpi(period=period, date=day)
    assert picked(found["current"], "key", "start", "end") == (key, start, end)
    assert found["previous"]["key"] == before


@pytest.mark.parametrize(
    ("period", "day", "last"),
    [
        ("day", "2026-11-03", "2026-11-02"),
        ("week", "2026-11-03", "2026-W44"),
        ("month", "2026-11-01", "2026-10"),
        ("quarter", "2026-11-03", "2026-Q3"),
        ("year", "2026-01-01", "2025"),
        ("month", "2030-01-01", "2026-10"),
    ],
)
def test_a_period_that_is_not_over_is_refused_with_the_last_completed_one(
    client: Client, period: str, day: str, last: str
) -> None:
    answer = client.get("/api/reports/kpi", {"period": period, "date": day})
    assert answer.status_code == 400
    assert answer.json()["lastCompleted"]["key"] == last
    assert last in answer.json()["error"]


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2200-01-01", "9999-12-31"])
def test_a_day_outside_the_calendar_is_refused(client: Client, period: str, day: str) -> None:
    answer = client.get("/api/reports/kpi", {"period": period, "date": day})
    assert answer.status_code == 400
    assert answer.json()["fields"] == {"date": "expected a day between 2000-01-01 and 2199-12-31"}


@pytest.mark.parametrize("query", ["period=hour", "date=2026-13-01", "date=yesterday", "from=2026-01-01"])
def test_a_wrong_query_is_refused(client: Client, query: str) -> None:
    answer = client.get(f"/api/reports/kpi?{query}")
    assert answer.status_code == 400
    assert "expected" in answer.json()["error"]


def test_the_report_changes_at_midnight_and_is_304_until_then(client: Client, clock: time_machine.Traveller) -> None:
    etag = client.get("/api/reports/kpi?period=day")["ETag"]
    assert client.get("/api/reports/kpi?period=day", headers={"if-none-match": etag}).status_code == 304
    clock.move_to(NOW + timedelta(days=1))
    assert client.get("/api/reports/kpi?period=day", headers={"if-none-match": etag}).status_code == 200
