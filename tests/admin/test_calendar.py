from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ops.models import TaskRun
from revenue.models import DailyPrice
from snapshots import admin
from snapshots.models import ImageDay, Refusal
from tests.admin.test_overview import staff, words
from tests.dashboard.rows import NOW, PRICE, pay, snapshot, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plain_static_files")]

PAGE = "/admin/snapshots/snapshot/calendar/"
TODAY = NOW.date()


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def states(year: int = 2026) -> dict[date, str]:
    found = admin.load_year(year, datetime(2026, 11, 18, 14, 5, tzinfo=UTC))
    return {day.day: day.state for _, weeks in found.months for week in weeks for day in week if day}


def test_every_day_of_the_year_is_there_once_and_tells_what_made_it() -> None:
    for days, source in ((0, "taken"), (1, "backfilled"), (2, "import"), (3, "simulated"), (5, "taken")):
        snapshot(ago(days), source)
    found = states()
    assert len(found) == 365
    assert [found[ago(n)] for n in range(7)] == [
        "taken", "backfilled", "import", "simulated", "missing", "taken", "before",
    ]  # fmt: skip
    assert found[TODAY + timedelta(days=1)] == "ahead"
    assert found[date(2026, 1, 1)] == "before"
    assert len(states(2024)) == 366


def test_today_is_not_missing_before_it_is_due(clock: Any) -> None:
    snapshot(ago(1))
    early = datetime(2026, 11, 18, 0, 20, tzinfo=UTC)
    months = admin.load_year(2026, early).months
    found = {day.day: day for _, weeks in months for week in weeks for day in week if day}
    assert found[TODAY].state == "due"
    assert states()[TODAY] == "missing"


def test_a_missing_day_tells_why_in_its_cell_and_in_the_list(olivia: Client) -> None:
    snapshot(TODAY)
    snapshot(ago(3))
    Refusal.objects.create(day=ago(1), reason="2 of 5 totals are known", attempts=47, last_at=NOW)
    page = " ".join(olivia.get(PAGE).content.decode().split())
    assert re.search(
        r'<a class="day missing" href="/admin/snapshots/snapshot/day/2026-11-17/" data-day="2026-11-17">17 .*'
        r'<span class="visually-hidden">missing: 2 of 5 totals are known</span>',
        page,
    )
    body = words(olivia.get(PAGE))
    assert "2026-11-16 no check ran on that day" in body
    assert "2026-11-17 2 of 5 totals are known" in body
    assert "2 missing" in body


def test_it_is_a_table_a_month_with_names_of_days_and_nothing_inline(olivia: Client) -> None:
    snapshot(TODAY)
    page = olivia.get(PAGE).content.decode()
    assert page.count('<table class="month">') == 12
    assert len(re.findall(r"<caption>\w+ 2026</caption>", page)) == 12
    assert page.count('<th scope="col"><abbr title="Monday">') == 12
    assert "style=" not in page
    assert 'aria-current="date"' in page


def test_one_goes_from_year_to_year_where_there_are_days(olivia: Client) -> None:
    snapshot(date(2025, 12, 31))
    snapshot(TODAY)
    page = olivia.get(PAGE, {"year": "2025"}).content.decode()
    assert '<a href="?year=2026" rel="next">' in page
    assert "?year=2024" not in page
    assert "?year=2025" in olivia.get(PAGE).content.decode()


@pytest.mark.parametrize("year", ["", "x", "0", "99999", "2031", "²026", "-1"])
def test_a_year_that_is_none_is_this_year(olivia: Client, year: str) -> None:
    assert "Snapshots of 2026" in words(olivia.get(PAGE, {"year": year}))


def test_without_any_snapshot_nothing_but_today_is_missing(olivia: Client) -> None:
    assert "1 missing" in words(olivia.get(PAGE))


