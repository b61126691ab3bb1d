from __future__ import annotations

from tests.simnet.asking import get
from tests.simnet.server import SimServer


def test_a_projection_keeps_the_nesting(busy: SimServer) -> None:
    rows = get(busy, "/fluxinfo", projection="tier,benchmark.bench.cores,benchmark.bench.ram")["data"]
    assert len(rows) == 60
    assert rows[0].keys() == {"tier", "benchmark"}
    assert rows[0]["benchmark"]["bench"].keys() == {"cores", "ram"}


def test_containers_tell_names_and_no_images(busy: SimServer) -> None:
    names = get(busy, "/fluxinfo", projection="apps.runningapps.Names")["data"]
    images = get(busy, "/fluxinfo", projection="apps.runningapps.Image")["data"]
    running = [c for row in names for c in row["apps"]["runningapps"]]
    assert running
    assert {c["Names"][0][:4] for c in running} == {"/flu", "/zel"}
    assert [c for row in images for c in row["apps"]["runningapps"]] == [{}] * len(running)


def test_unreachable_nodes_are_filled_with_zeros(busy: SimServer) -> None:
    rows = get(busy, "/fluxinfo")["data"]
    lost = [row for row in rows if "error" in row]
    assert lost
    for row in lost:
        assert row["benchmark"]["bench"]["status"] == "0"
        assert row["apps"]["runningapps"] == []
        assert row["geolocation"]["ip"] == ""
        assert row["benchmark"]["bench"]["ram"] == 0


def test_components_lock_more_storage_than_they_ask_for(busy: SimServer) -> None:
    rows = get(busy, "/fluxinfo", projection="apps.resources,apps.runningapps.Names")["data"]
    containers = sum(len(row["apps"]["runningapps"]) for row in rows)
    locked = sum(row["apps"]["resources"]["appsHddLocked"] for row in rows)
    assert locked > 12 * containers > 0


def test_the_history_of_node_counts_goes_back_thirty_days(busy: SimServer) -> None:
    points = get(busy, "/fluxhistorystats")["data"]
    times = sorted(map(int, points))
    assert (times[-1] - times[0]) / 86_400_000 > 29.9
    assert points[str(times[-1])].keys() == {"cumulus", "nimbus", "stratus"}
