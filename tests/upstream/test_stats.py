import copy
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream import stats_parsing
from fluxtracker.upstream.clients import stats as stats_of_settings
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from fluxtracker.upstream.parsing import WRONG_SHAPE
from fluxtracker.upstream.stats import Stats
from fluxtracker.upstream.stats_parsing import UNKNOWN, Benchmark, Capacity, Container, NotUsed, Resources
from tests.upstream.payloads import payload

BASE = "https://stats.example"
INFO = f"{BASE}/fluxinfo"
HISTORY = f"{BASE}/fluxhistorystats"
BENCHMARKING, PLAIN, NO_ADDRESS, NIMBUS, STRATUS, PLACEHOLDER = payload("stats_fluxinfo_full")["data"]
WRONG = [None, "", "4", -1, -0.5, True, [], {}, 10**12, 1e308]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def stats(http):
    return Stats(http, BASE)


def success(data):
    return {"status": "success", "data": data}


def spoiled(row, path, value):
    """A copy of the row with another value at the path; `...` takes the key away."""
    row = copy.deepcopy(row)
    *path, last = path.split(".")
    place = row
    for key in path:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return row


def test_capacity_tells_what_nodes_have_and_what_apps_take(web, stats):
    web.get(INFO, json=success([PLAIN]))
    found = stats.capacity()
    assert found.nodes == (
        Capacity(f"{PLAIN['collateralHash']}:0", Resources(4, 7.8, 256), Resources(3, 3000 / 1024, 43)),
    )
    assert (found.rows, found.unusable) == (1, 0)


def test_capacity_asks_only_for_what_it_needs(web, stats):
    web.get(INFO, json=success([PLAIN]))
    stats.capacity()
    asked = web.calls[0].request.params["projection"].split(",")
    assert {"error", "geolocation.ip", "apps.resources", "benchmark.bench.ram"} <= set(asked)
    assert not any(a != b and f"{b}.".startswith(f"{a}.") for a in asked for b in asked)


def test_the_real_rows_are_told_apart(web, stats):
    web.get(INFO, json=payload("stats_fluxinfo_full"))
    found = stats.capacity()
    assert [(node.capacity.is_whole, node.unreachable) for node in found.nodes] == [
        (False, False),  # its benchmark runs; its apps are known
        (True, False),
        (True, False),  # no address is given, and all else is there
        (True, False),
        (True, False),
        (False, True),
    ]
    assert found.unusable == 0


HAS, TAKES = Resources(4, 7.8, 256), Resources(3, 3000 / 1024, 43)


@pytest.mark.parametrize("value", [..., *WRONG])
@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("benchmark.bench.cores", (replace(HAS, cores=None, unusable=True), TAKES)),
        ("benchmark.bench.ram", (replace(HAS, ram_gb=None, unusable=True), TAKES)),
        ("benchmark.bench.ssd", (replace(HAS, storage_gb=None, unusable=True), TAKES)),
        ("benchmark.bench", (replace(UNKNOWN, unusable=True), TAKES)),
        ("benchmark", (replace(UNKNOWN, unusable=True), TAKES)),
        ("apps.resources.appsCpusLocked", (HAS, replace(TAKES, cores=None, unusable=True))),
        ("apps.resources.appsRamLocked", (HAS, replace(TAKES, ram_gb=None, unusable=True))),
        ("apps.resources.appsHddLocked", (HAS, replace(TAKES, storage_gb=None, unusable=True))),
        ("apps.resources", (HAS, replace(UNKNOWN, unusable=True))),
        ("apps", (HAS, replace(UNKNOWN, unusable=True))),
    ],
    ids=str,
)
def test_a_wrong_number_is_unknown_and_the_others_are_told(web, stats, path, known, value):
    web.get(INFO, json=success([spoiled(PLAIN, path, value), NIMBUS]))
    found = stats.capacity()
    assert (found.nodes[0].capacity, found.nodes[0].used) == known
    assert (found.rows, found.unusable, len(found.nodes)) == (2, 0, 2)


@pytest.mark.parametrize("row", [None, 5, "text", [], True])
def test_a_row_that_is_no_node_is_left_out_and_counted(web, stats, row):
    web.get(INFO, json=success([row, NIMBUS]))
    assert stats.capacity().unusable == 1


@pytest.mark.parametrize("where", ["/fluxinfo", "/fluxinfo bare"])
@pytest.mark.parametrize("rows", [[], [BENCHMARKING], [PLACEHOLDER], [BENCHMARKING, PLACEHOLDER, {}], [{}, {}], [None]])
def test_an_answer_without_one_usable_node_is_none(web, stats, rows, where):
    web.get(INFO, json=rows if "bare" in where else success(rows))
    with pytest.raises(BadAnswer, match=r"stats\.example /fluxinfo"):
        stats.capacity()


