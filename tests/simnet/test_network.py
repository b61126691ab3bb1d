"""The nodes and their containers: the truth about them, compared with the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import ceil
from typing import Any

import pytest
import requests

from fluxtracker.simnet import fluxos, network
from fluxtracker.simnet.catalogue import RARE
from fluxtracker.simnet.records import expiry
from tests.simnet import truth
from tests.simnet.asking import NOW, build, get
from tests.simnet.peculiar import SPELLINGS, TIMED
from tests.simnet.server import SimServer
from tests.simnet.truth import COUNTS
from tests.simnet.world import World
from tests.waiting import AMPLE

CAPACITY = "benchmark.bench.cores,benchmark.bench.ram,benchmark.bench.ssd"
CONTAINERS = "apps.runningapps.Names,apps.runningapps.Image"


def running(sim: SimServer) -> list[dict[str, Any]]:
    return [c for row in get(sim, "/fluxinfo", projection=CONTAINERS)["data"] for c in row["apps"]["runningapps"]]


@pytest.fixture(scope="module")
def large() -> Iterator[SimServer]:
    """A network like the real one; its tests only read."""
    with SimServer(build(payments=800, nodes=8000, containers=14_000)) as server:
        yield server


def test_a_network_like_the_real_one_can_be_had(large: SimServer) -> None:
    assert len(get(large, "/fluxinfo", projection="tier")["data"]) == 8000
    assert 13_000 < len(running(large)) < 15_000
    found = large.world.expected_metrics().containers
    assert found["all"] == found["resolved"] + found["hidden"] + found["unresolved"] == len(running(large))
    assert 0.15 < found["hidden"] / found["all"] < 0.45


def test_every_app_that_is_placed_has_a_specification_and_the_order_of_magnitude_is_right(large: SimServer) -> None:
    specs = {spec["name"] for spec in get(large, "/apps/globalappsspecifications")["data"]}
    nodes = large.world.network.nodes()
    placed = {container.app.name for node in nodes for container in node.containers if container.app}
    assert placed - specs == {"Leftover"}
    assert 1_000 < len(placed) < 3_000


def test_a_projection_makes_only_what_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[str] = Counter()
    for name in ("_benchmark", "_apps"):
        real = getattr(fluxos.Rows, name)

        def counting(rows: Any, node: Any, name: str = name, real: Any = real) -> Any:
            made[name] += 1
            return real(rows, node)

        monkeypatch.setattr(fluxos.Rows, name, counting)
    with SimServer(build(payments=60, nodes=30)) as sim:
        get(sim, "/fluxinfo", projection=CAPACITY)
        assert made == {"_benchmark": 30}
        get(sim, "/fluxinfo", projection=CAPACITY)
        assert made == {"_benchmark": 30}
        sim.world.mine(1, [sim.world.payment(app="Thing")])
        get(sim, "/fluxinfo", projection=CAPACITY)
        assert made == {"_benchmark": 60}


def test_an_app_that_stays_is_not_placed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(payments=300, nodes=50)
    world.network.nodes()
    placed: list[str] = []
    real = network.Network._place

    def watched(self: Any, app: Any, **options: Any) -> Any:
        placed.append(app.name)
        return real(self, app, **options)

    monkeypatch.setattr(network.Network, "_place", watched)
    world.mine(1, [world.payment(app="Thing")])
    world.network.nodes()
    assert set(placed) == {"Thing", "Leftover"}


def test_one_seed_makes_one_network() -> None:
    one, other = build(payments=300, containers=900), build(payments=300, containers=900)
    assert one.expected_metrics() == other.expected_metrics()
    assert one.expected_metrics() != build(payments=300, containers=900, seed=2).expected_metrics()


def test_further_apps_change_no_payment() -> None:
    assert build(payments=300).truth() == build(payments=300, containers=900).truth()


# The truth against the answers


def test_capacity_and_use_are_those_of_the_rows(busy: SimServer) -> None:
    rows = get(busy, "/fluxinfo", projection=f"{CAPACITY},apps.resources")["data"]
    good = [row for row in rows if row["benchmark"]["bench"]["cores"]]
    found = busy.world.expected_metrics()
    assert found.rows == {"all": 60, "reachable": sum(not _is_lost(r) for r in _all(busy)), "good": len(good)}
    bench = [row["benchmark"]["bench"] for row in good]
    used = [row["apps"]["resources"] for row in rows]
    assert found.cloud == pytest.approx(
        {
            "total_cpu_cores": sum(b["cores"] for b in bench),
            "total_ram_gb": sum(b["ram"] for b in bench),
            "total_storage_gb": sum(b["ssd"] for b in bench),
            "used_cpu_cores": sum(u["appsCpusLocked"] for u in used),
            "used_ram_gb": sum(u["appsRamLocked"] for u in used) / 1024,
            "used_storage_gb": sum(u["appsHddLocked"] for u in used),
        }
    )


def _all(sim: SimServer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = get(sim, "/fluxinfo")["data"]
    return rows


def _is_lost(row: dict[str, Any]) -> bool:
    return "error" in row


def test_a_benchmark_that_runs_takes_the_numbers_and_not_the_apps() -> None:
    with SimServer(build(payments=200, nodes=40, benchmarking=0.5)) as sim:
        found = sim.world.expected_metrics()
        assert 5 < found.rows["good"] < found.rows["reachable"] - 5
        assert found.cloud["total_ram_gb"] < found.cloud_all["total_ram_gb"]
        sim.world.benchmarking = 0.0
        calm = sim.world.expected_metrics()
        assert calm.containers == found.containers
        assert calm.cloud_all == found.cloud_all


def test_another_round_benchmarks_other_nodes() -> None:
    world = build(nodes=100, benchmarking=0.3)

    def states() -> list[str]:
        return [node.state for node in world.network.nodes()]

    first = states()
    assert states() == first
    world.advance(960)
    assert states() != first


def test_containers_are_counted_as_an_operator_would(busy: SimServer) -> None:
    """Open apps by the image their specification names; read here from the answers alone."""
    specs = {s["name"]: s for s in get(busy, "/apps/globalappsspecifications")["data"]}
    images: Counter[str] = Counter()
    for container in running(busy):
        name = container["Names"][0].removeprefix("/flux").removeprefix("/zel")
        part, _, app = name.partition("_")
        if name in specs and "repotag" in specs[name]:
            images[specs[name]["repotag"]] += 1
        for component in specs.get(app, {}).get("compose", []):
            images[component["repotag"]] += component["name"] == part
    found = busy.world.expected_metrics()
    without_tag: Counter[str] = Counter()
    for image, count in images.items():
        head, _, tail = image.rpartition("/")
        spelled = f"{head}/{tail.split(':')[0]}".lstrip("/")
        without_tag[SPELLINGS.get(spelled) or spelled.lower()] += count
    assert found.images == dict(+without_tag)
    assert found.apps["gitapps_count"] == without_tag["runonflux/orbit"] > 0
    assert found.apps["total_apps"] == len(running(busy))


def test_tracked_apps_are_counted_by_image_or_by_name(world: World) -> None:
    template = next(t for t in RARE if t.name == "palworld")
    app = world.payment(app="Thing").app
    assert app is not None
    part = app.components[0]
    parts = tuple(part._replace(name=name, repotag=tag) for name, tag in template.components)
    site = replace(app, name="palworld1700000000001", components=parts, encrypted=True, template=template)
    open_one = replace(app, name="Mine", components=parts)
    world.mine(1, [world.payment(app=site), world.payment(app=open_one)])
    found = world.expected_metrics()
    assert found.tracked["gaming_palworld"] == 6
    assert found.containers == {"all": 12, "resolved": 6, "hidden": 6, "unresolved": 0}
    assert found.images == {"runonflux/palworld-server-flux": 3, "xyz/palworld-server-website": 3}
    assert found.apps["gaming_apps_total"] == 6


def test_every_peculiar_kind_occurs(busy: SimServer) -> None:
    names = {c["Names"][0] for c in running(busy)}
    assert {"/zelBitgert", "/zelweb_Koda", "/fluxfluxfrontier", "/fluxZelBridge", "/fluxwanderer"} <= names
    assert {"/fluxweb_Leftover", "/fluxweb_Lingering"} <= names
    found = busy.world.expected_metrics()
    assert found.containers["unresolved"] >= 6
    assert {"packetstream/psclient", "registry.example.org:5000/team/untagged"} <= found.images.keys()
    for key in ("gaming_rust", "gaming_terraria", "gaming_windrose", "gaming_project_zomboid", "gaming_ark"):
        assert found.tracked[key] >= 3, key
    specs = get(busy, "/apps/globalappsspecifications")["data"]
    hidden = [s["name"] for s in specs if s.get("enterprise")]
    assert any(name.startswith("wordpress1") for name in hidden)


def test_images_are_named_as_they_count() -> None:
    assert all(image == image.lower() and ":" not in image.rpartition("/")[2] for image in COUNTS)


# The shape before FluxOS 8.18


def test_older_nodes_tell_images_and_watchtower() -> None:
    options: dict[str, Any] = {"payments": 300, "nodes": 60}
    with SimServer(build(**options, images=True)) as old, SimServer(build(**options)) as new:
        shapes = Counter(tuple(sorted(c)) for c in running(old))
        assert set(shapes) == {("Image",), ("Names",), ("Image", "Names")}
        images = Counter(c.get("Image") for c in running(old))
        before, after = old.world.expected_metrics(), new.world.expected_metrics()
        assert images["containrrr/watchtower"] == before.apps["watchtower_count"] > 30
        assert before.apps["total_apps"] == after.apps["total_apps"] == len(running(new))
        assert before.tracked == after.tracked
        assert before.containers["unresolved"] < after.containers["unresolved"]
        assert before.cloud == after.cloud


# Time and size


def test_a_frozen_world_moves_when_it_is_told_to() -> None:
    world = build(payments=50, payments_per_block=1.0)
    start, paid = world.tip_height, len(world.chain.by_txid)
    assert world.advance(600) == start + 20
    assert world.now() == NOW.timestamp() + 600
    assert len(world.chain.by_txid) == paid + 20
    with pytest.raises(ValueError, match="backwards"):
        world.advance(-1)


def test_small_steps_lead_where_a_large_one_does() -> None:
    one, other = build(payments=50, payments_per_block=0.5), build(payments=50, payments_per_block=0.5)
    one.advance(4000)
    for _ in range(40):
        other.advance(100)
    assert one.truth(1) == other.truth(1)
    assert one.tip_hash == other.tip_hash
    assert one.expected_metrics() == other.expected_metrics()


def test_thirty_days_pass_and_the_network_lives_on() -> None:
    world = build(payments=300, containers=600, nodes=50, payments_per_block=0.02)
    before = world.expected_metrics().containers["all"]
    for _ in range(30):
        world.advance(86_400)
    assert world.tip_height >= build().tip_height + 30 * 2880 - 1
    assert world.expected_metrics().containers["all"] > before * 0.7
    assert world.expected_expiring(1)[0][1] >= world.tip_height


def test_nodes_come_and_go(sim: SimServer) -> None:
    world = sim.world
    first = [row["tier"] for row in get(sim, "/fluxinfo", projection="tier")["data"]]
    world.advance(3 * 86_400)
    world.set_nodes(50)
    grown = get(sim, "/daemon/getfluxnodecount")["data"]
    assert grown["total"] == 50
    assert [row["tier"] for row in get(sim, "/fluxinfo", projection="tier")["data"]][:20] == first
    points = sorted((int(key), sum(tiers.values())) for key, tiers in get(sim, "/fluxhistorystats")["data"].items())
    totals = [total for _, total in points]
    assert totals[-1] in (20, 50)
    assert set(totals[-200:-1]) == {20}
    world.advance(1800)
    assert next(iter(get(sim, "/fluxhistorystats")["data"].values())) == {
        name: grown[f"{name}-enabled"] for name in ("cumulus", "nimbus", "stratus")
    }
    world.set_nodes(5)
    assert get(sim, "/daemon/getfluxnodecount")["data"]["total"] == 5


def test_the_history_grows_towards_now(busy: SimServer) -> None:
    points = get(busy, "/fluxhistorystats")["data"]
    totals = [sum(points[key].values()) for key in sorted(points, key=int)]
    assert totals[0] < totals[-1] == 60
    assert all(one <= other for one, other in pairwise(totals))


# Ends and beginnings


def test_the_apps_that_end_next_and_those_just_deployed(busy: SimServer) -> None:
    specs = get(busy, "/apps/globalappsspecifications")["data"]
    messages, tip = busy.world.registry.by_hash, busy.world.tip_height
    in_blocks = [s for s in specs if s["version"] <= 8]
    ends = [(expiry(messages[s["hash"]].app, s["height"]), s["name"]) for s in in_blocks]
    seconds = {"Andromeda": 604_800, "Borealis": 604_800, "Cassini": 88_000}
    odd = {name for name, *_ in TIMED}
    seconds |= {s["name"]: s["expire"] for s in specs if s["version"] == 9 and s["name"] not in odd}
    ends += [(s["height"] + ceil(seconds[s["name"]] / 30), s["name"]) for s in specs if s["name"] in seconds]
    ends.sort()
    assert busy.world.expected_expiring(10) == [(name, end) for end, name in ends if end >= tip][:10]
    since = (NOW - timedelta(hours=24)).timestamp()
    young = {s["name"] for s in specs if busy.world.chain.time(s["height"]) >= since}
    assert set(busy.world.expected_deployed()) == young
    assert young


def test_the_truth_is_told_to_other_processes(busy: SimServer) -> None:
    found, expected = get(busy, "/_sim/metrics"), busy.world.expected_metrics()
    assert found["tracked"] == expected.tracked
    assert found["cloud_all"] == expected.cloud_all
    assert get(busy, "/_sim/expiring", limit=3)["expiring"] == [list(r) for r in busy.world.expected_expiring(3)]
    assert get(busy, "/_sim/deployed")["deployed"] == busy.world.expected_deployed()


def test_other_processes_move_the_clock_and_the_nodes(sim: SimServer) -> None:
    tip = sim.world.tip_height
    moved = requests.post(f"{sim.url}/_sim/advance", json={"seconds": 60}, timeout=AMPLE).json()
    assert moved == {"tip": tip + 2, "now": NOW.timestamp() + 60}
    assert requests.post(f"{sim.url}/_sim/nodes", json={"nodes": 7}, timeout=AMPLE).json() == {"nodes": 7}
    assert len(_all(sim)) == 7
    assert requests.post(f"{sim.url}/_sim/nodes", json={"nodes": -7}, timeout=AMPLE).status_code == 400


def test_the_rules_of_the_truth_stand_alone() -> None:
    assert sorted(set(truth.TRACKED)) == truth.TRACKED
    assert len(truth.TRACKED) == 22
