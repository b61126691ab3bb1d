"""Readings: kept every 10 minutes, thinned with age, drawn as a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from metrics.collect import EVERY_ONE, HOURLY, add_reading
from metrics.models import Reading
from metrics.selectors import MOST_POINTS, USUAL_POINTS, Step, usual_step
from tests.metrics.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def read(at, **values):
    return Reading.objects.create(at=at, values=values or {"node_total": 1})


def kept():
    return sorted(Reading.objects.values_list("at", flat=True))


@pytest.mark.engine
def test_a_collection_keeps_what_it_read(network, collect):
    collect()
    reading = Reading.objects.get()
    assert reading.at == NOW
    values = reading.values
    assert (values["node_total"], values["total_cpu_cores"], values["total_apps"]) == (10, 40, 10)
    assert (values["cpu_utilization_percent"], values["flux_price_usd"], values["gaming_palworld"]) == (25, 0.0744, 0)


def test_what_was_not_read_now_is_not_in_it(network, collect, later):
    collect()
    network.broken = {"cloud": 503, "price": 503}
    later(minutes=10)
    collect()
    values = Reading.objects.first().values
    assert values["node_total"] == 10
    assert not {"total_cpu_cores", "cpu_utilization_percent", "flux_price_usd"} & values.keys()


def test_nothing_read_is_no_reading(db):
    add_reading({}, NOW)
    assert not kept()


@pytest.mark.engine
def test_every_reading_is_kept_for_a_week(db):
    for number in range(6 * 24 * 7):
        read(NOW - 10 * MINUTE * (number + 1))
    add_reading({"node_total": 1}, NOW)
    assert len(kept()) == 6 * 24 * 7 + 1


def test_then_the_first_of_each_hour_is(db):
    edge = NOW - EVERY_ONE
    for minutes in (5, 15, 25, 65, 75):
        read(edge - 2 * HOUR + minutes * MINUTE)
    add_reading({"node_total": 1}, NOW)
    assert kept()[:-1] == [edge - 2 * HOUR + 5 * MINUTE, edge - 2 * HOUR + 65 * MINUTE]


def test_after_90_days_none_is(db):
    read(NOW - HOURLY - MINUTE)
    read(NOW - HOURLY)
    add_reading({"node_total": 1}, NOW)
    assert kept() == [NOW - HOURLY, NOW]


@pytest.mark.engine
def test_thinning_looks_only_at_what_became_due(db):
    """What was due at the reading before is not read again, however much there is."""
    looked_at_before = [NOW - 20 * DAY, NOW - 20 * DAY + MINUTE]
    for at in (*looked_at_before, NOW - 10 * MINUTE):
        read(at)
    with CaptureQueriesContext(connection) as queries:
        add_reading({"node_total": 1}, NOW)
    assert kept()[:2] == looked_at_before
    assert len(queries) <= 10


def test_a_pause_of_collections_is_made_good(db):
    """The readings of 20 days, not thinned yet: the next collection does it."""
    for number in range(6 * 24 * 20):
        read(NOW - 20 * DAY + 10 * MINUTE * number)
    Reading.objects.filter(at__gt=NOW - 19 * DAY).delete()
    add_reading({"node_total": 1}, NOW)
    assert len(kept()) == 24 + 2


class ThinningLaws(TestCase):
    @given(st.lists(st.integers(1, 60 * 24 * 12), min_size=1, max_size=40))
    def test_readings_as_they_come_are_thinned_as_all_at_once_would_be(self, gaps):
        at, made = NOW, []
        for gap in gaps:
            at += gap * MINUTE
            made.append(at)
            add_reading({"node_total": 1}, at)
        hours = {}
        for one in made:
            hours.setdefault(one.replace(minute=0, second=0), one)
        expected = [one for one in made if one >= at - EVERY_ONE or (one >= at - HOURLY and one in hours.values())]
        assert kept() == expected


@pytest.mark.engine
def test_a_metric_over_the_last_day(clock, get):
    read(NOW - 25 * HOUR, node_total=5)
    read(NOW - 23 * HOUR, node_total=6)
    read(NOW, node_total=7, gaming_palworld=0)
    assert get("history/readings", metric="node_total") == {
        "metric": "node_total",
        "label": "Nodes",
        "unit": "",
        "step": "10m",
        "start": "2026-11-19T12:00:00Z",
        "end": "2026-11-20T12:00:00Z",
        "count": 2,
        "data": [{"at": "2026-11-19T13:00:00Z", "value": 6}, {"at": "2026-11-20T12:00:00Z", "value": 7}],
    }
    palworld = get("history/readings", metric="gaming_palworld")
    assert (palworld["label"], palworld["data"]) == ("Palworld", [{"at": "2026-11-20T12:00:00Z", "value": 0}])
    assert get("history/readings", metric="total_ram_gb")["unit"] == "GB"


@pytest.mark.engine
@pytest.mark.parametrize(("step", "values"), [("10m", [1, 3, 4, 5]), ("hour", [3, 4, 5]), ("day", [3, 5])])
def test_the_last_reading_of_each_step_comes(clock, get, step, values):
    for number, at in enumerate(
        ("2026-11-18T23:41", "2026-11-18T23:50", "2026-11-18T23:55", "2026-11-19T00:00", "2026-11-19T01:00")
    ):
        read(datetime.fromisoformat(at).replace(tzinfo=UTC), node_total=number + 1)
    answer = get("history/readings", metric="node_total", start="2026-11-18", end="2026-11-19", step=step)
    assert [point["value"] for point in answer["data"]] == values


def test_a_step_without_the_metric_falls_back_to_the_reading_before(clock, get):
    read(NOW - 20 * MINUTE, node_total=1)
    read(NOW - 15 * MINUTE, total_apps=1)
    assert get("history/readings", metric="node_total", step="hour")["data"][0]["value"] == 1


@pytest.mark.engine
def test_both_days_of_a_range_are_included(clock, get):
    for at in ("2026-11-17T23:59:59", "2026-11-18T00:00:00", "2026-11-18T23:59:59", "2026-11-19T00:00:00"):
        read(datetime.fromisoformat(at).replace(tzinfo=UTC))
    answer = get("history/readings", metric="node_total", start="2026-11-18", end="2026-11-18")
    assert [point["at"] for point in answer["data"]] == ["2026-11-18T00:00:00Z", "2026-11-18T23:59:59Z"]


@pytest.mark.parametrize(
    "start",
    [
        "2026-11-20T11:00:00Z",
        "2026-11-20T11:00",
        "2026-11-20T12:00:00+01:00",
        "2026-11-20T12:00:00 01:00",
        "2026-11-20 11:00:00",
    ],
)
def test_instants_are_understood(clock, get, start):
    answer = get("history/readings", metric="node_total", start=start)
    assert (answer["start"], answer["end"]) == ("2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z")


def test_a_range_without_readings_is_empty(clock, get):
    assert get("history/readings", metric="node_total", start="2031-01-01")["count"] == 0
    assert get("history/readings", metric="node_total", start="2020-01-01", end="2020-02-01")["data"] == []


def test_the_step_follows_the_range(clock, get):
    def step(start):
        return get("history/readings", metric="node_total", start=start)["step"]

    assert [step(start) for start in ("2026-11-19", "2026-11-01", "2026-01-01", "2017-01-01")] == [
        "10m",
        "hour",
        "day",
        "day",
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "expected one of node_total, node_cumulus"),
        ({"metric": "nodes"}, "gaming_palworld"),
        ({"metric": "node_total", "start": "yesterday"}, "YYYY-MM-DD"),
        ({"metric": "node_total", "start": "2026-02-30"}, "YYYY-MM-DD"),
        ({"metric": "node_total", "end": "2026-11-20T25:00"}, "YYYY-MM-DD"),
        ({"metric": "node_total", "end": "9999-12-31"}, "YYYY-MM-DD"),
        ({"metric": "node_total", "end": "0001-01-01"}, "YYYY-MM-DD"),
        ({"metric": "node_total", "start": "2026-11-20", "end": "2026-11-19"}, "must not be after"),
        ({"metric": "node_total", "start": "2010-01-01", "end": "2026-11-19"}, "at most 3660 days"),
        ({"metric": "node_total", "step": "week"}, "expected one of 10m, hour, day"),
        ({"metric": "node_total", "start": "2026-01-01", "step": "10m"}, "at most 20,000"),
        ({"metric": "node_total", "start": "2020-01-01", "step": "hour"}, "at most 20,000"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(clock, client, query, words):
    response = client.get("/api/history/readings", query)
    assert response.status_code == 400
    assert words in response.json()["error"]


@given(st.timedeltas(timedelta(), timedelta(days=3660)))
def test_the_usual_step_gives_few_points(span):
    step = usual_step(span)
    assert span // step.length <= (USUAL_POINTS if step != Step.DAY else 3660) <= MOST_POINTS


def test_a_new_reading_changes_the_answer(network, collect, later, client):
    collect()
    path = "/api/history/readings?metric=node_total"
    first = client.get(path)
    headers = {"If-None-Match": first["ETag"]}
    assert client.get(path, headers=headers).status_code == 304
    later(minutes=10)
    collect()
    assert client.get(path, headers=headers).json()["count"] == 2
