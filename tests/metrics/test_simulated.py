"""A collection against the simulated network, held against what the network knows of itself."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from metrics.models import ImageCount, Source
from metrics.selectors import Latest

pytestmark = pytest.mark.django_db


@pytest.fixture
def sim(build):
    """Makes a network of 120 nodes on which no benchmark runs."""
    return lambda **options: build(20, nodes=120, containers=600, benchmarking=0, **options)


def collected(in_process):
    outcome = in_process("collect_metrics", "--json")
    assert outcome.code == 0, outcome
    return outcome.report


def differences(world):
    """What the collection told otherwise than the network has it, by metric."""
    told, expected = Latest.load(timezone.now()).values, world.expected_metrics()
    facts = expected.nodes | expected.apps | expected.tracked
    found = {key: (told.get(key), value) for key, value in facts.items() if told.get(key) != value}
    for key, value in expected.cloud.items():
        if told[key] != pytest.approx(value, abs=0.01):
            found[key] = (told[key], value)
    return found


@pytest.mark.parametrize("images", [False, True], ids=["names", "images"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_number_is_what_the_network_is(sim, in_process, seed, images):
    world = sim(seed=seed, images=images).world
    assert set(collected(in_process)["sources"].values()) == {"ok"}
    assert differences(world) == {}
    expected = world.expected_metrics()
    assert dict(ImageCount.objects.values_list("image", "count")) == expected.images
    coverage = Source.objects.get(name="apps").coverage
    towers = expected.apps["watchtower_count"]
    assert coverage["resolved"] == expected.containers["resolved"] + towers
    assert coverage["containers"] == expected.containers["all"] + towers


def test_benchmarks_do_not_move_the_totals(sim, in_process):
    world = sim().world
    collected(in_process)
    before = Latest.load(timezone.now()).values["total_cpu_cores"]
    world.benchmarking = 0.3
    world.advance(1000)
    collected(in_process)
    total = Latest.load(timezone.now()).values["total_cpu_cores"]
    # What had failed before the first collection was not known, and may have come since.
    assert before <= total <= world.expected_metrics().cloud_all["total_cpu_cores"]
    assert Source.objects.get(name="cloud").coverage["remembered"] > 10


@pytest.mark.parametrize("kind", ["bad_rows", "few_rows", "zero_rows", "empty_names"])
def test_spoiled_statistics_never_make_numbers_small(sim, in_process, kind):
    server = sim()
    collected(in_process)
    before = Latest.load(timezone.now()).values
    server.faults.add(kind, "/fluxinfo")
    report = collected(in_process)
    after = Latest.load(timezone.now())
    for name, key in (("cloud", "total_cpu_cores"), ("apps", "total_apps")):
        if report["sources"][name] == "stale":
            assert after.values[key] == before[key]
        else:
            assert after.values[key] >= before[key] / 2
    assert after.values["node_total"] == before["node_total"]
    assert json.dumps(dict(after.values))  # no NaN, no infinity: JSON as it should be


@pytest.mark.parametrize("before", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("kind", ["bad_resources", "bad_benchmarks"])
def test_one_bad_half_of_a_row_costs_nothing_of_the_other(sim, in_process, kind, before):
    server = sim()
    if before:
        collected(in_process)
    server.faults.add(kind, "/fluxinfo")
    assert collected(in_process)["sources"]["cloud"] == "ok"
    told, expected = Latest.load(timezone.now()).values, server.world.expected_metrics().cloud
    spoilt = "used" if kind == "bad_resources" else "total"
    halves = {key: told[key] == pytest.approx(expected[key], abs=0.01) for key in expected}
    assert all(right for key, right in halves.items() if before or not key.startswith(spoilt)), halves
    half = Source.objects.get(name="cloud").coverage["used" if spoilt == "used" else "capacity"]
    assert half["remembered" if before else "notCounted"]
    assert (half["notCounted"]["unusable"] > 20) != before


def test_rows_that_come_twice_count_once(sim, in_process):
    server = sim()
    server.faults.add("repeated_rows", "/fluxinfo", share=0.4)
    assert set(collected(in_process)["sources"].values()) == {"ok"}
    assert differences(server.world) == {}
    for name in ("cloud", "apps"):
        coverage = Source.objects.get(name=name).coverage
        assert (coverage["rows"], coverage["repeated"]) == (168, 48)


def test_containers_that_do_not_run_are_not_counted(sim, in_process):
    server = sim()
    server.faults.add("stopped", "/fluxinfo", share=0.1)
    assert collected(in_process)["sources"]["apps"] == "ok"
    everything = server.world.expected_metrics().containers["all"]
    coverage = Source.objects.get(name="apps").coverage
    assert coverage["notRunning"].keys() == {"exited", "restarting", "paused", "created"}
    assert sum(coverage["notRunning"].values()) == int(everything * 0.1)
    assert Latest.load(timezone.now()).values["total_apps"] == everything - int(everything * 0.1)


@pytest.mark.parametrize("share", [0.2, 0.48])
def test_a_lagging_answer_waits_to_be_confirmed(sim, in_process, share):
    server = sim()
    collected(in_process)
    server.faults.add("lagging", share=share)
    report = collected(in_process)
    assert {name for name, outcome in report["sources"].items() if outcome == "stale"} >= {"nodes", "cloud", "apps"}
    assert differences(server.world) == {}
    server.faults.clear()
    assert set(collected(in_process)["sources"].values()) == {"ok"}
    assert differences(server.world) == {}


def test_the_world_moves_and_the_numbers_with_it_once_they_are_confirmed(sim, in_process):
    world = sim().world
    collected(in_process)
    world.set_nodes(200)
    collected(in_process)
    assert Latest.load(timezone.now()).values["node_total"] == 120
    collected(in_process)
    assert Latest.load(timezone.now()).values["node_total"] == 200
    assert differences(world) == {}
