"""The sources in `/api/health`."""

from __future__ import annotations

import pytest

from dashboard.status_page import sources
from metrics.models import Source
from metrics.status import sources_part
from ops.status import words
from tests.metrics.conftest import NOW

pytestmark = pytest.mark.django_db


def reports(moment):
    return sources_part(moment, {}).report


def told(moment):
    return [words(status, moment) for status in sources_part(moment, {}).problems if not status.is_ok]


def test_a_fresh_installation_has_no_trouble():
    assert told(NOW) == []
    assert {one["status"] for one in reports(NOW).values()} == {"never"}
    assert reports(NOW).keys() == set(Source.Name.values)


def test_good_sources_tell_their_age(network, collect, later):
    collect()
    moment = later(minutes=10)
    assert told(moment) == []
    assert reports(moment)["nodes"] == {
        "status": "ok",
        "asOf": "2026-11-20T12:00:00Z",
        "ageSeconds": 600,
        "error": None,
    }


def test_a_stale_and_a_failed_source_are_trouble(network, collect, later):
    network.broken["specs"] = 503
    network.run("nginx:1")
    collect()
    network.broken["nodes"] = 503
    moment = later(minutes=10)
    collect()
    assert told(moment) == [
        "Node counts (daemon): last read 10 min ago: flux.test /daemon/getfluxnodecount: HTTP 503.",
        "App specifications (FluxOS): never read: flux.test /apps/globalappsspecifications: HTTP 503.",
    ]


def test_a_total_that_is_not_the_sum_of_the_tiers_is_trouble(network, collect, later, get):
    network.counts |= {"total": 6000}
    collect()
    moment = later(minutes=10)
    assert told(moment) == ["Node counts (daemon): the source reports 6,000 nodes, not the sum of its tiers."]
    answer = get("metrics/current")
    assert (answer["nodes"]["total"], answer["sources"]["nodes"]["status"]) == (10, "ok")
    (line,) = [line for line in sources(moment) if line.name == "Node counts"]
    assert (line.state, line.problem) == (
        "ok", "Node counts: the source reports 6,000 nodes, not the sum of its tiers; showing that sum.",
    )  # fmt: skip
    network.counts |= {"total": 10}
    collect()
    assert told(moment) == []


def test_without_collections_every_source_is_stale(network, collect, later):
    collect()
    moment = later(hours=3)
    assert len(told(moment)) == 5
    assert all("no collection has succeeded since" in one for one in told(moment))


def test_a_clock_set_back_gives_no_negative_age(network, collect):
    collect()
    assert reports(NOW.replace(year=2025))["nodes"]["ageSeconds"] == 0
