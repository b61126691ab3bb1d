"""The answers about nodes, instances and prices that are recorded every hour."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from tests.simnet.asking import build, get
from tests.simnet.server import SimServer
from tests.simnet.test_samples import sample

LIST = "/daemon/viewdeterministicfluxnodelist"
FACTS = (
    "tier,collateralHash,collateralIndex,paymentAddress,geolocation,flux.version,flux.zelid,flux.arcaneVersion,"
    "daemon.info.version,benchmark.info.version,error"
)


def test_the_list_of_nodes_has_the_keys_and_kinds_of_the_real_one(busy: SimServer) -> None:
    rows, real = get(busy, LIST)["data"], sample("daemon_viewdeterministicfluxnodelist")["data"]
    assert len(rows) == 60
    for row in rows:
        assert row.keys() == real[0].keys() | {"pubkey"}
        assert {key: type(row[key]) for key in real[0]} == {key: type(value) for key, value in real[0].items()}
        assert row["added_height"] < row["confirmed_height"] <= row["last_confirmed_height"] <= busy.world.tip_height
    amounts = {"CUMULUS": "1000.00", "NIMBUS": "12500.00", "STRATUS": "40000.00"}
    assert all(row["amount"] == amounts[row["tier"]] for row in rows)
    assert Counter(row["tier"].lower() for row in rows) == busy.world.network.counts()


def test_the_list_is_filtered_by_address_and_collateral(busy: SimServer) -> None:
    first = get(busy, LIST)["data"][0]
    for key in ("txhash", "payment_address", "ip"):
        assert first["txhash"] in {row["txhash"] for row in get(busy, f"{LIST}/{first[key]}")["data"]}, key
    assert get(busy, LIST, filter="nothing has this")["data"] == []


def test_statistics_and_list_tell_of_the_same_nodes(busy: SimServer) -> None:
    listed = {(row["txhash"], int(row["outidx"])): row for row in get(busy, LIST)["data"]}
    told = {
        (row["collateralHash"], row["collateralIndex"]): row for row in get(busy, "/fluxinfo", projection=FACTS)["data"]
    }
    assert listed.keys() == told.keys()
    for key, row in told.items():
        assert (row["tier"], row["paymentAddress"]) == (listed[key]["tier"], listed[key]["payment_address"])


def test_facts_of_nodes_are_those_of_the_samples(busy: SimServer) -> None:
    rows = [row for row in get(busy, "/fluxinfo", projection=FACTS)["data"] if "error" not in row]
    assert len(rows) > 50
    assert all(row["geolocation"]["asn"].startswith("AS") and row["geolocation"]["countryCode"] for row in rows)
    assert all(row["flux"]["version"] and row["flux"]["zelid"].startswith("1") for row in rows)
    assert {row["daemon"]["info"]["version"] for row in rows} >= {9_010_050}
    arcane = [row for row in rows if row["flux"].get("arcaneVersion")]
    assert len(rows) * 0.7 < len(arcane) < len(rows)


def test_an_unreachable_node_tells_nothing(busy: SimServer) -> None:
    lost = [row for row in get(busy, "/fluxinfo")["data"] if "error" in row]
    assert lost
    for row in lost:
        assert (row["flux"]["version"], row["flux"]["zelid"], row["geolocation"]["countryCode"]) == ("", "", "")
        assert (row["geolocation"]["lat"], row["daemon"]["info"]["version"]) == (0, 0)


def test_operators_are_of_unequal_size() -> None:
    with SimServer(build(nodes=2000)) as sim:
        rows = get(sim, LIST)["data"]
        sizes = Counter(row["payment_address"] for row in rows).most_common()
        assert 200 < len(sizes) < 1000
        assert sizes[0][1] > 5 * sizes[len(sizes) // 2][1]
        owners = {row["flux"]["zelid"] for row in get(sim, "/fluxinfo", projection="flux.zelid")["data"]}
        assert len(owners) < len(sizes) != len({row["pubkey"] for row in rows})


def test_nodes_join_leave_and_move() -> None:
    with SimServer(build(nodes=300)) as sim:
        before = {row["txhash"]: row for row in get(sim, LIST)["data"]}
        sim.world.advance(2 * 86_400)
        after = {row["txhash"]: row for row in get(sim, LIST)["data"]}
        assert len(before) == len(after) == 300
        joined, left, kept = after.keys() - before.keys(), before.keys() - after.keys(), after.keys() & before.keys()
        assert 2 <= len(joined) == len(left) < 20
        moved = [key for key in kept if before[key]["ip"] != after[key]["ip"]]
        assert 2 <= len(moved) < 30
        assert all(before[key]["tier"] == after[key]["tier"] for key in kept)
        assert all(after[key]["added_height"] > sim.world.tip_height - 2 * 2880 - 1 for key in joined)


def test_instances_have_the_keys_of_the_real_ones_and_their_nodes_exist(busy: SimServer) -> None:
    rows, real = get(busy, "/apps/locations")["data"], sample("apps_locations")["data"]
    assert len(rows) > 100
    hosts = {
        row["ip"] if ":" in row["ip"] else f"{row['ip']}:16127"
        for row in get(busy, "/fluxinfo", projection="ip")["data"]
    }
    for row in rows:
        assert row.keys() == real[0].keys()
        assert row["ip"] in hosts
        told, ends = (datetime.fromisoformat(row[key]) for key in ("broadcastedAt", "expireAt"))
        assert (ends - told).total_seconds() == 7_500
        assert ends.timestamp() > busy.world.now()


def test_instances_lag(busy: SimServer) -> None:
    rows = get(busy, "/apps/locations")["data"]
    current = busy.world.registry.current()
    counts = Counter(row["name"] for row in rows if row["name"] in current)
    ordered = {name: min(message.app.instances, len(busy.world.network._hosts)) for name, message in current.items()}
    assert any(counts[name] < ordered[name] for name in current)
    assert all(counts[name] <= ordered[name] for name in current)
    older = [row for row in rows if row["name"] in current and row["hash"] != current[row["name"]].tx.message_hash]
    assert older
    assert all(row["hash"] in busy.world.registry.by_hash for row in older)


def test_instances_linger_for_two_hours_after_the_end() -> None:
    with SimServer(build(payments_per_block=0)) as sim:
        world = sim.world
        world.mine(1, [world.payment(app="Thing")])
        world.advance((88_000 + 10) * 30)
        assert [row["name"] for row in get(sim, "/apps/locations")["data"]] == ["Thing"] * 3
        assert get(sim, "/apps/globalappsspecifications")["data"] == []
        world.advance(7_500)
        assert get(sim, "/apps/locations")["data"] == []


def test_apps_that_lack_instances_have_errors(busy: SimServer) -> None:
    rows = get(busy, "/apps/installingerrorslocations")["data"]
    assert rows
    assert all(row.keys() == {"name", "hash", "ip", "error", "broadcastedAt", "expireAt"} for row in rows)
    counts = Counter(row["name"] for row in get(busy, "/apps/locations")["data"])
    current = busy.world.registry.current()
    assert all(counts[row["name"]] < current[row["name"]].app.instances for row in rows)


def test_terms_and_prices_of_deployment_are_those_of_the_sample(busy: SimServer) -> None:
    found, real = get(busy, "/apps/deploymentinformation")["data"], sample("apps_deploymentinformation")["data"]
    assert found.keys() == real.keys()
    assert found["price"] == real["price"]
    assert found["appSpecsEnforcementHeights"] == real["appSpecsEnforcementHeights"] | {"9": 3_050_000}
    assert get(busy, "/apps/getappspecsusdprice")["data"]["minUSDPrice"] == 0.99
    assert get(busy, "/apps/latestspecificationversion")["data"] == 9


def test_the_marketplace_lists_templates_with_a_category(busy: SimServer) -> None:
    found = {row["name"].lower(): row["category"] for row in get(busy, "/marketplace/listapps")["data"]}
    assert (found["minecraftj"], found["presearchnode"], found["wordpress"]) == ("Games", "RPC Node", "Hosting")
    assert len(found) > 20
