"""The answers have the keys of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from fluxtracker.simnet import records as a
from tests.simnet.asking import get
from tests.simnet.server import SimServer
from tests.simnet.world import World

PAYLOADS = Path(__file__).parent.parent / "payloads"


def sample(name: str) -> Any:
    return orjson.loads((PAYLOADS / f"{name}.json").read_bytes())


def shape(value: Any) -> Any:
    """Keys and kinds; of a list, the shape of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("daemon_getzelnodecount", "/daemon/getfluxnodecount"),
        ("daemon_error_tx_not_found", f"/daemon/getrawtransaction/{'0' * 64}/1"),
        ("daemon_error_height_out_of_range", "/daemon/getblockhash/99999999"),
        ("daemon_error_range", f"/daemon/getaddresstxids/{a.MAIN}/1/99999999"),
        ("coingecko_market_chart", "/coingecko/coins/zelcash/market_chart?days=365"),
        ("insight_currency", "/explorer/currency"),
        ("insight_markets_info", "/explorer/markets/info"),
        ("binance_klines_FLUXUSDT_1d", "/binance/klines?symbol=FLUXUSDT&interval=1d&limit=2"),
    ],
)
def test_the_keys_are_those_of_the_sample(busy: SimServer, name: str, path: str) -> None:
    assert shape(get(busy, path)) == shape(sample(name))


def test_the_status_of_a_blockbook_has_keys_of_the_real_one(busy: SimServer) -> None:
    found, expected = shape(get(busy, "/blockbook/api/v2")), shape(sample("blockbook_status"))
    assert found.keys() == expected.keys() == {"blockbook", "backend"}
    for part in found:
        assert found[part].items() <= expected[part].items()
        assert len(found[part]) >= 3


@pytest.fixture
def real(world: World) -> World:
    """The payment of the samples: 25.93 FLUX from the development wallet, with a message."""
    tx = world.payment(sat=2_593_000_000, app="Thing", sender=a.DEVELOPMENT, change=52_511_000_000)
    tx.inputs = (tx.inputs[0]._replace(vout=1),)
    world.mine(30, [tx])
    return world


def newest(world: World) -> str:
    return world.truth()[-1].txid


def test_a_blockbook_transaction_has_the_keys_of_the_real_one(real: World, sim: SimServer) -> None:
    found = get(sim, f"/blockbook/api/v2/tx/{newest(real)}")
    expected = sample("blockbook_tx_appmessage_25.93")
    assert shape(found) == shape(expected | {"hex": ""})
    for key in ("value", "valueIn", "fees", "size"):
        assert found[key] == expected[key]
    assert [o["hex"] for o in found["vout"][:2]] == [o["hex"] for o in expected["vout"][:2]]


def test_a_blockbook_list_has_the_keys_of_the_real_one(real: World, sim: SimServer) -> None:
    found = get(sim, f"/blockbook/api/v2/address/{a.MAIN}", details="txs")
    expected = sample("blockbook_address_txs")
    assert list(found) == list(expected)
    assert found["transactions"][0].keys() == expected["transactions"][0].keys()


def test_a_blockbook_block_has_the_keys_of_the_real_one(real: World, sim: SimServer) -> None:
    found, expected = (
        shape(get(sim, f"/blockbook/api/v2/block/{real.tip_height - 1}")),
        sample("blockbook_block_2996914"),
    )
    assert found.keys() >= {"hash", "height", "time", "previousBlockHash", "nextBlockHash", "confirmations"}
    assert found.items() <= shape(expected).items()


def test_a_coinbase_has_the_keys_of_the_real_one(world: World, sim: SimServer) -> None:
    tx = world.payment(coinbase=True)
    world.mine(1, [tx])
    found = get(sim, f"/blockbook/api/v2/tx/{tx.txid}")
    assert shape(found) == shape(sample("blockbook_tx_coinbase"))


def test_a_daemon_transaction_has_the_keys_of_the_real_one(real: World, sim: SimServer) -> None:
    found = get(sim, f"/daemon/getrawtransaction/{newest(real)}/1")
    expected = sample("daemon_getrawtransaction_appmessage")
    assert shape(found) == shape(expected)
    assert [o["scriptPubKey"]["asm"] for o in found["data"]["vout"][:2]] == [
        o["scriptPubKey"]["asm"] for o in expected["data"]["vout"][:2]
    ]


