from __future__ import annotations

import time

import pytest
import requests

from fluxtracker.simnet.records import MAIN
from tests.simnet.asking import build, get
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE

TIP = "/daemon/getblockcount"
LIST = f"/blockbook/api/v2/address/{MAIN}"


def ask(sim: SimServer, path: str = TIP) -> requests.Response:
    return requests.get(f"{sim.url}{path}", timeout=AMPLE, allow_redirects=False)


@pytest.mark.parametrize(
    ("kind", "status", "type_"),
    [
        ("http500", 500, "application/json"),
        ("http503html", 503, "text/html"),
        ("http429", 429, "application/json"),
        ("html200", 200, "text/html"),
        ("redirect", 302, ""),
    ],
)
def test_wrong_statuses_and_types(sim: SimServer, kind: str, status: int, type_: str) -> None:
    sim.faults.add(kind)
    answer = ask(sim)
    assert answer.status_code == status
    assert answer.headers.get("Content-Type", "").startswith(type_)


def test_a_429_may_say_when_to_come_back(sim: SimServer) -> None:
    sim.faults.add("http429", retry_after="7")
    assert ask(sim).headers["Retry-After"] == "7"


def test_an_error_may_come_with_status_200(sim: SimServer) -> None:
    sim.faults.add("status_error200")
    answer = ask(sim)
    assert (answer.status_code, answer.json()["status"]) == (200, "error")


def test_json_may_be_malformed(sim: SimServer) -> None:
    sim.faults.add("malformed")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        ask(sim).json()


@pytest.mark.parametrize("path", [TIP, "/apps/permanentmessages"])
@pytest.mark.parametrize("kind", ["truncated", "drop_connection"])
def test_a_connection_may_end_too_early(sim: SimServer, kind: str, path: str) -> None:
    sim.faults.add(kind)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(sim, path)


def test_success_may_be_empty_in_both_shapes(world: World, sim: SimServer) -> None:
    world.mine(1, [world.payment()])
    for kind, txs in (("empty_success", 0), ("empty_with_total", 1)):
        sim.faults.clear()
        sim.faults.add(kind)
        answer = get(sim, LIST, details="txs", to=world.tip_height)
        assert "transactions" not in answer
        assert answer["txs"] == txs
    assert get(sim, "/apps/permanentmessages") == {"status": "success", "data": []}
    assert get(sim, "/binance/klines") == []


def test_a_page_may_repeat_the_one_before(sim: SimServer) -> None:
    world = sim.world
    world.mine(1, [world.payment()])
    world.mine(1, [world.payment()])
    first = get(sim, LIST, page=1, pageSize=1)
    sim.faults.add("repeat_page", "/address/")
    assert get(sim, LIST, page=2, pageSize=1) == first


def test_a_height_may_go_backwards(world: World, sim: SimServer) -> None:
    sim.faults.add("height_backwards", blocks=25)
    assert get(sim, "/blockbook/api/v2")["blockbook"]["bestHeight"] == world.tip_height - 25
    assert get(sim, TIP)["data"] == world.tip_height - 25


def test_an_answer_may_hang_until_it_is_let_go(sim: SimServer) -> None:
    sim.faults.add("timeout", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sim.url}{TIP}", timeout=0.2)
    sim.faults.clear()
    assert ask(sim).status_code == 200


def test_an_answer_may_be_late(sim: SimServer) -> None:
    sim.faults.add("slow", seconds=0.3)
    started = time.monotonic()
    assert ask(sim).status_code == 200
    assert time.monotonic() - started >= 0.3


def test_an_answer_may_drip(sim: SimServer) -> None:
    sim.faults.add("drip", seconds=1)
    with requests.get(f"{sim.url}{TIP}", timeout=AMPLE, stream=True) as answer:
        assert next(answer.iter_content(1)) == b"{"


def test_an_answer_may_have_no_end(sim: SimServer) -> None:
    sim.faults.add("flood")
    with requests.get(f"{sim.url}{TIP}", timeout=AMPLE, stream=True) as answer:
        assert len(next(answer.iter_content(1_000_000))) == 1_000_000


def test_a_fault_lasts_as_long_as_it_was_told(sim: SimServer) -> None:
    fault = sim.faults.add("http500", times=2)
    assert [ask(sim).status_code for _ in range(4)] == [500, 500, 200, 200]
    assert fault.hits == 2


def test_a_fault_hits_only_its_paths(sim: SimServer) -> None:
    sim.faults.add("http500", "^/blockbook/")
    assert ask(sim, "/blockbook/api/v2").status_code == 500
    assert ask(sim, "/blockbook2/api/v2").status_code == ask(sim).status_code == 200


def test_a_fault_by_chance_is_the_same_for_one_seed() -> None:
    def statuses() -> list[int]:
        with SimServer(build()) as sim:
            sim.faults.add("http500", probability=0.5)
            return [ask(sim).status_code for _ in range(20)]

    first = statuses()
    assert first == statuses()
    assert set(first) == {200, 500}


def test_after_a_clear_all_is_well(sim: SimServer) -> None:
    sim.faults.add("http500")
    sim.faults.clear()
    assert ask(sim).status_code == 200
