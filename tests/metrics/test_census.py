"""`take_census`: one row a day, changes of nodes and instances, each source on its own."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta

import orjson
import pytest
from django.apps import apps
from django.utils import timezone

from metrics.alert_rules import of_the_census
from metrics.census.take import CensusReport
from metrics.models import CensusDay, DeploymentTerms, InstanceChange, Memory, NodeChange, RunningApp, Source
from metrics.selectors import running_instances
from metrics.status import census_part
from ops.status import words
from tests.metrics.census_network import PARTS, gone, ip, listed, place, told
from tests.metrics.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

TODAY = date(2026, 11, 20)


def day(when=TODAY):
    return CensusDay.objects.get(day=when)


def changes(when=TODAY):
    rows = NodeChange.objects.filter(day=when)
    return {row.tier.lower(): (row.joins, row.leaves, row.moves) for row in rows}


def test_the_first_census_has_nothing_to_compare_with(census_network, census):
    report = census()
    assert report["sources"] == dict.fromkeys(PARTS, "ok")
    assert (report["nodes"], report["apps"], report["instances"]) == (10, 4, 10)
    assert (report["joins"], report["leaves"], report["moves"]) == (None, None, None)
    assert changes() == {}
    assert report["requests"] == 4


def test_nodes_that_come_go_and_move_are_counted_by_tier(census_network, census, later):
    census_network.nodes = [listed(n, tier=("CUMULUS", "NIMBUS", "STRATUS")[n % 3]) for n in range(12)]
    census()
    later(hours=1)
    del census_network.nodes[:2]  # a Cumulus and a Nimbus
    census_network.nodes += [listed(20, tier="STRATUS"), listed(21, tier="STRATUS")]
    census_network.nodes[0]["ip"] = ip(2, generation=1)  # a Stratus
    report = census()
    assert (report["joins"], report["leaves"], report["moves"]) == (2, 2, 1)
    assert changes() == {"cumulus": (0, 1, 0), "nimbus": (0, 1, 0), "stratus": (2, 0, 1)}


def test_the_changes_of_a_day_add_up_and_another_day_has_its_own(census_network, census, later):
    census()
    for number in (10, 11):
        later(hours=1)
        census_network.nodes.append(listed(number))
        census()
    later(hours=12)
    del census_network.nodes[0]
    census()
    assert changes()["cumulus"] == (2, 0, 0)
    assert changes(TODAY + timedelta(days=1))["cumulus"] == (0, 1, 0)
    assert NodeChange.objects.get(day="2026-11-21", tier="CUMULUS").since == NOW + timedelta(hours=2)


def test_an_address_that_is_not_told_for_a_while_is_no_move(census_network, census, later):
    census()
    here = census_network.nodes[0]["ip"]
    for address, moved in (("", 0), (here, 0), (f"{here.split(':')[0]}:16127", 0), ("", 0), (ip(0, 1), 1)):
        later(minutes=20)
        census_network.nodes[0]["ip"] = address
        assert census()["moves"] == moved, address


def test_with_another_secret_key_moves_are_not_known(census_network, census, later, settings):
    census()
    settings.SECRET_KEY = "another-key-of-the-same-installation"
    later(hours=1)
    report = census()
    assert (report["joins"], report["leaves"], report["moves"]) == (0, 0, None)
    assert changes()["cumulus"] == (0, 0, None)
    later(hours=1)
    assert census()["moves"] == 0
    assert changes()["cumulus"] == (0, 0, None)  # not all of the day's are known


def test_a_doubted_list_makes_no_leaves_until_the_next_one_confirms_it(census_network, census, later):
    census_network.of(200)
    census()
    before = day().nodes
    later(hours=1)
    census_network.nodes = census_network.nodes[:160]
    report = census()
    assert (report["sources"]["node_list"], report["nodes"], report["leaves"]) == ("stale", None, None)
    assert (changes(), day().nodes) == ({}, before)
    later(hours=1)
    census_network.of(200)
    assert census()["leaves"] == 0
    for leaves in (None, 40):
        later(hours=1)
        census_network.nodes = census_network.nodes[:160]
        assert census()["leaves"] == leaves
    assert changes()["cumulus"] == (0, 40, 0)


def test_a_list_of_other_nodes_is_doubted_though_there_are_as_many(census_network, census, later):
    census_network.of(100)
    census()
    census_network.nodes = [listed(number) for number in range(30, 130)]
    for joins in (None, 30):
        later(hours=1)
        assert census()["joins"] == joins
    later(hours=1)
    assert census()["sources"]["node_list"] == "ok"  # of the new list all are still there


def test_a_list_of_strangers_alone_waits_for_an_hour(census_network, census, later):
    census()
    census_network.nodes = [listed(number) for number in range(100, 110)]
    for minutes, outcome in ((10, "stale"), (30, "stale"), (29, "stale"), (1, "ok")):
        later(minutes=minutes)
        assert census()["sources"]["node_list"] == outcome
    assert changes()["cumulus"] == (10, 10, 0)


def test_nodes_twice_in_a_list_and_rows_that_are_none_count_once_and_never(census_network, census):
    spoiled = [
        {**listed(50), "txhash": "no hash"},
        {**listed(51), "tier": "BAMF"},
        None,
        {},
        {**listed(52), "outidx": "x"},
    ]
    census_network.nodes += [*spoiled, listed(3, paid_to="t1other"), {**listed(4), "outidx": 0}]
    assert census()["nodes"] == 10
    coverage = orjson.loads(day().nodes)["coverage"]
    assert (coverage["nodesLeftOut"], coverage["nodesRepeated"]) == (5, 2)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("broken", [503, [], {}, ["nonsense", 5, None]])
def test_a_source_that_fails_leaves_its_own_part_unknown(census_network, census, part, broken):
    census_network.broken[part] = broken
    report = census()
    assert report["sources"] == dict.fromkeys(PARTS, "ok") | {part: "failed"}
    row = day()
    unknown = {
        "node_list": (row.nodes, row.nodes_at),
        "node_facts": (row.facts, row.facts_at, row.lists),
        "locations": (row.running, row.running_at, RunningApp.objects.first()),
        "terms": (DeploymentTerms.objects.first(),),
    }
    assert {name for name, values in unknown.items() if all(value is None for value in values)} == {part}


def test_a_source_that_fails_later_leaves_what_the_day_knows(census_network, census, later):
    census()
    before = day()
    later(hours=1)
    census_network.broken = dict.fromkeys(PARTS[1:], 503)
    census()
    after = day()
    assert (after.facts, after.facts_at, after.running) == (before.facts, NOW, before.running)
    assert after.nodes_at == NOW + timedelta(hours=1)


def test_with_no_source_at_all_it_has_failed(census_network, census):
    census_network.broken = dict.fromkeys(PARTS, 503)
    assert "HTTP 503" in census(code=1)
    assert (NodeChange.objects.count(), RunningApp.objects.count()) == (0, 0)


def test_the_next_day_has_a_row_of_its_own(census_network, census, later):
    census()
    later(hours=12)
    census_network.broken["node_facts"] = 503
    census()
    assert [row.day for row in CensusDay.objects.all()] == [date(2026, 11, 21), TODAY]
    assert day(date(2026, 11, 21)).facts is None


def test_instances_are_kept_as_changes(census_network, census, later):
    census()
    assert {row.app_key: row.instances for row in RunningApp.objects.all()} == {
        "app0": 3,
        "app1": 3,
        "app2": 2,
        "app3": 2,
    }
    later(hours=1)
    census_network.places = [place("APP0", 1), place("app1", 1), place("app1", 1), *census_network.places[5:9]]
    census()
    found = InstanceChange.objects.filter(at=NOW + timedelta(hours=1))
    assert {row.app_key: row.instances for row in found} == {"app0": 2, "app1": 2, "app2": 1, "app3": 1}
    later(hours=1)
    census_network.places = [row for row in census_network.places if row["name"] != "app2"]
    census()
    assert InstanceChange.objects.get(app_key="app2", at=NOW + timedelta(hours=2)).instances == 0
    assert set(running_instances().apps) == {"app0", "app1", "app3"}
    assert (running_instances().of("app2"), running_instances().of("app1")) == (0, 2)
    assert day().running == {"apps": 3, "instances": 5, "changed": 1}


def test_before_locations_were_read_no_number_of_instances_is_known(census_network, census):
    census_network.broken["locations"] = 503
    census()
    assert (running_instances().at, running_instances().of("app0")) == (None, None)


def test_the_hashes_tell_which_version_runs(census_network, census):
    census_network.places = [place("app0", n, hash_=("ab" if n else "cd") * 32) for n in range(3)]
    census_network.places.append(place("app0", 5, hash_="what it likes"))
    census()
    assert RunningApp.objects.get().hashes == {"ab" * 32: 2, "cd" * 32: 1, "": 1}


def test_of_days_long_ago_the_last_change_of_each_app_stays(census_network, census, later):
    census()
    for count in (9, 8, 7):
        later(hours=3)
        census_network.places = [place("app0", number) for number in range(count)]
        census()
    hours = [row.at.hour for row in InstanceChange.objects.filter(app_key="app0").order_by("at")]
    assert hours == [12, 15, 18, 21]
    for hours_on in (24, 24, 24, 24):
        later(hours=hours_on)
        census()
    kept = InstanceChange.objects.filter(app_key="app0")
    assert [(row.at, row.instances) for row in kept] == [(NOW + timedelta(hours=9), 7)]
    assert InstanceChange.objects.filter(app_key="app1").count() == 1


def test_prices_are_kept_when_they_change(census_network, census, later):
    census()
    terms = DeploymentTerms.objects.get()
    assert len(terms.prices) == 6  # two rows come twice
    assert terms.prices[-1] == {
        "height": 1597156, "cpu": 0.03, "ram": 0.01, "hdd": 0.004, "min_price": 0.01, "port": 0.4, "scope": 0.8,
        "static_ip": 0.4,
    }  # fmt: skip
    assert terms.limits["minimumInstances"] == 3
    later(hours=1)
    census()
    assert DeploymentTerms.objects.count() == 1
    census_network.terms["price"].append({"height": 3_000_000, "cpu": 0.02})
    later(hours=1)
    census()
    newest = DeploymentTerms.objects.first()
    assert newest.at == NOW + timedelta(hours=2)
    assert (newest.prices[-1]["cpu"], newest.prices[-1]["ram"]) == (0.02, None)


def place_of(number):
    name, code = f"Provider {number % 3} of place {number % 400}", "ABCDEFGHIJ"[number % 10] + "ABCDEF"[number % 6]
    return {"geolocation__asn": f"AS{1000 + number % 400} {name}", "geolocation__countryCode": code}


def test_the_days_row_is_small(census_network, census):
    census_network.facts = [told(n, **place_of(n)) for n in range(1500)]
    census()
    row = day()
    assert len(row.facts) < 8_000
    assert len(row.lists) < 60_000


IP = re.compile(rb"(?<![0-9.])[0-9]{1,3}(\.[0-9]{1,3}){3}(?![0-9.])")


def test_no_table_and_no_answer_has_the_address_of_a_node(census_network, census, later, get):
    """Not even where an operator wrote it into a text of the node's own."""
    mine = ip(3).split(":")[0]
    census_network.facts[3] = told(
        3, geolocation__org=f"Home of {mine}", geolocation__asn=f"AS77 {mine} GmbH", flux__version=mine,
        benchmark__info__version=f"6.3.1-{mine}",
    )  # fmt: skip
    census_network.places.append(place(f"app{mine}", 3))
    census()
    later(hours=1)
    census_network.nodes[3]["ip"] = ip(3, 1)
    census()
    for path in ("network/decentralisation", "network/nodes", "network/fill", "health"):
        assert not IP.search(orjson.dumps(get(path))), path
    for model in apps.get_app_config("metrics").get_models():
        for values in model.objects.values():
            told_ = b"".join(map(as_bytes, values.values()))
            assert not IP.search(told_.replace(b"127.0.0.1", b"")), model
    (memory,) = Memory.objects.filter(name="node_list")
    assert mine.encode() not in as_bytes(memory.data)


