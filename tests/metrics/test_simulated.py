"""A collection against the simulated network, held against what the network knows of itself."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from metrics.latest import Latest
from metrics.models import ImageCount, Source

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


def test_the_world_moves_and_the_numbers_with_it(sim, in_process):
    world = sim().world
    collected(in_process)
    world.set_nodes(200)
    collected(in_process)
    assert Latest.load(timezone.now()).values["node_total"] == 200
    assert differences(world) == {}
