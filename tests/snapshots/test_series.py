"""`/api/history/series`: what is known of each day, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client

from metrics.models import ImageCount
from revenue.models import DailyPrice, LedgerState, LivePrice
from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW, TODAY, image, nodes, read_now, snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def chart(client: Client):
    """The answer for some metrics."""

    def ask(metrics: str, **query: Any) -> Any:
        response = client.get("/api/history/series", {"metrics": metrics, **query})
        assert response.status_code == 200, response.content
        return response.json()

    return ask


@pytest.fixture
def points(chart):
    """The points of one metric."""

    def ask(metric: str, **query: Any) -> Any:
        (series,) = chart(metric, **query)["series"]
        return series["points"]

    return ask


@pytest.fixture
def refused(client: Client):
    def ask(**query: Any) -> str:
        response = client.get("/api/history/series", query)
        assert response.status_code == 400, response.content
        return response.json()["error"]

    return ask


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


# Revenue and payments


@pytest.mark.engine
def test_revenue_is_the_ledgers_day_by_day_and_a_day_without_payments_is_0(points):
    pay("10", at=at(TODAY - 2 * DAY))
    pay("5.5", at=at(TODAY))
    settle(NOW)
    assert points("revenue_flux", days=3) == [10, 0, 5.5]
    assert points("payments", days=3) == [1, 0, 1]


def test_dollars_are_those_of_the_payments_day(points):
    pay("10", at=at(TODAY))
    settle(NOW)
    assert points("revenue_usd", days=1) == [0.75]


def test_today_is_not_whole_and_the_days_before_are(chart):
    pay(at=at(TODAY - DAY))
    settle(NOW)
    assert chart("revenue_flux", days=3)["series"][0]["partial"] == ["2026-11-20"]


def test_days_no_sync_has_seen_are_unknown(points):
    pay("1", at=at(TODAY - 3 * DAY))
    settle(at(TODAY - 2 * DAY))
    assert points("revenue_flux", days=4) == [1, 0, None, None]
    LedgerState.objects.update(completed_at=None)
    assert points("payments", days=4) == [1, None, None, None]


@pytest.mark.engine
def test_dollars_without_any_price_are_unknown_and_with_some_partial(chart):
    pay("10", at=at(TODAY - 2 * DAY), price_usd=None)
    pay("10", at=at(TODAY - DAY), price_usd=None)
    pay("10", at=at(TODAY - DAY))
    settle(NOW)
    (series,) = chart("revenue_usd", days=3)["series"]
    assert series["points"] == [None, 0.75, 0]
    assert series["partial"] == ["2026-11-19", "2026-11-20"]


@pytest.mark.engine
def test_weeks_add_up_and_cut_ones_are_said(chart):
    for day in (date(2026, 11, 4), date(2026, 11, 9), date(2026, 11, 15), date(2026, 11, 16)):
        pay("1", at=at(day))
    settle(NOW)
    answer = chart("revenue_flux", start="2026-11-04", end="2026-11-18", bucket="week")
    assert answer["dates"] == ["2026-11-04", "2026-11-09", "2026-11-16"]
    assert answer["ends"] == ["2026-11-08", "2026-11-15", "2026-11-18"]
    assert answer["series"][0]["points"] == [1, 2, 1]
    assert answer["series"][0]["partial"] == ["2026-11-04", "2026-11-16"]


def test_a_week_with_a_day_nobody_knows_is_partial(chart):
    pay("1", at=at(date(2026, 11, 9)))
    settle(at(date(2026, 11, 12)))
    (series,) = chart("revenue_flux", start="2026-11-02", end="2026-11-15", bucket="week")["series"]
    assert series["points"] == [0, 1]
    assert series["partial"] == ["2026-11-09"]


@pytest.mark.engine
def test_cumulative_sums_are_exact_and_say_from_where_on_something_lacks(chart):
    for back in (4, 3, 1):
        pay("0.1", at=at(TODAY - back * DAY), price_usd=None if back == 3 else Decimal("0.075"))
    settle(NOW)
    flux, usd = chart("revenue_flux,revenue_usd", days=5, cumulative="1")["series"]
    assert flux["points"] == [0.1, 0.2, 0.2, 0.3, 0.3]
    assert flux["partial"] == ["2026-11-20"]
    assert usd["points"] == [0.0075, None, 0.0075, 0.015, 0.015]
    assert usd["partial"] == ["2026-11-18", "2026-11-19", "2026-11-20"]


def test_the_previous_period_is_as_long_and_lies_right_before(chart):
    for back, amount in ((0, "8"), (2, "6"), (3, "5"), (5, "3")):
        pay(amount, at=at(TODAY - back * DAY))
    settle(NOW)
    answer = chart("revenue_flux", days=3, previous="1")
    assert answer["previous"] == {
        "start": "2026-11-15",
        "end": "2026-11-17",
        "dates": ["2026-11-15", "2026-11-16", "2026-11-17"],
    }
    (series,) = answer["series"]
    assert (series["ghost"]["points"], series["points"]) == ([3, 0, 5], [6, 0, 8])


def test_without_previous_there_is_no_ghost(chart):
    answer = chart("payments", days=2)
    assert answer["previous"] is None
    assert answer["series"][0]["ghost"] is None


# What the network is


def test_a_day_without_a_snapshot_or_with_an_unknown_column_is_a_gap(points):
    nodes(TODAY - 4 * DAY, [6700, None, 0])
    assert points("node_total", days=5) == [6700, None, 0, None, None]


def test_a_week_is_what_was_known_last(points):
    nodes(date(2026, 11, 9), [10, 20, 30, None, None, None, None, None, 90])
    assert points("node_total", start="2026-11-09", end="2026-11-22", bucket="week") == [30, 90]


def test_percentages_follow_from_both_sides(points):
    snapshot(TODAY - DAY, used_cpu_cores=200.0, total_cpu_cores=1000.0)
    snapshot(TODAY, used_cpu_cores=None, total_cpu_cores=1000.0)
    assert points("cpu_utilization_percent", days=2) == [20.0, None]


def test_a_tracked_app_begins_on_the_day_it_was_first_counted(points):
    snapshot(TODAY - 2 * DAY, counts={})
    snapshot(TODAY - DAY, counts={"gaming_palworld": 0})
    snapshot(TODAY, counts={"gaming_palworld": 12})
    assert points("gaming_palworld", days=3) == [None, 0, 12]


def test_where_values_come_from_is_marked_in_runs(chart):
    nodes(TODAY - 6 * DAY, [1, 2], "simulated")
    nodes(TODAY - 4 * DAY, [None, 4], "backfilled")
    nodes(TODAY - 2 * DAY, [5, 6, 7])
    (series,) = chart("node_total", days=7)["series"]
    assert series["marks"] == [
        {"source": "simulated", "start": "2026-11-14", "end": "2026-11-15"},
        {"source": "backfilled", "start": "2026-11-17", "end": "2026-11-17"},
    ]


def test_today_is_the_last_reading_and_says_so(chart):
    nodes(TODAY - DAY, [6700, 6710])
    read_now("nodes", {"node_total": 6724})
    (series,) = chart("node_total", days=2)["series"]
    assert series["points"] == [6700, 6724]
    assert series["live"] == {"read_at": "2026-11-20T21:55:00Z", "stale": False}
    assert series["marks"] == [{"source": "live", "start": "2026-11-20", "end": "2026-11-20"}]


def test_a_reading_that_failed_since_is_stale(chart):
    read_now("nodes", {"node_total": 6724}, error="daemon: HTTP 502")
    assert chart("node_total", days=1)["series"][0]["live"]["stale"] is True


def test_a_reading_of_yesterday_is_not_todays(chart):
    nodes(TODAY, [6710])
    read_now("nodes", {"node_total": 6724}, at=NOW - DAY)
    (series,) = chart("node_total", days=1)["series"]
    assert (series["points"], series["live"]) == ([6710], None)


def test_a_range_that_ended_holds_no_reading(points):
    read_now("nodes", {"node_total": 6724})
    assert points("node_total", start="2026-11-18", end="2026-11-19") == [None, None]


def test_the_price_of_a_day_and_of_now(points):
    snapshot(TODAY - DAY, flux_price_usd="0.0744")
    LivePrice.objects.update_or_create(id=1, defaults={"price_usd": "0.08", "source": "x", "read_at": NOW})
    assert points("flux_price_usd", days=2) == [0.0744, 0.08]


def test_the_price_of_a_past_day_is_its_close_except_what_the_old_tracker_told(points, client):
    for days, source in ((1, "taken"), (2, "import"), (3, "backfilled"), (4, "taken")):
        snapshot(TODAY - days * DAY, source=source, flux_price_usd="0.07")
        if days < 4:
            DailyPrice.objects.create(day=TODAY - days * DAY, price_usd=Decimal(f"0.08{days}"), source="binance")
    expected = [0.07, 0.083, 0.07, 0.081]
    assert points("flux_price_usd", start=str(TODAY - 4 * DAY), end=str(TODAY - DAY)) == expected
    history = client.get(f"/api/history/range?start={TODAY - 4 * DAY}&end={TODAY - DAY}").json()
    assert [row["price"] for row in history["data"]] == expected


# Images


def test_an_image_is_0_only_where_a_taken_snapshot_read_the_containers(points):
    name = "itzg/minecraft-server"
    snapshot(TODAY - 5 * DAY, source="import", total_apps=9)
    snapshot(TODAY - 4 * DAY, total_apps=None)
    snapshot(TODAY - 3 * DAY, total_apps=9)
    for back, count in ((2, 7), (1, 8)):
        snapshot(TODAY - back * DAY, total_apps=9)
        image(TODAY - back * DAY, name, count)
    assert points(f"image:{name}", days=6) == [None, None, 0, 7, 8, None]


@pytest.mark.engine
def test_an_images_containers_of_now(points):
    ImageCount.objects.create(image="kaspanet/rusty-kaspad", count=31)
    image(TODAY - DAY, "gone/gone", 3)
    read_now("apps", {"total_apps": 100})
    assert points("image:kaspanet/rusty-kaspad", days=1) == [31]
    assert points("image:gone/gone", days=1) == [0]


# What may be asked


def test_several_metrics_come_in_the_order_they_were_asked_for_and_once(chart):
    answer = chart(" payments,node_total, revenue_usd,payments", days=1)
    assert [series["key"] for series in answer["series"]] == ["payments", "node_total", "revenue_usd"]
    assert [series["unit"] for series in answer["series"]] == ["", "", "USD"]


def test_thirty_days_until_today_are_the_default(chart):
    answer = chart("payments")
    assert (answer["start"], answer["end"], answer["count"]) == ("2026-10-22", "2026-11-20", 30)


def test_a_start_alone_goes_until_today(chart):
    assert chart("payments", start="2026-11-01")["end"] == "2026-11-20"


@pytest.mark.engine
def test_all_goes_back_to_the_first_day_anything_is_known_of(chart):
    assert chart("payments", days="all")["count"] == 1
    nodes(TODAY - 50 * DAY, [1])
    pay(at=at(TODAY - 80 * DAY))
    settle(NOW)
    assert chart("payments", days="all")["start"] == (TODAY - 80 * DAY).isoformat()


def test_all_is_cut_to_the_longest_range_and_its_start_says_so(chart):
    nodes(date(2010, 1, 1), [1])
    answer = chart("node_total", days="all")
    assert (answer["count"], answer["start"]) == (3660, (TODAY - 3659 * DAY).isoformat())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "metrics: This field is required."),
        ({"metrics": " , "}, "expected 1 to 8 metrics"),
        ({"metrics": "a,b,c,d,e,f,g,h,i"}, "expected 1 to 8 metrics"),
        ({"metrics": "nodes"}, "unknown metrics: nodes; /api/history/metrics lists all"),
        ({"metrics": "image:never/seen"}, "unknown metrics: image:never/seen"),
        ({"metrics": "payments", "days": "0"}, "expected a whole number from 1 to 3660, or all"),
        ({"metrics": "payments", "days": "3661"}, "expected a whole number from 1 to 3660, or all"),
        ({"metrics": "payments", "days": "7", "start": "2026-11-01"}, "expected either `days`, or `start` and `end`"),
        ({"metrics": "payments", "end": "2026-11-01"}, "expected a day as YYYY-MM-DD beside `end`"),
        ({"metrics": "payments", "start": "2026-11-02", "end": "2026-11-01"}, "must not be after `end`"),
        ({"metrics": "payments", "start": "2026-11-21"}, "expected a range of 1 to 3660 days"),
        ({"metrics": "payments", "start": "2000-01-01"}, "expected a range of 1 to 3660 days"),
        ({"metrics": "payments", "start": "2026-02-30"}, "expected a day as YYYY-MM-DD"),
        ({"metrics": "payments", "bucket": "year"}, "expected one of day, week, month"),
        ({"metrics": "payments", "previous": "yes"}, "expected one of 0, 1"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(refused, query, words):
    assert words in refused(**query)


@pytest.mark.engine
def test_a_range_before_everything_is_empty_and_not_zero(points):
    pay(at=at(TODAY))
    settle(None)
    assert points("revenue_flux", start="2020-01-01", end="2020-01-02") == [None, None]
    assert points("node_total", start="2020-01-01", end="2020-01-02") == [None, None]


@pytest.mark.parametrize("day", [date(1, 1, 1), date(9999, 12, 31)])
@pytest.mark.parametrize("bucket", ["day", "week", "month"])
def test_the_ends_of_the_calendar_are_no_accident(client, day, bucket):
    query = {"metrics": "payments", "start": day.isoformat(), "end": day.isoformat(), "bucket": bucket}
    response = client.get("/api/history/series", {**query, "previous": "1"})
    assert response.status_code == 400
    assert "between 2000-01-01 and 2199-12-31" in response.json()["error"]


# What it costs


@pytest.mark.engine
def test_the_number_of_queries_depends_on_nothing(client, django_assert_max_num_queries):
    nodes(TODAY - 40 * DAY, list(range(41)))
    ImageCount.objects.create(image="kaspanet/rusty-kaspad", count=31)
    read_now("apps", {"total_apps": 100})
    settle(NOW)
    every = "revenue_flux,payments,node_total,ram_utilization_percent,gaming_palworld,image:kaspanet/rusty-kaspad"
    query = {"metrics": every, "days": "all", "previous": "1", "bucket": "week"}
    with django_assert_max_num_queries(18):  # 6 for the stamp, 2 for the choices, 2 for `all`, 7 for the values
        client.get("/api/history/series", query)


def test_an_answer_is_not_made_again_until_something_changes(client):
    nodes(TODAY - DAY, [1])
    query = {"metrics": "node_total,payments", "days": "7"}
    etag = client.get("/api/history/series", query)["ETag"]

    def known() -> bool:
        return client.get("/api/history/series", query, headers={"If-None-Match": etag}).status_code == 304

    assert known()
    read_now("nodes", {"node_total": 5})
    assert not known()


def test_the_day_is_part_of_the_stamp(client, clock):
    query = {"metrics": "payments", "days": "7"}
    etag = client.get("/api/history/series", query)["ETag"]
    clock.shift(timedelta(hours=3))
    assert client.get("/api/history/series", query, headers={"If-None-Match": etag}).status_code == 200


# Choosing


def metrics_of(client: Client, **query: str) -> Any:
    return client.get("/api/history/metrics", query).json()


def test_metrics_are_listed_by_category_with_their_units(client):
    answer = metrics_of(client)
    assert [category["label"] for category in answer["categories"]] == [
        "Revenue", "Nodes", "Cloud", "Apps", "Games", "Crypto nodes", "WordPress", "Images",
    ]  # fmt: skip
    keys = {metric["key"]: metric for metric in answer["metrics"]}
    assert {"revenue_flux", "node_total", "gaming_palworld", "crypto_kaspa", "wordpress_count"} <= keys.keys()
    assert keys["total_ram_gb"]["unit"] == "GB"
    assert keys["flux_price_usd"]["category"] == "revenue"
    order = [metric["category"] for metric in answer["metrics"]]
    assert order == sorted(order, key=[category["key"] for category in answer["categories"]].index)


@pytest.mark.engine
def test_every_metric_that_is_listed_can_be_drawn(client, chart):
    keys = [metric["key"] for metric in metrics_of(client)["metrics"]]
    assert "node_total" in keys
    for first in range(0, len(keys), 8):
        asked = keys[first : first + 8]
        assert [series["key"] for series in chart(",".join(asked), days=2)["series"]] == asked


@pytest.mark.engine
def test_search_finds_words_anywhere_and_images_by_their_containers(client):
    image(TODAY, "itzg/minecraft-server", 3)
    image(TODAY - DAY, "old/minecraft", 3)
    ImageCount.objects.create(image="itzg/minecraft-bedrock-server", count=9)
    found = [metric["key"] for metric in metrics_of(client, search="MINEcraft")["metrics"]]
    assert found == [
        "gaming_minecraft",
        "image:itzg/minecraft-bedrock-server",
        "image:itzg/minecraft-server",
        "image:old/minecraft",
    ]
    assert [metric["key"] for metric in metrics_of(client, search="minecraft images bedrock")["metrics"]] == found[1:2]
    assert metrics_of(client, search="nothing like it")["metrics"] == []


def test_a_cut_list_of_images_says_how_many_there_are(client):
    for number in range(5):
        image(TODAY, f"some/image{number}", 1)
    answer = metrics_of(client, search="some/image", limit="2")
    assert (answer["count"], answer["total"]) == (2, 5)
