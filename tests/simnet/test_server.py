from __future__ import annotations

import gzip
import http.client
import socket

import orjson
import pytest
import requests

from fluxtracker.simnet.records import MAIN
from tests.simnet.asking import build, get
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE


def post(sim: SimServer, door: str, **wishes: object) -> requests.Response:
    return requests.post(f"{sim.url}/_sim/{door}", json=wishes, timeout=AMPLE)


def test_it_counts_what_it_is_asked(sim: SimServer) -> None:
    get(sim, "/daemon/getblockcount")
    get(sim, "/blockbook/api/v2/tx/abc", page=2)
    get(sim, "/_sim/state")
    assert sim.count() == 2
    assert sim.count("/daemon") == 1
    assert sim.requests[-1] == ("/blockbook/api/v2/tx/abc", {"page": "2"})


def test_its_settings_point_to_it(sim: SimServer) -> None:
    env = sim.env()
    assert env["BLOCKBOOK_URLS"] == f"{sim.url}/blockbook/api/v2,{sim.url}/blockbook2/api/v2"
    assert env["UPSTREAM_RATE"] == "0"
    for name, path in (
        ("FLUX_API_URL", "/daemon/getblockcount"),
        ("FLUX_STATS_URL", "/fluxhistorystats"),
        ("COINGECKO_URL", "/simple/price"),
        ("BINANCE_URL", "/klines?symbol=FLUXUSDT&interval=1d"),
        ("FLUX_EXPLORER_URL", "/currency"),
    ):
        assert requests.get(env[name] + path, timeout=AMPLE).status_code == 200


def test_it_listens_on_this_machine_only(sim: SimServer) -> None:
    assert sim.url.startswith("http://127.0.0.1:")
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", sim.port)) != 0


def test_unknown_paths_are_not_found(sim: SimServer) -> None:
    assert requests.get(f"{sim.url}/nothing", timeout=AMPLE).status_code == 404


@pytest.mark.parametrize("path", ["/apps/permanentmessages", "/fluxhistorystats"])
def test_it_compresses_only_when_told_to(path: str) -> None:
    accept = {"Accept-Encoding": "gzip"}
    with SimServer(build(old_messages=50)) as plain, SimServer(build(old_messages=50), gzip=True) as packed:
        one = requests.get(plain.url + path, headers=accept, timeout=AMPLE, stream=True)
        other = requests.get(packed.url + path, headers=accept, timeout=AMPLE, stream=True)
        assert "Content-Encoding" not in one.headers
        assert other.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(other.raw.read()) == one.content


def test_many_requests_go_over_one_connection(sim: SimServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=AMPLE)
    sockets = set()
    for _ in range(3):
        connection.request("GET", "/daemon/getblockcount")
        connection.getresponse().read()
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_another_process_can_mine(world: World, sim: SimServer) -> None:
    answer = post(sim, "mine", blocks=8, payments=[{"sat": 7, "app": "Thing"}, {"sat": 9, "data": "hello"}])
    assert answer.json()["tip"] == world.tip_height
    rows = get(sim, "/_sim/truth")["rows"]
    assert sorted(row[3] for row in rows) == [7, 9]
    assert {row[0] for row in rows} == set(answer.json()["txids"])
    assert get(sim, "/_sim/daily")["days"] == [["2026-11-20", MAIN, 16, 2]]


def test_another_process_can_reorganise(sim: SimServer) -> None:
    [txid] = post(sim, "mine", blocks=8, payments=[{}]).json()["txids"]
    answer = post(sim, "reorg", depth=8, drop=[txid]).json()
    assert answer["dropped"] == [txid]
    assert get(sim, "/_sim/truth")["rows"] == []


def test_another_process_can_break_and_mend_things(sim: SimServer) -> None:
    post(sim, "fault", kind="http500", path="^/daemon")
    assert requests.get(f"{sim.url}/daemon/getblockcount", timeout=AMPLE).status_code == 500
    post(sim, "clear")
    assert requests.get(f"{sim.url}/daemon/getblockcount", timeout=AMPLE).status_code == 200


def test_another_process_can_reveal_messages_and_see_requests(world: World, sim: SimServer) -> None:
    tx = world.payment(app="Late", known="never")
    world.mine(1, [tx])
    assert post(sim, "reveal", hashes=[tx.message_hash]).json() == {"known": 1}
    get(sim, "/apps/permanentmessages", hash=tx.message_hash)
    seen = get(sim, "/_sim/requests", prefix="/apps")
    assert seen["last"] == [["/apps/permanentmessages", {"hash": tx.message_hash}]]
    post(sim, "forget")
    assert get(sim, "/_sim/requests")["count"] == 0


def test_one_source_alone_can_leave_the_chain(world: World, sim: SimServer) -> None:
    post(sim, "mine", blocks=20, payments=[{"sat": 7}])
    hashes = {"blockbook": "/blockbook/api/v2/block-index/", "blockbook2": "/blockbook2/api/v2/block-index/"}

    def seen(height: int) -> list[str]:
        told = [get(sim, f"{path}{height}")["blockHash"] for path in hashes.values()]
        return [*told, get(sim, f"/daemon/getblockhash/{height}")["data"]]

    answer = post(sim, "branch", sources=["blockbook"], depth=10, blocks=15, drop=1.0).json()
    assert answer["tip"] == world.tip_height + 5
    assert len(set(seen(world.tip_height - 10))) == 1
    first, second, daemon = seen(world.tip_height - 9)
    assert second == daemon != first
    post(sim, "mine", blocks=3, payments=[{"sat": 9}], source="blockbook")
    assert get(sim, "/blockbook/api/v2/")["blockbook"]["bestHeight"] == world.tip_height + 8
    post(sim, "rejoin")
    assert len(set(seen(world.tip_height - 9))) == 1


@pytest.mark.parametrize(
    ("door", "wishes"),
    [
        ("branch", {"sources": ["stats"], "depth": 3}),
        ("fault", {"kind": "nonsense"}),
        ("reorg", {}),
        ("mine", {"payments": [{"colour": "red"}]}),
    ],
)
def test_nonsense_at_the_door_is_refused(sim: SimServer, door: str, wishes: dict[str, object]) -> None:
    answer = post(sim, door, **wishes)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_page_of_a_thousand_is_one_small_piece_of_work() -> None:
    world = build(payments=1200, days=100)
    with SimServer(world) as sim:
        page = requests.get(
            f"{sim.url}/blockbook/api/v2/address/{MAIN}",
            params={"details": "txs", "to": world.tip_height},
            timeout=AMPLE,
        ).content
    listed = orjson.loads(page)["transactions"]
    assert len(listed) == 1000
    assert 1_500_000 < len(page) < 3_000_000
