"""GET /api/history/...: days as they were, what they earned, and which are missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.models import TrackedApp
from snapshots.models import Refusal, Snapshot
from tests.factories import pay, settle
from tests.snapshots.network import DAY, NODES, at, backfilled, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

LISTS = ["history/snapshots", "history/snapshots/full"]


@pytest.fixture(autouse=True)
def noon(clock):
    clock.move_to(at("12:00"))


def days_ago(n):
    return DAY - timedelta(days=n)


def dates(answer):
    return [row["date"] for row in answer["data"]]


def named(*days):
    return [str(days_ago(n)) for n in days]


@pytest.fixture
def week():
    """Today and the six days before, but for the day before yesterday and the one before that."""
    for n in (0, 1, 4, 5, 6):
        snapshot(days_ago(n))


def test_days_come_newest_first(get, week):
    for path in LISTS:
        answer = get(path)
        assert dates(answer) == named(0, 1, 4, 5, 6)
        assert answer["count"] == 5


def test_thirty_days_unless_asked_otherwise(get):
    for n in range(35):
        snapshot(days_ago(n))
    assert get("history/snapshots")["count"] == 30
    assert get("history/snapshots", limit=34)["count"] == 34
    assert get("history/snapshots", limit=99_999)["count"] == 35


def test_a_range_is_not_cut_without_being_asked_to(get):
    for n in range(35):
        snapshot(days_ago(n))
    assert get("history/snapshots", start_date=days_ago(33), end_date=days_ago(1))["count"] == 33
    assert get("history/snapshots", start_date=days_ago(33))["count"] == 34
    assert dates(get("history/snapshots", start_date=days_ago(33), limit=2)) == named(0, 1)
    assert dates(get("history/snapshots", end_date=days_ago(3), limit=2)) == named(3, 4)


@pytest.mark.engine
def test_a_row_says_what_the_network_was(get):
    settle(completed_at=at("11:59"))
    snapshot(DAY)
    (row,) = get("history/snapshots")["data"]
    gaming, crypto = row.pop("gaming"), row.pop("crypto")
    assert row == {
        "date": "2026-11-20",
        "revenue": 0.0, "revenueUsd": 0.0, "usdMissing": 0, "payments": 0, "complete": False,
        "price": 0.07,
        "nodes": {"total": 6724, "cumulus": 3378, "nimbus": 1582, "stratus": 1764},
        "apps": {
            "total": 13000, "gaming": 700, "crypto": 2900, "gitapps": 400, "dockerapps": 12600,
            "gitapps_percent": 3.08, "dockerapps_percent": 96.92, "watchtower": 0, "wordpress": 45,
        },
        "cloud": {
            "cpu": {"total": 54451.0, "used": 14612.5, "utilization": 26.84},
            "ram": {"total": 182000.5, "used": 29000.25, "utilization": 15.93},
            "storage": {"total": 3190000.0, "used": 386000.0, "utilization": 12.1},
        },
        "wordpress": {"count": 45},
        "source": "taken",
        "readAt": "2026-11-20T00:07:00Z",
    }  # fmt: skip
    assert (gaming["total"], gaming["palworld"], gaming["minecraft"]) == (700, 61, None)
    assert (crypto["total"], crypto["presearch"], crypto["kaspa"]) == (2900, 1200, None)


def test_a_backfilled_day_has_null_where_nobody_measured(get):
    backfilled(DAY)
    (row,) = get("history/snapshots")["data"]
    unknown = [row["price"], row["readAt"], *row["nodes"].values(), *row["apps"].values(), row["wordpress"]["count"]]
    unknown += [value for use in row["cloud"].values() for value in use.values()]
    unknown += [*row["gaming"].values(), *row["crypto"].values()]
    assert set(unknown) == {None}
    assert row["source"] == "backfilled"


@pytest.mark.engine
def test_revenue_is_always_the_ledgers_total_of_the_day(get):
    snapshot(days_ago(1))
    pay("25.93", at=at("12:00", days_ago(1)))
    settle(completed_at=at("11:00"))
    path = f"history/snapshot/{days_ago(1)}"
    assert get(path)["daily_revenue"] == 25.93
    pay("1", at=at("13:00", days_ago(1)), price_usd=None)
    settle(completed_at=at("11:00"))
    row = get(path)
    assert (row["daily_revenue"], row["payments"], row["usdMissing"], row["complete"]) == (26.93, 2, 1, True)
    assert row["daily_revenue_usd"] == 1.94475
    listed = get("history/range", start=days_ago(1), end=days_ago(1))["data"][0]
    assert (listed["revenue"], listed["revenueUsd"], listed["payments"]) == (26.93, 1.94475, 2)


@pytest.mark.engine
def test_what_the_ledger_does_not_know_is_null(get):
    snapshot(DAY)
    snapshot(days_ago(1))
    settle(completed_at=at("23:00", days_ago(1)))
    today, yesterday = get("history/snapshots")["data"]
    assert (today["revenue"], today["payments"], today["revenueUsd"]) == (None, None, None)
    assert (yesterday["revenue"], yesterday["payments"], yesterday["complete"]) == (0, 0, False)


COLUMNS = {  # of `daily_snapshots`, original.md
    "snapshot_date", "timestamp", "daily_revenue", "flux_price_usd", "total_cpu_cores", "used_cpu_cores",
    "cpu_utilization_percent", "total_ram_gb", "used_ram_gb", "ram_utilization_percent", "total_storage_gb",
    "used_storage_gb", "storage_utilization_percent", "total_apps", "watchtower_count", "gitapps_count",
    "dockerapps_count", "gitapps_percent", "dockerapps_percent", "gaming_apps_total", "gaming_palworld",
    "gaming_enshrouded", "gaming_minecraft", "gaming_valheim", "gaming_satisfactory", "crypto_presearch",
    "crypto_streamr", "crypto_ravencoin", "crypto_kadena", "crypto_alephium", "crypto_bittensor",
    "crypto_timpi_collector", "crypto_timpi_geocore", "crypto_kaspa", "crypto_nodes_total", "wordpress_count",
    "node_cumulus", "node_nimbus", "node_stratus", "node_total", "sync_status", "created_at", "id",
}  # fmt: skip


def test_the_flat_row_has_every_column_of_the_tracker_replaced(get):
    settle(completed_at=at("11:59"))
    snapshot(DAY)
    (row,) = get("history/snapshots/full")["data"]
    assert set(row) >= COLUMNS
    assert row["timestamp"] == row["created_at"] == int(at("00:07").timestamp())
    shown = [row[key] for key in ("snapshot_date", "date", "source", "sync_status", "cpu_utilization_percent")]
    assert shown == ["2026-11-20", "2026-11-20", "taken", "completed", 26.84]
    assert (row["node_total"], row["gaming_palworld"], row["gaming_valheim"]) == (6724, 61, None)


def test_a_row_without_a_total_is_partial(get):
    snapshot(DAY, **dict.fromkeys(NODES))
    row = get(f"history/snapshot/{DAY}")
    assert (row["sync_status"], row["node_total"], row["total_apps"]) == ("partial", None, 13000)


def test_a_game_added_by_an_operator_is_there_at_once_and_null_in_older_days(get):
    snapshot(DAY, counts={"gaming_newgame": 5})
    snapshot(days_ago(1))
    TrackedApp.objects.create(name="New Game", key="newgame", category="gaming", image_patterns=["new/game"])
    assert [row["gaming"]["newgame"] for row in get("history/snapshots")["data"]] == [5, None]
    assert [row["gaming_newgame"] for row in get("history/snapshots/full")["data"]] == [5, None]


def test_what_is_not_tracked_any_more_keeps_its_history(get):
    snapshot(DAY, counts={"gaming_oldgame": 3})
    snapshot(days_ago(1), counts={})
    assert [row["gaming"].get("oldgame") for row in get("history/snapshots")["data"]] == [3, None]
    assert get(f"history/snapshot/{DAY}")["gaming_oldgame"] == 3


@pytest.mark.engine
def test_a_range_is_oldest_first_and_includes_both_ends(get, week):
    answer = get("history/range", start=days_ago(5), end=days_ago(1))
    assert (answer["start"], answer["end"], answer["count"]) == ("2026-11-15", "2026-11-19", 3)
    assert dates(answer) == named(5, 4, 1)
    assert [gap["date"] for gap in answer["missing"]] == named(3, 2)


def test_a_range_without_data_is_empty_and_not_an_error(get, week):
    answer = get("history/range", start="2020-01-01", end="2020-01-03")
    assert (answer["count"], answer["data"]) == (0, [])
    assert get("history/snapshots", start_date="2030-01-01", end_date="2030-02-01") == {
        "count": 0, "data": [], "missing": [],
    }  # fmt: skip


def test_leap_days_are_days(get, clock):
    clock.move_to("2028-03-02T12:00:00+00:00")
    for day in (date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)):
        snapshot(day)
    answer = get("history/range", start="2028-02-28", end="2028-03-01")
    assert (answer["count"], answer["missing"]) == (3, [])


@pytest.mark.parametrize("path", ["history/range", *LISTS])
@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-02", "2026-11-01", "must not be after"),
        ("2016-01-01", "2026-11-20", "at most 3660 days"),
        ("2026-02-29", "2026-03-01", "expected a day as YYYY-MM-DD"),
        ("yesterday", "2026-03-01", "expected a day as YYYY-MM-DD"),
        ("2026-1-1", "2026-03-01", "expected a day as YYYY-MM-DD"),
        ("2026-01-01", "2026-03-01T00:00", "expected a day as YYYY-MM-DD"),
        ("", "2026-03-01", "expected a day as YYYY-MM-DD"),
        ("2026-01-01\x00", "2026-03-01", "expected a day as YYYY-MM-DD"),
    ],
)
def test_reversed_long_and_malformed_ranges_are_refused(refused, path, start, end, words):
    names = ("start", "end") if path == "history/range" else ("start_date", "end_date")
    assert words in refused(path, **dict(zip(names, (start, end), strict=True)))


def test_the_longest_range_is_3660_days(get, refused):
    first = DAY - timedelta(days=3659)
    assert get("history/range", start=first, end=DAY)["count"] == 0
    assert "3660" in refused("history/range", start=first - timedelta(days=1), end=DAY)
    assert "3660" in refused("history/snapshots", start_date=first - timedelta(days=1))


@pytest.mark.parametrize(("query", "missing"), [({}, ("start", "end")), ({"start": "2026-01-01"}, ("end",))])
def test_a_range_needs_both_ends(refused, query, missing):
    words = refused("history/range", **query)
    assert all(f"{name}: is needed" in words for name in missing)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", ""])
def test_a_limit_that_is_none_is_refused(refused, limit):
    assert "expected a whole number from 1" in refused("history/snapshots", limit=limit)


# Gaps


def test_days_between_without_a_row_are_told_with_the_reason(get, week):
    Refusal.objects.create(day=days_ago(2), reason="2 of 5 totals are known", last_at=at("23:40", days_ago(2)))
    for path in LISTS:
        assert get(path)["missing"] == [
            {"date": str(days_ago(2)), "reason": "2 of 5 totals are known"},
            {"date": str(days_ago(3)), "reason": "no check ran on that day"},
        ]


@pytest.mark.parametrize(("time", "is_missing"), [("00:34:59", False), ("00:35:00", True)])
def test_today_is_missing_from_thirty_five_past_midnight_on(get, clock, time, is_missing):
    snapshot(days_ago(1))
    clock.move_to(at(time))
    missing = get("history/snapshots")["missing"]
    assert missing == ([{"date": str(DAY), "reason": "no snapshot has been taken yet today"}] if is_missing else [])


def test_before_the_oldest_row_shown_nothing_is_missing_unless_asked_for(get, week):
    assert [gap["date"] for gap in get("history/snapshots", limit=1)["missing"]] == []
    asked = get("history/snapshots", start_date=days_ago(8), end_date=days_ago(5))
    assert [gap["date"] for gap in asked["missing"]] == named(7, 8)


def test_the_future_is_not_missing(get, week):
    answer = get("history/range", start=days_ago(1), end=DAY + timedelta(days=30))
    assert (answer["count"], answer["missing"]) == (2, [])


# One day


def test_one_day_is_flat(get, week):
    row = get(f"history/snapshot/{days_ago(4)}")
    assert (row["snapshot_date"], row["node_total"]) == (str(days_ago(4)), 6724)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("asked", "nearest"), [(2, 1), (3, 4), (900, 6), (-5, 0)], ids=["after", "before", "first", "last"]
)
def test_a_day_without_a_row_is_404_and_names_the_nearest(client, week, asked, nearest):
    response = client.get(f"/api/history/snapshot/{days_ago(asked)}")
    assert response.status_code == 404
    answer = response.json()
    assert (answer["date"], answer["nearest"]) == (str(days_ago(asked)), str(days_ago(nearest)))
    assert answer["nearest"] in answer["error"]
    assert "ETag" not in response or response["ETag"] != client.get(f"/api/history/snapshot/{DAY}")["ETag"]


def test_without_any_row_there_is_no_nearest(client):
    answer = client.get("/api/history/snapshot/2026-11-01").json()
    assert (answer["nearest"], answer["error"]) == (
        None, "there is no snapshot of 2026-11-01; no day has one yet",
    )  # fmt: skip


@pytest.mark.parametrize("day", ["2026-02-30", "today", "2026-11", "20261120", "9999999999"])
def test_a_malformed_day_is_refused(refused, day):
    assert "date: expected a day as YYYY-MM-DD" in refused(f"history/snapshot/{day}")


@pytest.mark.engine
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_the_ends_of_time_are_days_too(client, week, day):
    assert client.get(f"/api/history/snapshot/{day}").status_code == 404


# Caching and speed

PATHS = [*LISTS, f"history/range?start={days_ago(9)}&end={DAY}", f"history/snapshot/{DAY}", "history/category/gaming"]


@pytest.mark.parametrize("path", PATHS)
def test_what_did_not_change_is_304(client, week, path):
    etag = client.get(f"/api/{path}")["ETag"]
    response = client.get(f"/api/{path}", headers={"if-none-match": etag})
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.engine
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "change",
    [
        lambda: snapshot(days_ago(2)),
        lambda: Snapshot.objects.filter(day=days_ago(4)).delete(),
        lambda: Snapshot.objects.filter(day=days_ago(5)).update(node_total=1, made_at=at("11:58")),
        lambda: Refusal.objects.create(day=days_ago(2), reason="nothing was read", last_at=at("11:58")),
        lambda: settle(completed_at=at("11:58")),
        lambda: TrackedApp.objects.create(name="New", key="new", category="gaming"),
        lambda: TrackedApp.objects.first().delete(),
    ],
    ids=["added", "removed", "made anew", "refused", "synced", "tracked", "untracked"],
)
def test_any_change_is_a_new_answer(client, week, path, change):
    etag = client.get(f"/api/{path}")["ETag"]
    change()
    assert client.get(f"/api/{path}", headers={"if-none-match": etag}).status_code == 200


@pytest.mark.parametrize("moment", [at("00:35"), at("00:00") + timedelta(days=1)], ids=["00:35", "midnight"])
def test_time_is_a_change_where_it_makes_a_day_missing_or_over(client, clock, week, moment):
    clock.move_to(moment - timedelta(seconds=1))
    etag = client.get("/api/history/snapshots")["ETag"]
    clock.move_to(moment)
    assert client.get("/api/history/snapshots", headers={"if-none-match": etag}).status_code == 200


def test_days_that_are_long_over_may_be_kept_longer(client, week):
    settle(completed_at=at("11:59"))
    old = client.get(f"/api/history/range?start={days_ago(9)}&end={days_ago(3)}")
    new = client.get(f"/api/history/range?start={days_ago(9)}&end={days_ago(2)}")
    assert (old["Cache-Control"], new["Cache-Control"]) == ("public, max-age=300", "public, max-age=5")


def test_days_that_are_over_by_our_clock_alone_are_not_kept_longer(client, week):
    settle(completed_at=at("11:59"), settled_at=at("23:55", days_ago(4)))
    found = client.get(f"/api/history/range?start={days_ago(9)}&end={days_ago(4)}")
    assert (found["Cache-Control"], found.json()["data"][-1]["complete"]) == ("public, max-age=5", False)
    assert found.json()["data"][-2]["complete"] is True


@pytest.mark.engine
@pytest.mark.parametrize("path", LISTS)
def test_a_thousand_days_are_as_many_queries_as_one(client, path):
    def queries(limit):
        with CaptureQueriesContext(connection) as captured:
            response = client.get(f"/api/{path}?limit={limit}")
        assert orjson.loads(response.content)["count"] == limit
        return [query["sql"] for query in captured if query["sql"].startswith("SELECT")]

    rows = [
        Snapshot(
            day=days_ago(n), source="taken", made_at=datetime(2026, 11, 1, tzinfo=UTC), node_total=n,
            flux_price_usd=Decimal("0.07"),
        )
        for n in [0, *range(2, 1002)]
    ]  # fmt: skip
    Snapshot.objects.bulk_create(rows)
    one, thousand = queries(1), queries(1000)
    assert len(one) == 7  # two for the stamp; rows, closes, totals, ledger, tracked apps
    assert len(thousand) == 8  # and why a day is missing
