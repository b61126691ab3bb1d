"""Capacity: units, independent numbers, one row per node, nodes that are briefly unreachable."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.stats import Nodes
from fluxtracker.upstream.stats_parsing import UNKNOWN, Capacity, Resources
from metrics.collect import measure_cloud
from metrics.models import Memory
from metrics.sources import remember
from metrics.status import sources_part
from tests.metrics.network import benching, node, stats, unreachable
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
    told = {"remembered": 0, "counted": 4, "notCounted": {"unreachable": 1, "benchmarking": 1, "unusable": 0}}
    assert source("cloud").coverage == {
        "rows": 6,
        "repeated": 0,
        **told,
        "capacity": {**told, "cpu_cores": 4, "ram_gb": 4, "storage_gb": 4},
        "used": {
            "remembered": 0,
            "counted": 5,
            "notCounted": {"unreachable": 1, "benchmarking": 0, "unusable": 0},
            "cpu_cores": 5,
            "ram_gb": 5,
            "storage_gb": 5,
        },
    }


WRONG = [..., None, "8", -1, True, 10**9, [], {}]


def without(row, *path, value=...):
    """The same row with another value at the path; `...` takes the key away."""
    place = row
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return row


PATHS = [  # what the rows tell without it, and the half that it is of
    (("apps", "resources", "appsCpusLocked"), (12, 24, 660, 2, 3, 60), "used"),
    (("apps", "resources", "appsRamLocked"), (12, 24, 660, 3, 2, 60), "used"),
    (("apps", "resources", "appsHddLocked"), (12, 24, 660, 3, 3, 40), "used"),
    (("apps", "resources"), (12, 24, 660, 2, 2, 40), "used"),
    (("apps",), (12, 24, 660, 2, 2, 40), "used"),
    (("benchmark", "bench", "cores"), (8, 24, 660, 3, 3, 60), "capacity"),
    (("benchmark", "bench", "ram"), (12, 16, 660, 3, 3, 60), "capacity"),
    (("benchmark", "bench", "ssd"), (12, 24, 440, 3, 3, 60), "capacity"),
    (("benchmark", "bench"), (8, 16, 440, 3, 3, 60), "capacity"),
    (("benchmark",), (8, 16, 440, 3, 3, 60), "capacity"),
]
KEYS = ("cpu_cores", "ram_gb", "storage_gb")


def check_the_others(values, coverage, left, half):
    """Two of three nodes count in the half of which one is wrong; all other numbers are of three."""
    assert tuple(values[f"{word}_{key}"] for word in ("total", "used") for key in KEYS) == left
    assert coverage["notCounted"]["unusable"] == coverage[half]["notCounted"]["unusable"] == 1
    other = {"used": "capacity", "capacity": "used"}[half]
    assert (coverage[half]["counted"], coverage[other]["counted"]) == (2, 3)
    nodes_behind = [coverage[part][key] for part in ("capacity", "used") for key in KEYS]
    assert nodes_behind == [round(3 * now / full) for now, full in zip(left, (12, 24, 660, 3, 3, 60), strict=True)]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("path", "left", "half"), PATHS, ids=str)
def test_a_number_that_is_none_costs_no_other_number(path, left, half, wrong):
    rows = [node(1), node(2), without(node(3), *path, value=wrong)]
    found = measure_cloud(stats(rows).capacity(), {}, NOW)
    check_the_others(found.values, found.coverage, left, half)


@pytest.mark.parametrize(("path", "left", "half"), PATHS, ids=str)
def test_what_is_left_is_kept_and_answered(network, collect, source, get, path, left, half):
    network.rows = [node(1), node(2), without(node(3), *path, value=WRONG[1])]
    assert collect()["sources"]["cloud"] == "ok"
    check_the_others(source("cloud").values, source("cloud").coverage, left, half)
    answer = get("metrics/current")["cloud"]
    assert (answer["cpu"]["total"], answer["cpu"]["used"]) == (left[0], left[3])
    assert answer["cpu"]["utilization"] == round(left[3] / left[0] * 100, 2)


def test_what_no_row_tells_is_unknown_and_what_they_tell_counts(network, collect, get):
    network.rows = [without(node(number), "apps", "resources", value="busy") for number in range(3)]
    assert collect()["sources"]["cloud"] == "ok"
    assert get("metrics/current")["cloud"] == {
        "cpu": {"total": 12, "used": None, "utilization": None},
        "ram": {"total": 24, "used": None, "utilization": None},
        "storage": {"total": 660, "used": None, "utilization": None},
    }


def test_a_single_number_that_is_zero_is_not_known(network, collect, source):
    network.rows = [node(1), node(2, ssd=0)]
    collect()
    assert totals(source) == (8, 16, 220)
    assert source("cloud").coverage["notCounted"] == {"unreachable": 0, "benchmarking": 1, "unusable": 0}


def test_each_half_is_remembered_by_itself(network, collect, later, source):
    """Use is always reported while the benchmark fails: only the capacity becomes old."""
    network.rows = [node(1, cores=4), node(2, cores=8, used=(2, 1024, 20))]
    collect()
    network.rows[1] = benching(node(2, used=(3, 2048, 30)), "failed")
    for _ in range(2):
        later(hours=12)
        collect()
        assert (totals(source)[0], used(source)) == (12, (4, 3, 50))
    network.rows[1] = without(node(2, cores=8), "apps", "resources", value=None)
    later(hours=1)
    collect()
    assert (totals(source)[0], used(source)) == (12, (4, 3, 50))  # the use of an hour ago
    assert source("cloud").coverage["used"]["remembered"] == 1


def test_a_row_of_the_release_before_is_still_remembered(network, collect, later, source):
    old = {f"{node(number)['collateralHash']}:0": [int(NOW.timestamp()), 4, 8, 220, 1, 1, 20] for number in range(2)}
    remember("nodes", old, NOW)
    network.rows = [node(0), unreachable(node(1))]
    later(hours=1)
    collect()
    assert (totals(source), used(source)) == ((8, 16, 440), (2, 2, 40))


def duplicates(row):
    """The rows of one collateral, and what is known of it then: cores and cores in use."""
    bigger = copy.deepcopy(row) | {"dataCollectedAt": row["dataCollectedAt"] + 1}
    bigger["benchmark"]["bench"]["cores"] = 16
    bigger["apps"]["resources"]["appsCpusLocked"] = 5
    timeless = {key: value for key, value in bigger.items() if key != "dataCollectedAt"}
    return {
        "twice the same": ([row, row], (4, 1)),
        "again unreachable": ([row, unreachable(row)], (4, 1)),
        "unreachable first": ([unreachable(row), row], (4, 1)),
        "unreachable and newer": ([row, unreachable(row) | {"dataCollectedAt": 2**41}], (4, 1)),
        "the newer one": ([bigger, row], (16, 5)),
        "the newer one last": ([row, bigger], (16, 5)),
        "the newer round": ([timeless | {"roundTime": 2**41}, timeless | {"roundTime": 9} | {"apps": {}}], (16, 5)),
        "the fuller one": ([without(copy.deepcopy(row), "apps"), row], (4, 1)),
        "a benchmark and its later run": ([row, benching(bigger)], (4, 1)),
        "the index as text": ([row, row | {"collateralIndex": str(row["collateralIndex"])}], (4, 1)),
        "another letter case": ([row, row | {"collateralHash": row["collateralHash"].upper()}], (4, 1)),
    }


@pytest.mark.parametrize("name", list(duplicates(node(0xAB))))
def test_a_collateral_counts_once(name):
    rows, expected = duplicates(node(0xAB))[name]
    found = measure_cloud(stats([node(1), node(2), *rows]).capacity(), {}, NOW)
    assert (found.values["total_cpu_cores"], found.values["used_cpu_cores"]) == (8 + expected[0], 2 + expected[1])
    coverage = found.coverage
    assert (coverage["rows"], coverage["repeated"], coverage["counted"]) == (4, 1, 3)


def bare(row, ip):
    """A row that does not tell its collateral."""
    return {key: value for key, value in row.items() if not key.startswith("collateral")} | {"ip": ip}


@pytest.mark.parametrize(
    ("rows", "cores"),
    [
        ([node(1) | {"ip": "10.0.0.1"}, node(2) | {"ip": "10.0.0.1"}], 8),  # two collaterals at one address and port
        ([node(1), node(1) | {"collateralIndex": 1}], 8),
        ([bare(node(1), "10.0.0.1:16127"), bare(node(2), "10.0.0.1:16137")], 8),
        ([bare(node(1), "10.0.0.1"), bare(node(2), "10.0.0.1:16127")], 4),  # the port that goes without saying
        ([bare(node(1), ""), bare(node(2), "")], 8),  # nothing tells them apart
        ([bare(node(1), None), bare(node(2), 5)], 8),
        ([bare(node(1), "10.0.0.1"), node(2) | {"ip": "10.0.0.1"}], 8),
        ([bare(node(1), "10.0.0.1") | {"collateralHash": None}, bare(node(2), "10.0.0.2") | {"collateralHash": 7}], 8),
    ],
)
def test_several_nodes_of_one_address_stay_several(rows, cores):
    assert measure_cloud(stats(rows).capacity(), {}, NOW).values["total_cpu_cores"] == cores


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_benchmark_does_not_shrink_the_totals(network, collect, later, source, status):
    collect()
    before = totals(source)
    network.rows[0] = benching(node(0, used=(2, 2048, 40)), status)
    later(minutes=10)
    collect()
    assert totals(source) == before
    assert used(source) == (11, 11, 220)  # what its apps take is reported and counts
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


@pytest.mark.parametrize(("path", "half"), [(PATHS[1][0], "used"), (PATHS[6][0], "capacity")], ids=str)
def test_a_number_that_no_node_tells_any_more_is_old_for_an_hour_and_then_unknown(
    network, collect, later, source, get, path, half
):
    """What is remembered of each node stands for some nodes, and never for all of them."""
    collect()
    before = source("cloud").values
    network.rows = [without(node(number, cores=5), *path, value=0) for number in range(10)]
    if half == "used":
        network.rows = [without(row, *path) for row in network.rows]
    later(minutes=10)
    for minutes in (0, 10, 49):
        later(minutes=minutes)
        assert collect()["sources"]["cloud"] == "stale"
        answer = get("metrics/current")
        assert answer["sources"]["cloud"]["asOf"] == "2026-11-20T12:00:00Z"
        assert "no node reports it" in answer["sources"]["cloud"]["error"]
        assert source("cloud").values == before
        assert not sources_part(timezone.now(), {}).problems[1].is_ok
    later(minutes=1)
    assert collect()["sources"]["cloud"] == "ok"
    answer, key = get("metrics/current"), {"used": "used", "capacity": "total"}[half]
    assert (answer["cloud"]["ram"][key], answer["cloud"]["ram"]["utilization"]) == (None, None)
    assert answer["cloud"]["cpu"]["total"] == 50
    coverage = answer["sources"]["cloud"]["coverage"][half]
    assert (coverage["cpu_cores"], coverage["ram_gb"], coverage["counted"], coverage["remembered"]) == (10, 0, 0, 0)


def test_one_node_that_tells_a_number_is_enough_to_remember_it_of_the_others(network, collect, later, source):
    collect()
    network.rows = [node(number, ram=8 if number else 0) for number in range(10)]
    later(minutes=10)
    assert collect()["sources"]["cloud"] == "ok"
    assert totals(source)[1] == 80
    assert source("cloud").coverage["capacity"]["remembered"] == 1


def test_a_use_in_another_unit_is_doubted_and_then_unknown(network, collect, later, source, get):
    collect()
    before = source("cloud")
    network.rows = [node(number, used=(1, 1024 * 1024, 20)) for number in range(10)]
    later(minutes=10)
    assert collect()["sources"]["cloud"] == "stale"
    assert (source("cloud").values, source("cloud").read_at) == (before.values, before.read_at)
    assert get("metrics/current")["cloud"]["ram"]["utilization"] == 12.5
    for _ in range(7):
        later(minutes=10)
        collect()
    ram = get("metrics/current")["cloud"]["ram"]
    assert (ram["total"], ram["used"], ram["utilization"]) == (before.values["total_ram_gb"], None, None)
    assert source("cloud").values["used_cpu_cores"] == before.values["used_cpu_cores"]


@pytest.mark.parametrize(("ram_mb", "is_known"), [(160_000, True), (170_000, False)])
def test_a_small_network_may_tell_more_in_use_than_it_has(network, collect, source, ram_mb, is_known):
    network.rows = [node(number, used=(1, ram_mb, 20)) for number in range(10)]
    assert collect()["sources"]["cloud"] == "ok"
    assert ("used_ram_gb" in source("cloud").values) == is_known


def test_a_damaged_memory_is_an_empty_one(network, collect, later, source):
    collect()
    Memory.objects.update(data=b"damaged")
    network.rows[0] = benching(network.rows[0])
    later(minutes=10)
    assert collect()["sources"]["cloud"] == "ok"
    assert totals(source)[0] == 36


amounts = st.none() | st.floats(0, 1e6, allow_nan=False)
parts = st.builds(Resources, amounts, amounts, amounts, st.booleans())
names = st.none() | st.sampled_from(["a:0", "b:0", "c:1"])
reached = st.builds(Capacity, names, parts, parts)
nodes = reached | st.builds(Capacity, names, st.just(UNKNOWN), st.just(UNKNOWN), st.just(True))
answers = st.builds(
    lambda rows, no_nodes, repeated: Nodes(
        tuple(rows), len(rows) + no_nodes + repeated, {"unusable": no_nodes}, repeated
    ),
    st.lists(nodes, max_size=6),
    st.integers(0, 3),
    st.integers(0, 3),
)


@given(st.lists(answers, max_size=4), st.integers(0, 30))
def test_totals_are_never_negative_and_every_row_is_accounted_for(rounds, hours):
    remembered, now = {}, NOW
    for found in rounds:
        read = measure_cloud(found, remembered, now)
        assert all(math.isfinite(value) and value >= 0 for value in read.values.values())
        for coverage in (read.coverage, read.coverage["capacity"], read.coverage["used"]):
            accounted = coverage["counted"] + coverage["remembered"] + sum(coverage["notCounted"].values())
            assert accounted + found.repeated == read.coverage["rows"]
        told = [one.capacity.cores for one in found.nodes if one.capacity.cores is not None]
        assert read.coverage["capacity"]["cpu_cores"] >= len(told)
        assert ("total_cpu_cores" in read.values) == bool(read.coverage["capacity"]["cpu_cores"])
        assert read.values.get("total_cpu_cores", 0) >= round(math.fsum(told), 2)
        remembered, now = read.remembered, now + timedelta(hours=hours)