def test_a_daemon_block_has_the_keys_of_the_real_one(real: World, sim: SimServer) -> None:
    found = shape(get(sim, f"/daemon/getblock/{real.truth()[-1].height}/1")["data"])
    assert found.keys() >= {"hash", "height", "time", "tx", "previousblockhash", "nextblockhash", "confirmations"}
    assert {(key, str(value)) for key, value in found.items()} <= {
        (key, str(value)) for key, value in shape(sample("daemon_getblock_2996900_verbosity1")["data"]).items()
    }


def test_a_message_has_the_keys_of_the_real_one(real: World, sim: SimServer) -> None:
    [found] = get(sim, "/apps/permanentmessages", hash=real.truth()[-1].message_hash)["data"]
    [expected] = sample("apps_permanentmessages_hash")["data"]
    assert list(found) == list(expected)
    assert found["appSpecifications"].keys() == expected["appSpecifications"].keys()


def test_a_row_of_the_index_of_hashes_has_the_keys_of_the_real_one(busy: SimServer) -> None:
    found = get(busy, "/apps/hashes")["data"]
    assert list(found[0]) == list(sample("apps_hashes")["data"][0])
    known = {row["hash"] for row in found if row["message"]}
    assert known == {record["hash"] for record in get(busy, "/apps/permanentmessages")["data"]}
    assert len(known) < len(found)


def test_specifications_of_each_version_have_the_keys_of_real_ones(busy: SimServer) -> None:
    real_ones = {spec["version"]: spec for spec in sample("apps_globalappsspecifications")["data"]}
    ours = {spec["version"]: spec for spec in get(busy, "/apps/globalappsspecifications")["data"]}
    shared = ours.keys() & real_ones.keys()
    assert shared >= {3, 7, 8}
    for version in shared:
        assert ours[version].keys() == real_ones[version].keys()


def test_components_have_the_keys_of_real_ones(busy: SimServer) -> None:
    def components(specs: list[dict[str, Any]]) -> dict[int, set[str]]:
        return {s["version"]: set(s["compose"][0]) for s in specs if s.get("compose")}

    real_ones = components(sample("apps_globalappsspecifications")["data"])
    ours = components(get(busy, "/apps/globalappsspecifications")["data"])
    assert {v: ours[v] for v in ours.keys() & real_ones.keys()} == {
        v: real_ones[v] for v in ours.keys() & real_ones.keys()
    }


def test_rows_of_the_statistics_have_the_keys_that_matter(busy: SimServer) -> None:
    found = get(busy, "/fluxinfo")["data"]
    expected = sample("stats_fluxinfo_full")["data"]
    ours, lost = (next(row for row in found if ("error" in row) is wrong) for wrong in (False, True))
    for row, real in ((ours, expected[1]), (lost, expected[-1])):
        assert row.keys() <= real.keys()
        assert row["benchmark"]["bench"].keys() <= real["benchmark"]["bench"].keys()
        assert row["apps"].keys() <= real["apps"].keys()
        assert row["apps"]["resources"].keys() == real["apps"]["resources"].keys()
        assert row["geolocation"].keys() <= real["geolocation"].keys()
    assert {"error", "geolocation", "collateralHash", "collateralIndex", "dataCollectedAt", "roundTime"} <= lost.keys()
    assert {"cores", "ram", "ssd", "eps", "ddwrite", "download_speed"} <= ours["benchmark"]["bench"].keys()


def test_points_of_the_history_have_the_keys_of_the_real_ones(busy: SimServer) -> None:
    ours, real_ones = get(busy, "/fluxhistorystats")["data"], sample("stats_fluxhistorystats")["data"]
    assert shape(next(iter(ours.values()))) == shape(next(iter(real_ones.values())))


def test_prices_have_the_keys_of_the_real_ones(busy: SimServer) -> None:
    asked = {"ids": "zelcash", "vs_currencies": "usd", "include_last_updated_at": "true"}
    found = shape(get(busy, "/coingecko/simple/price", **asked)["zelcash"])
    assert found["usd"] == shape(sample("coingecko_simple_price"))["zelcash"]["usd"]
    rows = get(busy, "/cryptocompare/v2/histoday", fsym="FLUX", tsym="USD", api_key="abc")
    assert shape(rows) == shape(sample("cryptocompare_histoday"))
