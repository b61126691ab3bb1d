"""An answer that differs from the last good one by more than 15 percent waits for the next; less than half, an hour."""

from __future__ import annotations

import pytest

from metrics.alert_rules import of_sources
from metrics.models import Source
from ops.models import TaskState
from tests.metrics.network import large, node

pytestmark = pytest.mark.django_db


def shrink_nodes(network, to):
    network.counts = {"cumulus-enabled": to - 2, "nimbus-enabled": 1, "stratus-enabled": 1}


def shrink_rows(network, to):
    network.rows = [node(number) for number in range(to)]


def shrink_specs(network, to):
    del network.specs[to:]


SOURCES = ("nodes", "cloud", "apps", "specs")


def shrink(network, to):
    shrink_nodes(network, to)
    shrink_rows(network, to)
    shrink_specs(network, to)


def outcomes(report):
    return {report["sources"][name] for name in SOURCES}


def test_less_than_half_is_refused_for_an_hour_and_then_believed(network, collect, later, source):
    collect()
    before = {name: source(name) for name in SOURCES}
    shrink(network, 4)
    first = later(minutes=10)
    for minutes in (0, 10, 49):  # after the first such reading
        later(minutes=minutes)
        assert outcomes(collect()) == {"stale"}
        for name in SOURCES:
            row, old = source(name), before[name]
            assert "implausible" in row.error, name
            assert (row.values, row.size, row.implausible_since) == (old.values, old.size, first), name
    later(minutes=1)
    assert outcomes(collect()) == {"ok"}
    for name in SOURCES:
        row = source(name)
        assert (row.size, row.error, row.implausible_since) == (4, "", None), name


def test_a_collapse_has_its_own_hour_after_another_doubt(network, collect, later, source):
    large(network, 200)
    collect()
    large(network, 250)
    later(minutes=10)
    collect()
    large(network, 90)
    for minutes in (55, 5, 54):
        later(minutes=minutes)
        assert outcomes(collect()) == {"stale"}
        assert source("nodes").size == 200
    later(minutes=1)
    assert outcomes(collect()) == {"ok"}


@pytest.mark.parametrize(("name", "shrink"), [("nodes", shrink_nodes), ("specs", shrink_specs)])
def test_one_that_shrinks_casts_no_doubt_on_others(network, collect, later, name, shrink):
    collect()
    shrink(network, 4)
    later(minutes=10)
    assert collect()["sources"] == dict.fromkeys((*SOURCES, "price"), "ok") | {name: "stale"}


def test_half_is_plausible(network, collect, later, source):
    collect()
    shrink(network, 5)
    later(minutes=10)
    assert outcomes(collect()) == {"ok"}
    assert {source(name).size for name in SOURCES} == {5}


def test_a_plausible_answer_in_between_begins_the_hour_anew(network, collect, later, source):
    collect()
    kept = network.counts, network.rows, list(network.specs)
    for _ in range(2):
        shrink(network, 4)
        later(minutes=40)
        assert outcomes(collect()) == {"stale"}
        network.counts, network.rows, network.specs = kept[0], kept[1], list(kept[2])
        later(minutes=10)
        assert outcomes(collect()) == {"ok"}
        assert {source(name).implausible_since for name in SOURCES} == {None}


def test_an_outage_in_between_does_not(network, collect, later, source):
    collect()
    shrink_nodes(network, 4)
    later(minutes=10)
    collect()
    network.broken["nodes"] = 503
    later(minutes=30)
    collect()
    network.broken.clear()
    later(minutes=30)
    assert collect()["sources"]["nodes"] == "ok"


def test_rows_that_became_unusable_count_as_gone(network, collect, later):
    collect()
    network.rows = [node(number) | ({"benchmark": None} if number else {}) for number in range(10)]
    later(minutes=10)
    assert collect()["sources"]["cloud"] == "stale"


def test_containers_that_vanish_are_not_believed_at_once(network, counted, collect, later, source):
    counted("nginx:1", "nginx:1", "nginx:1")
    for row in network.rows:
        row["apps"]["runningapps"] = []
    later(minutes=10)
    assert collect()["sources"]["apps"] == "stale"
    assert source("apps").values["total_apps"] == 3
    later(minutes=60)
    collect()
    assert source("apps").values["total_apps"] == 0


