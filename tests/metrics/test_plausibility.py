"""An answer that tells far less than the last one is not believed for an hour."""

from __future__ import annotations

import pytest

from tests.metrics.network import node

pytestmark = pytest.mark.django_db


def shrink_nodes(network, to):
    network.counts = {"cumulus-enabled": to - 2, "nimbus-enabled": 1, "stratus-enabled": 1}


def shrink_rows(network, to):
    network.rows = [node(number) for number in range(to)]


def shrink_specs(network, to):
    del network.specs[to:]


SHRINK = [("nodes", shrink_nodes), ("cloud", shrink_rows), ("apps", shrink_rows), ("specs", shrink_specs)]


@pytest.mark.parametrize(("name", "shrink"), SHRINK)
def test_less_than_half_is_refused_for_an_hour_and_then_believed(network, collect, later, source, name, shrink):
    collect()
    before = source(name)
    shrink(network, 4)
    first = later(minutes=10)
    for _ in range(6):  # at once and 10 to 50 minutes later
        assert collect()["sources"][name] == "stale"
        row = source(name)
        assert "implausible" in row.error
        assert (row.values, row.size, row.implausible_since) == (before.values, before.size, first)
        later(minutes=10)
    assert collect()["sources"][name] == "ok"
    row = source(name)
    assert (row.size, row.error, row.implausible_since) == (4, "", None)


@pytest.mark.parametrize(("name", "shrink"), SHRINK)
def test_half_is_plausible(network, collect, later, source, name, shrink):
    collect()
    shrink(network, 5)
    later(minutes=10)
    assert collect()["sources"][name] == "ok"
    assert source(name).size == 5


@pytest.mark.parametrize(("name", "shrink"), SHRINK)
def test_a_plausible_answer_in_between_begins_the_hour_anew(network, collect, later, source, name, shrink):
    collect()
    kept = network.counts, network.rows, list(network.specs)
    for _ in range(2):
        shrink(network, 4)
        later(minutes=40)
        assert collect()["sources"][name] == "stale"
        network.counts, network.rows, network.specs = kept[0], kept[1], list(kept[2])
        later(minutes=10)
        assert collect()["sources"][name] == "ok"
        assert source(name).implausible_since is None


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
    network.rows = [node(number, ram=None if number else 8) for number in range(10)]
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
    collect()
    network.counts = {"cumulus-enabled": 5, "nimbus-enabled": 3, "stratus-enabled": 0}
    later(minutes=10)
    assert collect()["sources"]["nodes"] == "stale"
    assert source("nodes").values["node_stratus"] == 2
    later(minutes=60)
    assert collect()["sources"]["nodes"] == "ok"
    assert source("nodes").values["node_stratus"] == 0


def test_the_first_answer_may_be_as_small_as_it_likes(network, collect, source):
    network.counts = {"cumulus-enabled": 1, "nimbus-enabled": 0, "stratus-enabled": 0}
    shrink_rows(network, 1)
    assert set(collect()["sources"].values()) == {"ok"}
    assert source("nodes").values["node_total"] == 1


def test_growth_is_always_plausible(network, collect, later):
    collect()
    shrink_rows(network, 100)
    later(minutes=10)
    assert set(collect()["sources"].values()) == {"ok"}


def test_the_last_specifications_serve_while_the_new_ones_are_doubted(network, collect, later, source):
    collect()
    shrink_specs(network, 2)
    later(minutes=10)
    assert collect()["sources"] == dict.fromkeys(("nodes", "cloud", "apps", "price"), "ok") | {"specs": "stale"}
    assert source("apps").coverage["resolved"] == 10