@pytest.mark.parametrize(
    "answer", [None, 5, {}, success(None), success({}), success("busy"), {"status": "error", "data": "Internal error"}]
)
@pytest.mark.parametrize("question", ["capacity", "containers", "benchmarks", "node_history"])
def test_a_wrong_answer_is_refused(web, stats, question, answer):
    web.get(INFO, json=answer)
    web.get(HISTORY, json=answer)
    with pytest.raises(BadAnswer):
        getattr(stats, question)()


def test_a_web_page_is_no_answer(web, stats):
    web.get(INFO, body="<html>busy</html>")
    with pytest.raises(BadAnswer, match="web page"):
        stats.capacity()


def test_an_outage_is_one(web, stats):
    web.get(INFO, status=503)
    with pytest.raises(Unavailable):
        stats.containers()


def test_a_bare_list_of_nodes_is_accepted(web, stats):
    web.get(INFO, json=[PLAIN])
    assert stats.capacity().rows == 1
    assert stats.containers().nodes == 1


@pytest.mark.parametrize("error", [{}, "Node unreachable", True])
def test_a_row_with_an_error_is_unreachable(error):
    assert stats_parsing.capacity(PLAIN | {"error": error}).unreachable


def test_containers_of_today_come_by_name(web, stats):
    web.get(INFO, json=payload("stats_fluxinfo_full"))
    found = stats.containers()
    assert found.containers[:2] == (
        Container("fluxgateway_cumulusvpnat", None),
        Container("fluxgateway_cumulusvpnmx", None),
    )
    assert (len(found.containers), found.rows, found.nodes, found.left_out) == (6, 6, 5, 0)


def test_containers_of_before_come_by_image(web, stats):
    web.get(INFO, json=payload("stats/runningapps_before_8_18"))
    found = stats.containers()
    assert Container(None, "presearch/node:latest") in found.containers
    assert (len(found.containers), found.rows, found.nodes) == (5, 4, 3)


def nodes_running(*containers):
    return success([{"apps": {"runningapps": list(containers)}}])


def test_a_container_may_tell_both(web, stats):
    web.get(INFO, json=nodes_running({"Names": ["/fluxa_b", "/other"], "Image": "host:5000/x/y:1"}))
    assert stats.containers().containers == (Container("fluxa_b", "host:5000/x/y:1"),)


@pytest.mark.parametrize("image", ["sha256:" + "ab" * 32, "", " ", 5, None, "x" * 300, "<b>"])
def test_what_is_no_image_counts_as_none(web, stats, image):
    web.get(INFO, json=nodes_running({"Names": ["/fluxa"], "Image": image}))
    assert stats.containers().containers == (Container("fluxa", None),)


@pytest.mark.parametrize(
    "odd", [None, 5, {}, {"Names": []}, {"Names": [5]}, {"Names": "/a"}, {"Names": ["x" * 999]}, {"Image": ["a/b"]}]
)
def test_a_container_without_name_and_image_is_left_out_and_counted(web, stats, odd):
    web.get(INFO, json=nodes_running(odd, {"Names": ["/fluxa"]}))
    found = stats.containers()
    assert (len(found.containers), found.left_out) == (1, 1)


def test_the_old_question_for_images_gets_no_answer_any_more(web, stats):
    web.get(INFO, json=payload("stats/runningapps_image_since_8_18"))
    with pytest.raises(BadAnswer, match="no usable container"):
        stats.containers()


@pytest.mark.parametrize("rows", [[], [{}], [{"apps": {}}], [{"apps": {"runningapps": None}}], [None]])
def test_rows_without_any_list_of_containers_are_no_answer(web, stats, rows):
    web.get(INFO, json=success(rows))
    with pytest.raises(BadAnswer):
        stats.containers()


def test_a_network_may_run_nothing(web, stats):
    web.get(INFO, json=nodes_running())
    assert stats.containers().containers == ()


def test_benchmarks_come_from_all_tiers(web, stats):
    web.get(INFO, json=payload("stats_fluxinfo_full"))
    found = stats.benchmarks()
    assert [node.tier for node in found.nodes] == ["CUMULUS", "CUMULUS", "NIMBUS", "STRATUS"]
    assert found.nodes[-1] == Benchmark("STRATUS", 16, 61, 880, 3178.49, 552.94875, 950.3436118125, 921.562960375)
    assert found.left_out == {"benchmarking": 1, "unreachable": 1}


@pytest.mark.parametrize("value", [..., *WRONG])
@pytest.mark.parametrize("name", stats_parsing.BENCHED)
def test_a_wrong_number_of_a_benchmark_costs_no_other(web, stats, name, value):
    web.get(INFO, json=success([PLAIN | {"collateralIndex": 1}, spoiled(PLAIN, f"benchmark.bench.{name}", value)]))
    found = stats.benchmarks()
    whole, spoilt = ([getattr(node, key) for key in Benchmark.__slots__] for node in found.nodes)
    place = 1 + list(stats_parsing.BENCHED).index(name)
    assert whole[place]
    assert spoilt == [*whole[:place], None, *whole[place + 1 :]]
    assert found.left_out == {}