def test_a_tier_that_vanishes_is_not_believed_at_once(network, collect, later, source):
    network.counts = {"cumulus-enabled": 50, "nimbus-enabled": 30, "stratus-enabled": 8}
    collect()
    network.counts |= {"stratus-enabled": 0}
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "stale"
    assert source("nodes").values["node_stratus"] == 8
    later(minutes=60)
    assert collect()["sources"]["nodes"] == "ok"
    assert source("nodes").values["node_stratus"] == 0


@pytest.mark.parametrize("few", [1, 7])
def test_the_few_nodes_of_a_tier_may_all_leave_at_once(network, collect, later, source, few):
    network.counts = {"cumulus-enabled": 8, "nimbus-enabled": 1, "stratus-enabled": few}
    collect()
    network.counts |= {"stratus-enabled": 0}
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "ok"
    assert source("nodes").values["node_stratus"] == 0


def test_the_first_answer_may_be_as_small_as_it_likes(network, collect, source):
    network.counts = {"cumulus-enabled": 1, "nimbus-enabled": 0, "stratus-enabled": 0}
    shrink_rows(network, 1)
    assert set(collect()["sources"].values()) == {"ok"}
    assert source("nodes").values["node_total"] == 1


OFF = {  # what one reading tells instead of 200 of each: the sources that are in doubt then
    "fewer nodes and more specifications": ({"nodes": 169, "rows": 200, "specs": 231}, {"nodes", "specs"}),
    "more nodes and fewer specifications": ({"nodes": 231, "rows": 200, "specs": 169}, {"nodes", "specs"}),
    "fewer rows": ({"rows": 169, "containers": 169}, {"cloud", "apps"}),
    "more rows": ({"rows": 231, "containers": 231}, {"cloud", "apps"}),
    "fewer containers": ({"containers": 169}, {"apps"}),
    "fewer cores": ({"cores": 3.3}, {"cloud"}),
    "more cores": ({"cores": 4.7}, {"cloud"}),
    "more memory": ({"ram": 10}, {"cloud"}),
}


def told(get):
    """The numbers that are shown."""
    answer = get("metrics/current")
    return {
        "nodes": answer["nodes"]["total"], "cores": answer["cloud"]["cpu"]["total"],
        "ram": answer["cloud"]["ram"]["total"], "containers": answer["apps"]["total"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.engine] if name == "fewer rows" else []) for name in OFF]
)
def test_a_change_of_more_than_15_percent_waits_for_the_next_reading(network, collect, later, get, source, name):
    changed, sources = OFF[name]
    large(network)
    collect()
    before, good = told(get), {key: (source(key).values, source(key).size) for key in sources}
    large(network, **changed)
    moment = later(minutes=10)
    report = collect()
    assert {key for key, outcome in report["sources"].items() if outcome != "ok"} == sources
    assert {key: (source(key).values, source(key).size) for key in sources} == good
    assert told(get) == before
    answers = get("metrics/current")["sources"]
    for key in sources:
        answer = answers[key]
        assert (answer["status"], answer["asOf"], answer["doubtedSince"]) == (
            "stale", "2026-11-20T12:00:00Z", "2026-11-20T12:10:00Z",
        )  # fmt: skip
        assert answer["error"].startswith("implausible: ")
        assert answer["coverage"]["doubted"]["rows"]
        assert (source(key).failures, source(key).implausible_since) == (0, moment)
    later(minutes=10)
    assert set(collect()["sources"].values()) == {"ok"}
    assert all((source(key).implausible_since, source(key).doubted) == (None, None) for key in sources)
    answers = get("metrics/current")["sources"]
    assert all(answers[key]["doubtedSince"] is None for key in sources)
    assert all((source(key).values, source(key).size) != good[key] for key in sources)


@pytest.mark.parametrize("nodes", [340, 460])
def test_a_change_of_15_percent_is_believed_at_once(network, collect, later, nodes):
    large(network, 400)
    collect()
    large(network, nodes)
    later(minutes=10)
    assert set(collect()["sources"].values()) == {"ok"}


def test_the_tiers_are_held_against_their_own(network, collect, later, source):
    large(network)
    collect()
    network.counts = {"cumulus-enabled": 80, "nimbus-enabled": 60, "stratus-enabled": 60}
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "stale"
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "ok"
    assert source("nodes").values["node_cumulus"] == 80