def as_bytes(value):
    import zlib

    if isinstance(value, bytes | memoryview):
        return zlib.decompress(value)
    return json.dumps(value, default=str).encode()


def problems(moment):
    return [words(problem, moment) for problem in census_part(moment, {}).problems if not problem.is_ok]


def test_health_tells_a_census_that_is_late_or_failed(census_network, census, later, get):
    assert problems(NOW) == []
    census_network.broken["locations"] = 503
    census()
    assert problems(NOW) == ["Running instances (FluxOS): never read: flux.test /apps/locations: HTTP 503."]
    assert get("health")["census"]["node_list"]["status"] == "ok"
    moment = later(hours=4)
    assert [status.code for status in of_the_census(moment)] == ["source_late"] * 3
    assert len(problems(moment)) == 4
    census_network.broken.clear()
    census()
    assert (problems(timezone.now()), list(of_the_census(timezone.now()))) == ([], [])


def test_what_the_metrics_know_is_not_what_the_census_knows(census_network, census, get):
    census()
    answer = get("metrics/current")
    assert set(answer["sources"]) == {"nodes", "cloud", "apps", "specs", "price"}
    assert answer["nodes"]["total"] is None
    assert Source.objects.get(name="node_list").values["node_total"] == 10


def test_an_unreachable_node_is_in_no_place(census_network, census):
    census_network.facts[0] = gone(0)
    census()
    facts = orjson.loads(day().facts)
    assert facts["countries"] == [{"code": "AT", "nodes": 9, "collateral": 9_000, "cores": 36}]
    assert (facts["coverage"]["facts"], facts["coverage"]["reached"]) == (10, 9)


def test_the_report_says_when_nothing_was_read():
    report = CensusReport(TODAY, {"terms": "stale"}, None, None, None, None, None, None, {}, frozenset({"terms"}))
    assert not report.nothing_read