@pytest.mark.engine
def test_a_year_of_days_is_as_many_queries_as_one(olivia: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert olivia.get(PAGE).status_code == 200
        return len(captured)

    snapshot(ago(300))
    few = queries()
    for n in range(299):
        snapshot(ago(n)) if n % 2 else Refusal.objects.create(day=ago(n), reason="x", last_at=NOW)
    assert queries() == few
    assert few <= 8


# The story of a day


def story(client: Client, day: date) -> str:
    return words(client.get(f"/admin/snapshots/snapshot/day/{day}/"))


def test_a_day_tells_which_run_made_it_and_what_is_not_known(olivia: Client) -> None:
    synced()
    pay(2_593_000_000)
    DailyPrice.objects.create(day=TODAY, price_usd=PRICE, source="coingecko")
    ImageDay.objects.create(day=TODAY, image="itzg/minecraft-server", category="gaming", count=9)
    snapshot(TODAY, total_ram_gb=None, used_ram_gb=None)
    run = TaskRun.objects.create(
        name="check_snapshot", trigger="schedule", started_at=NOW - timedelta(seconds=9), ok=True,
        finished_at=NOW + timedelta(seconds=1), report={"created": True},
    )  # fmt: skip
    body = story(olivia, TODAY)
    assert "snapshot Taken written 2026-11-18 14:05:00 UTC rests on readings from not known" in body
    assert "made by check_snapshot , started by schedule" in body
    assert "not known of the day flux_price_usd, total_ram_gb, used_ram_gb" in body
    assert "revenue, FLUX 25.93 USD for 1 FLUX $0.07440 images counted 1 image" in body
    assert (
        f"/admin/ops/taskrun/{run.pk}/change/" in olivia.get(f"/admin/snapshots/snapshot/day/{TODAY}/").content.decode()
    )


def test_a_missing_day_tells_why_and_what_was_tried(olivia: Client) -> None:
    snapshot(ago(9))
    Refusal.objects.create(day=ago(2), reason="the nodes were last read 3 h ago", attempts=47, last_at=NOW)
    at = datetime(2026, 11, 16, 0, 9, tzinfo=UTC)
    TaskRun.objects.create(name="check_snapshot", trigger="schedule", started_at=at, ok=False, error="too old")
    TaskRun.objects.create(name="check_snapshot", trigger="schedule", started_at=at, ok=True, report={"created": False})
    body = story(olivia, ago(2))
    assert "snapshot missing: the nodes were last read 3 h ago" in body
    assert "refused 47 times, the last at 2026-11-18 14:05:00 UTC" in body
    assert body.count("check_snapshot") == 1
    assert "revenue, FLUX — USD for 1 FLUX —" in body
    assert "Backfill missing days" in body


def test_an_imported_day_was_made_by_no_run(olivia: Client) -> None:
    snapshot(ago(1), "import")
    assert "from the tracker that was replaced" in story(olivia, ago(1))
    assert "made by no recorded run" in story(olivia, ago(1))


@pytest.mark.parametrize("text", ["2026-11-19", "2026-02-30", "today", "20261118"])
def test_there_is_no_page_for_what_is_no_day_of_the_past(olivia: Client, text: str) -> None:
    assert olivia.get(f"/admin/snapshots/snapshot/day/{text}/").status_code == 404


def test_both_pages_are_for_those_who_may_see_snapshots() -> None:
    snapshot(TODAY)
    pages = (PAGE, f"/admin/snapshots/snapshot/day/{TODAY}/")
    client = staff("view_payment")
    assert [client.get(page).status_code for page in pages] == [403, 403]
    User.objects.all().delete()
    client = staff("view_snapshot")
    assert [client.get(page).status_code for page in pages] == [200, 200]
    assert "Runs of that day" not in words(client.get(pages[1]))


def test_the_list_leads_to_the_calendar_and_to_each_days_story(olivia: Client) -> None:
    snapshot(TODAY)
    page = olivia.get("/admin/snapshots/snapshot/").content.decode()
    assert PAGE in page
    assert "/admin/snapshots/snapshot/day/2026-11-18/" in page
