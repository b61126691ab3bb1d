"""Faults inside a successful answer."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.simnet.asking import build, get
from tests.simnet.control import Kind
from tests.simnet.fault_effects import bad
from tests.simnet.server import SimServer
from tests.waiting import AMPLE

ASKED = "benchmark.bench.cores,benchmark.bench.ram,benchmark.bench.ssd,apps.resources,apps.runningapps.Names"


@pytest.fixture
def spoiled() -> Any:
    with SimServer(build(payments=300, nodes=90, benchmarking=0.0)) as server:
        yield server


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def is_whole(row: Any) -> bool:
    """Whether every part of the row is usable."""
    try:
        numbers = [*row["benchmark"]["bench"].values(), *row["apps"]["resources"].values()]
        return len(numbers) == 6 and all(map(is_number, numbers)) and isinstance(row["apps"]["runningapps"], list)
    except (KeyError, TypeError, AttributeError):
        return False


def rows(sim: SimServer) -> Any:
    return get(sim, "/fluxinfo", projection=ASKED)["data"]


def test_a_share_of_the_rows_is_good_for_nothing(spoiled: SimServer) -> None:
    spoiled.faults.add(Kind.BAD_ROWS, "fluxinfo")
    found = rows(spoiled)
    assert [number for number, row in enumerate(found) if not is_whole(row)] == bad(90)
    assert len(bad(90)) == 27
    assert None in found
    assert any(isinstance(row, str) for row in found)


def test_the_truth_can_leave_bad_rows_out(spoiled: SimServer) -> None:
    spoiled.faults.add("bad_rows", "fluxinfo", share=0.5)
    good = [row for row in rows(spoiled) if is_whole(row) and row["benchmark"]["bench"]["cores"]]
    found = spoiled.world.expected_metrics(without=bad(90, 0.5))
    assert found.rows["good"] == len(good)
    assert found.cloud["total_cpu_cores"] == sum(row["benchmark"]["bench"]["cores"] for row in good)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.3, 3), (1.0, 10)])
def test_the_share_may_be_none_or_all(share: float, count: int) -> None:
    assert len(bad(10, share)) == count


def test_every_odd_value_occurs(spoiled: SimServer) -> None:
    spoiled.faults.add("bad_rows", "fluxinfo")
    objects = [row for number, row in enumerate(rows(spoiled)) if number in bad(90) and isinstance(row, dict)]
    values = {repr(row["apps"]["resources"].get("appsRamLocked", "missing")) for row in objects}
    assert values == {"'missing'", "None", "'12 or so'", "-1", "True", "[]", "'7'"}


def test_node_counts_and_their_history_are_spoiled_too(spoiled: SimServer) -> None:
    spoiled.faults.add("bad_rows")
    counts = get(spoiled, "/daemon/getfluxnodecount")["data"]
    assert not all(map(is_number, counts.values())) or len(counts) < 11
    points = get(spoiled, "/fluxhistorystats")["data"]
    wrong = [p for p in points.values() if not isinstance(p, dict) or len(p) < 3 or not all(map(is_number, p.values()))]
    assert 0.25 < len(wrong) / len(points) < 0.35


def test_only_a_third_of_the_rows_may_come(spoiled: SimServer) -> None:
    whole = rows(spoiled)
    spoiled.faults.add("few_rows")
    assert rows(spoiled) == whole[:30]
    assert get(spoiled, "/daemon/getfluxnodecount")["data"]["total"] == 30
    found = spoiled.world.expected_metrics(without=range(30, 90))
    assert found.containers["all"] == sum(len(row["apps"]["runningapps"]) for row in whole[:30])


def test_every_number_may_be_zero(spoiled: SimServer) -> None:
    spoiled.faults.add("zero_rows")
    found = rows(spoiled)
    assert len(found) == 90
    assert {value for row in found for value in row["benchmark"]["bench"].values()} == {0}
    assert any(row["apps"]["runningapps"] for row in found)
    assert get(spoiled, "/daemon/getfluxnodecount")["data"]["total"] == 0


def test_containers_may_have_no_names(spoiled: SimServer) -> None:
    spoiled.faults.add("empty_names")
    names = [c["Names"] for row in rows(spoiled) for c in row["apps"]["runningapps"]]
    assert names
    assert all(name == [] for name in names)


@pytest.mark.parametrize(
    ("kind", "tree", "half"), [("bad_resources", "apps", "resources"), ("bad_benchmarks", "benchmark", "bench")]
)
def test_one_half_of_a_row_may_be_bad_alone(spoiled: SimServer, kind: str, tree: str, half: str) -> None:
    whole = rows(spoiled)
    spoiled.faults.add(kind, "fluxinfo")
    found = rows(spoiled)
    assert [number for number, row in enumerate(found) if not is_whole(row)] == bad(90)
    for before, after in zip(whole, found, strict=True):
        before[tree].pop(half)
        after[tree].pop(half)
    assert found == whole


def test_a_share_of_the_nodes_may_have_two_rows(spoiled: SimServer) -> None:
    fields = {"projection": f"collateralHash,error,geolocation.ip,{ASKED}"}
    whole = get(spoiled, "/fluxinfo", **fields)["data"]
    spoiled.faults.add("repeated_rows", "fluxinfo", share=0.2)
    found = get(spoiled, "/fluxinfo", **fields)["data"]
    assert found[:90] == whole
    assert [row["collateralHash"] for row in found[90:]] == [whole[number]["collateralHash"] for number in bad(90, 0.2)]
    assert [row.get("error") for row in found[90:]][:4:2] == [{}, {}]
    assert found[91] == whole[bad(90, 0.2)[1]]
    assert found[90]["apps"]["runningapps"] == []


@pytest.mark.parametrize(("share", "left"), [(0.48, 46), (0.2, 72)])
def test_an_answer_may_lag_behind(spoiled: SimServer, share: float, left: int) -> None:
    whole = rows(spoiled)
    spoiled.faults.add("lagging", share=share)
    assert rows(spoiled) == whole[:left]
    assert get(spoiled, "/daemon/getfluxnodecount")["data"]["total"] == left


def test_a_share_of_the_containers_may_not_run(spoiled: SimServer) -> None:
    asked = "apps.runningapps.Names,apps.runningapps.State"
    before = [c["State"] for row in get(spoiled, "/fluxinfo", projection=asked)["data"] for c in _list(row)]
    spoiled.faults.add("stopped", "fluxinfo", share=0.5)
    after = [c["State"] for row in get(spoiled, "/fluxinfo", projection=asked)["data"] for c in _list(row)]
    assert set(before) == {"running"}
    assert after.count("running") == len(before) - len(before) // 2
    assert set(after) == {"running", "exited", "restarting", "paused", "Created"}


def _list(row: Any) -> Any:
    return row["apps"]["runningapps"]


def test_another_process_can_spoil_rows(spoiled: SimServer) -> None:
    wishes = {"kind": "bad_rows", "path": "fluxinfo", "share": 0.1, "times": 1}
    assert requests.post(f"{spoiled.url}/_sim/fault", json=wishes, timeout=AMPLE).status_code == 200
    assert sum(not is_whole(row) for row in rows(spoiled)) == 9
    assert all(map(is_whole, rows(spoiled)))


def test_a_spoiled_answer_is_still_a_success_and_the_next_is_right(spoiled: SimServer) -> None:
    before = rows(spoiled)
    for kind in (Kind.BAD_ROWS, Kind.FEW_ROWS, Kind.ZERO_ROWS, Kind.EMPTY_NAMES):
        spoiled.faults.add(kind, "fluxinfo", times=1)
        answer = get(spoiled, "/fluxinfo", projection=ASKED)
        assert answer["status"] == "success"
        assert answer["data"] != before
        assert rows(spoiled) == before