def test_a_reading_that_comes_and_goes_is_never_believed(network, collect, later, source):
    for _ in range(6):
        large(network)
        assert collect()["sources"]["nodes"] == "ok"
        later(minutes=10)
        network.counts = {"cumulus-enabled": 60, "nimbus-enabled": 30, "stratus-enabled": 30}
        assert collect()["sources"]["nodes"] == "stale"
        later(minutes=10)
    assert source("nodes").values["node_total"] == 200


def test_a_second_reading_confirms_only_about_the_same(network, collect, later, source):
    large(network)
    collect()
    for nodes, outcome in ((160, "stale"), (130, "stale"), (160, "stale"), (150, "ok"), (160, "ok")):
        large(network, nodes, rows=200, specs=200)
        later(minutes=10)
        assert collect()["sources"]["nodes"] == outcome, nodes
    assert source("nodes").values["node_total"] == 160


def test_what_collapsed_to_one_number_and_then_to_another_is_not_confirmed(network, collect, later):
    large(network)
    collect()
    for minutes, nodes, outcome in ((10, 90, "stale"), (50, 90, "stale"), (20, 60, "stale"), (10, 60, "ok")):
        large(network, nodes, rows=200, specs=200)
        later(minutes=minutes)
        assert collect()["sources"]["nodes"] == outcome


def test_a_failure_between_two_readings_changes_nothing(network, collect, later):
    large(network)
    collect()
    large(network, 160)
    later(minutes=10)
    collect()
    network.broken["nodes"] = 503
    later(minutes=10)
    collect()
    network.broken.clear()
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "ok"


def test_after_days_of_silence_a_different_reading_still_waits_for_a_second(network, collect, later):
    large(network)
    collect()
    large(network, 160)
    later(days=2)
    assert collect()["sources"]["nodes"] == "stale"
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "ok"


@pytest.mark.parametrize(("before", "after"), [(4, 5), (5, 4), (4, 11), (10, 5), (10, 17), (49, 42), (49, 56)])
def test_a_small_network_may_gain_or_lose_a_few_nodes_at_once(network, collect, later, source, before, after):
    large(network, before)
    collect()
    large(network, after)
    later(minutes=10)
    assert set(collect()["sources"].values()) == {"ok"}
    assert source("cloud").values["total_cpu_cores"] == 4 * after


@pytest.mark.parametrize(("before", "after"), [(4, 12), (10, 18), (49, 41), (49, 57)])
def test_a_small_network_does_not_change_as_a_whole_at_once(network, collect, later, source, before, after):
    large(network, before)
    collect()
    large(network, after)
    later(minutes=10)
    report = collect()["sources"]
    assert (report["nodes"], report["cloud"]) == ("stale", "stale")
    assert source("cloud").values["total_cpu_cores"] == 4 * before
    later(minutes=10)
    assert set(collect()["sources"].values()) == {"ok"}
    assert source("nodes").values["node_total"] == after


@pytest.mark.parametrize(("before", "after", "outcome"), [(1, 49, "ok"), (30, 20, "ok"), (40, 60, "stale")])
def test_a_few_containers_may_become_others_at_once(network, collect, later, before, after, outcome):
    """A single app brings several of them."""
    large(network, 60, containers=before)
    collect()
    large(network, 60, containers=after)
    later(minutes=10)
    assert collect()["sources"]["apps"] == outcome


def test_a_doubted_reading_is_no_failure_of_the_collection(network, collect, later):
    large(network)
    collect()
    network.broken["price"] = 503
    large(network, 160)
    later(minutes=10)
    assert set(collect()["sources"].values()) == {"stale"}  # and the command ends with 0
    assert TaskState.objects.get(name="collect_metrics").consecutive_failures == 0
    later(minutes=10)
    collect()
    assert not list(of_sources(later(minutes=1)))


def test_a_doubt_that_the_release_before_left_behind_confirms_nothing(network, collect, later):
    large(network)
    collect()
    Source.objects.filter(name="nodes").update(doubted={"node_total": 160, "rows": 160}, implausible_since=None)
    large(network, 160)
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "stale"


def test_the_last_specifications_serve_while_the_new_ones_are_doubted(network, collect, later, source):
    collect()
    shrink_specs(network, 2)
    later(minutes=10)
    assert collect()["sources"] == dict.fromkeys(("nodes", "cloud", "apps", "price"), "ok") | {"specs": "stale"}
    assert source("apps").coverage["resolved"] == 10
