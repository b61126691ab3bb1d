"""Capacity: units, rows that count, nodes that are only away for a moment."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.stats import Capacities
from fluxtracker.upstream.stats_rows import Capacity, Resources
from metrics.cloud import measure_cloud
from metrics.models import Memory
from tests.metrics.network import benching, node, unreachable
from tests.upstream.payloads import payload

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def totals(source):
    values = source("cloud").values
    return tuple(values[f"total_{name}"] for name in ("cpu_cores", "ram_gb", "storage_gb"))


def used(source):
    values = source("cloud").values
    return tuple(values[f"used_{name}"] for name in ("cpu_cores", "ram_gb", "storage_gb"))


def test_memory_is_gb_and_what_apps_take_of_it_is_mb(network, collect, source):
    network.rows = [node(1, cores=8, ram=30.5, ssd=440, used=(3.1, 5700, 121)), node(2, used=(0.5, 100, 15))]
    collect()
    assert totals(source) == (12, 38.5, 660)
    assert used(source) == (3.6, round(5800 / 1024, 2), 136)
    assert source("cloud").values["cpu_utilization_percent"] == 30
    assert source("cloud").values["storage_utilization_percent"] == 20.61


def test_the_real_rows_add_up(network, collect, source):
    network.rows = payload("stats_fluxinfo_full")["data"]
    collect()
    assert totals(source) == (4 + 8 + 8 + 16, round(7.8 + 7.7 + 30 + 61, 2), 256 + 220 + 440 + 880)
    assert used(source) == (8.5, round(9900 / 1024, 2), 192)
    assert source("cloud").coverage == {
        "rows": 6,
        "counted": 4,
        "remembered": 0,
        "notCounted": {"unreachable": 1, "benchmarking": 1, "unusable": 0},
    }


@pytest.mark.parametrize("wrong", [None, "8", -1, True, 10**9, [], {}])
def test_a_row_with_a_wrong_number_is_left_out_and_counted(network, collect, source, wrong):
    network.rows = [node(1), node(2, ram=wrong), node(3, used=(1, wrong, 20))]
    collect()
    assert totals(source) == (4, 8, 220)
    assert source("cloud").coverage["notCounted"] == {"unreachable": 0, "benchmarking": 0, "unusable": 2}


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_benchmark_does_not_shrink_the_totals(network, collect, later, source, status):
    collect()
    before = totals(source)
    network.rows[0] = benching(node(0, used=(2, 2048, 40)), status)
    later(minutes=10)
    collect()
    assert totals(source) == before
    assert used(source) == (11, 11, 220)  # what its apps take is told and counts
    assert source("cloud").coverage["remembered"] == 1


def test_a_node_out_of_reach_does_not_shrink_totals_and_use(network, collect, later, source):
    collect()
    before = totals(source), used(source)
    network.rows[0] = unreachable(network.rows[0])
    for _ in range(3):
        later(hours=7)
        collect()
        assert (totals(source), used(source)) == before
    assert source("cloud").coverage["remembered"] == 1


def test_a_node_is_remembered_for_a_day_and_no_longer(network, collect, later, source):
    collect()
    network.rows[0] = unreachable(network.rows[0])
    later(hours=24)
    collect()
    assert totals(source)[0] == 40
    later(seconds=1)
    collect()
    assert totals(source)[0] == 36
    assert source("cloud").coverage["notCounted"]["unreachable"] == 1


def test_a_node_that_came_back_is_itself_again(network, collect, later, source):
    collect()
    network.rows[0] = unreachable(network.rows[0])
    later(minutes=10)
    collect()
    network.rows[0] = node(0, cores=6)
    later(minutes=10)
    collect()
    assert totals(source)[0] == 42
    assert source("cloud").coverage["remembered"] == 0


def test_a_node_that_left_the_list_is_gone(network, collect, later, source):
    collect()
    del network.rows[0]
    later(minutes=10)
    collect()
    assert totals(source)[0] == 36


def test_a_node_never_seen_before_is_not_guessed(network, collect, source):
    network.rows += [benching(node(20)), unreachable(node(21))]
    collect()
    assert totals(source)[0] == 40
    assert source("cloud").coverage["notCounted"] == {"unreachable": 1, "benchmarking": 1, "unusable": 0}


@pytest.mark.parametrize("spoil", [benching, unreachable, lambda row: {}])
def test_when_no_node_tells_anything_the_last_values_stay(network, collect, later, source, spoil):
    collect()
    before = source("cloud")
    network.rows = [spoil(row) for row in network.rows]
    later(minutes=10)
    assert collect()["sources"]["cloud"] == "stale"
    assert (source("cloud").values, source("cloud").read_at) == (before.values, before.read_at)


def test_a_damaged_memory_is_an_empty_one(network, collect, later, source):
    collect()
    Memory.objects.update(data=b"damaged")
    network.rows[0] = benching(network.rows[0])
    later(minutes=10)
    assert collect()["sources"]["cloud"] == "ok"
    assert totals(source)[0] == 36


amounts = st.floats(0, 1e6, allow_nan=False)
parts = st.builds(Resources, amounts, amounts, amounts)
nodes = st.builds(
    Capacity, st.none() | st.sampled_from(["a:0", "b:0", "c:1"]), st.none() | parts, st.none() | parts
).filter(lambda one: one.used is not None or one.capacity is None)
answers = st.builds(lambda rows: Capacities(tuple(rows), len(rows), 0), st.lists(nodes, max_size=6))


@given(st.lists(answers, max_size=4), st.integers(0, 30))
def test_totals_are_never_negative_and_every_row_is_accounted_for(rounds, hours):
    remembered, now = {}, NOW
    for found in rounds:
        read = measure_cloud(found, remembered, now)
        assert all(math.isfinite(value) and value >= 0 for value in read.values.values())
        coverage = read.coverage
        accounted = coverage["counted"] + coverage["remembered"] + sum(coverage["notCounted"].values())
        assert accounted == coverage["rows"] == len(found.nodes)
        assert read.size == coverage["counted"] + coverage["remembered"]
        good = [one for one in found.nodes if one.capacity]
        assert read.values["total_cpu_cores"] >= round(math.fsum(one.capacity.cores for one in good), 2)
        remembered, now = read.remembered, now + timedelta(hours=hours)