@pytest.mark.parametrize("path", ["tier", "benchmark", "benchmark.bench"])
@pytest.mark.parametrize("value", [..., *WRONG])
def test_a_benchmark_without_tier_or_numbers_is_left_out_and_counted(web, stats, path, value):
    web.get(INFO, json=success([spoiled(PLAIN, path, value), NIMBUS]))
    found = stats.benchmarks()
    assert [node.tier for node in found.nodes] == ["NIMBUS"]
    assert found.left_out == {"unusable": 1}


@pytest.mark.parametrize("question", ["capacity", "containers", "benchmarks"])
def test_each_question_tells_the_rows_of_a_node_apart(web, stats, question):
    web.get(INFO, json=success([PLAIN, PLACEHOLDER | {"collateralHash": PLAIN["collateralHash"]}, NIMBUS, NIMBUS]))
    found = getattr(stats, question)()
    assert (found.rows, found.repeated) == (4, 2)
    told = found.nodes if question == "containers" else len(found.nodes)
    assert told == 2
    asked = web.calls[0].request.params["projection"].split(",")
    assert {"collateralHash", "collateralIndex", "ip", "dataCollectedAt", "roundTime", "error"} <= set(asked)
    assert not any(a != b and f"{b}.".startswith(f"{a}.") for a in asked for b in asked)


def test_the_states_of_containers_are_asked_for(web, stats):
    web.get(INFO, json=success([PLAIN]))
    stats.containers()
    asked = set(web.calls[0].request.params["projection"].split(","))
    assert {f"apps.runningapps.{name}" for name in ("Names", "Image", "State", "Status")} <= asked


def test_the_history_of_node_counts_comes_oldest_first(web, stats):
    web.get(HISTORY, json=payload("stats_fluxhistorystats"))
    found = stats.node_history()
    assert len(found.points) == 7
    assert found.points[0].at < found.points[-1].at
    last = found.points[-1]
    assert last.at == datetime.fromtimestamp(1790792687.779, UTC)
    assert (last.cumulus, last.nimbus, last.stratus, last.total) == (3377, 1582, 1760, 6719)


@pytest.mark.parametrize(
    ("when", "counts"),
    [
        ("yesterday", {"cumulus": 1, "nimbus": 1, "stratus": 1}),
        ("-5", {"cumulus": 1, "nimbus": 1, "stratus": 1}),
        ("9" * 18, {"cumulus": 1, "nimbus": 1, "stratus": 1}),
        ("1790792687779", {"cumulus": 1, "nimbus": 1}),
        ("1790792687779", {"cumulus": 1, "nimbus": 1, "stratus": None}),
        ("1790792687779", {"cumulus": 1, "nimbus": 1, "stratus": -1}),
        ("1790792687779", {"cumulus": 0, "nimbus": 0, "stratus": 0}),
        ("1790792687779", {"cumulus": 2**31 - 1, "nimbus": 1, "stratus": 0}),
        ("1790792687779", None),
        ("1790792687779", []),
    ],
)
def test_a_wrong_point_is_left_out_and_counted(web, stats, when, counts):
    web.get(HISTORY, json=success({when: counts, "1790700000000": {"cumulus": 3, "nimbus": "2", "stratus": 1.0}}))
    found = stats.node_history()
    assert [point.total for point in found.points] == [6]
    assert found.left_out == 1


def test_a_history_without_one_usable_point_is_none(web, stats):
    web.get(HISTORY, json=success({"1": None}))
    with pytest.raises(BadAnswer, match="none of 1"):
        stats.node_history()


@given(json_values)
def test_any_json_is_a_row_or_a_wrong_one(value):
    for reader in (stats_parsing.capacity, stats_parsing.running, stats_parsing.benchmark):
        try:
            reader(value)
        except (*WRONG_SHAPE, NotUsed):
            pass


FIELDS = (*(f"benchmark.bench.{name}" for name in stats_parsing.BENCHED), "apps.resources.appsCpusLocked",
          "apps.resources.appsRamLocked", "apps.resources.appsHddLocked", "collateralHash", "collateralIndex",
          "geolocation", "tier")  # fmt: skip


@given(st.sampled_from(FIELDS), json_values)
def test_no_number_of_a_row_is_ever_negative_or_none_at_all(path, value):
    row = spoiled(PLAIN, path, value)
    try:
        node = stats_parsing.capacity(row)
        stats_parsing.benchmark(row)
    except (*WRONG_SHAPE, NotUsed):
        return
    for part in (node.capacity, node.used):
        assert all(number is None or (math.isfinite(number) and number >= 0) for number in part.numbers)
        assert part.is_whole or part.unusable or part is not node.used


def test_it_asks_the_host_of_the_settings(http, settings):
    settings.FLUX_STATS_URL = "https://user:secret@other.example/"
    assert stats_of_settings(http).host == "other.example"
