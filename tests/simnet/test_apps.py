from __future__ import annotations

import requests

from fluxtracker.simnet.catalogue import OTHER_PEOPLES
from fluxtracker.simnet.records import Known, expiry
from tests.simnet.asking import build, get
from tests.simnet.peculiar import TIMED
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE

MESSAGES = "/apps/permanentmessages"


def test_a_message_is_found_by_its_hash(world: World, sim: SimServer) -> None:
    tx = world.payment(sat=700, app="Thing", git=True)
    world.mine(1, [tx])
    [found] = get(sim, MESSAGES, hash=tx.message_hash)["data"]
    assert (found["hash"], found["txid"], found["height"]) == (tx.message_hash, tx.txid, tx.height)
    assert found["valueSat"] == 700
    assert found["appSpecifications"]["name"] == "Thing"
    assert "runonflux/orbit" in found["appSpecifications"]["compose"][0]["repotag"].lower()


def test_an_unknown_hash_gives_an_empty_list(sim: SimServer) -> None:
    assert get(sim, MESSAGES, hash="0" * 64) == {"status": "success", "data": []}


def test_some_messages_become_known_later_and_some_never(world: World, sim: SimServer) -> None:
    later, never = world.payment(app="Late", known="later"), world.payment(app="Lost", known="never")
    world.mine(1, [later, never])
    assert get(sim, MESSAGES, hash=later.message_hash)["data"] == []
    world.mine(60)
    assert len(get(sim, MESSAGES, hash=later.message_hash)["data"]) == 1
    assert get(sim, MESSAGES, hash=never.message_hash)["data"] == []
    world.reveal(never.message_hash)
    assert len(get(sim, MESSAGES, hash=never.message_hash)["data"]) == 1


def test_the_dump_holds_all_that_is_known_among_many_old_ones(busy: SimServer) -> None:
    answer = requests.get(f"{busy.url}{MESSAGES}", timeout=AMPLE)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    hashes = [record["hash"] for record in answer.json()["data"]]
    known = busy.world.expected_names()
    assert len(hashes) == len(set(hashes)) == len(known) + busy.world.registry.old_messages
    assert known.keys() <= set(hashes)


def test_some_records_carry_the_legacy_key(busy: SimServer) -> None:
    records = get(busy, MESSAGES)["data"]
    legacy = [r for r in records if "zelAppSpecifications" in r]
    assert legacy
    assert all("appSpecifications" not in r and r["type"].startswith("zelapp") for r in legacy)


def test_an_empty_registry_is_an_empty_list() -> None:
    with SimServer(build(old_messages=0)) as sim:
        assert get(sim, MESSAGES) == {"status": "success", "data": []}


def test_specifications_of_every_shape_occur(busy: SimServer) -> None:
    found = [r["appSpecifications"] for r in get(busy, MESSAGES)["data"] if "appSpecifications" in r]
    assert {spec["version"] for spec in found} >= {3, 6, 7, 8}
    for spec in found:
        assert ("compose" in spec) == (spec["version"] >= 4)
        assert ("repotag" in spec) == (spec["version"] <= 3)
        assert (spec.get("compose") == []) == bool(spec.get("enterprise"))
        if spec["version"] <= 8:
            assert ("expire" in spec) == (spec["version"] >= 6)
    assert any(spec.get("compose") == [] for spec in found)
    assert OTHER_PEOPLES in str(found)


def test_git_deploys_are_written_in_both_cases(busy: SimServer) -> None:
    tags = {
        part["repotag"]
        for r in get(busy, MESSAGES)["data"]
        for part in r.get("appSpecifications", {}).get("compose", [])
    }
    assert {"runonflux/orbit:latest", "RunOnFlux/Orbit:latest"} <= tags


def test_current_specifications_have_not_expired_but_for_one_that_is_still_listed(busy: SimServer) -> None:
    found = get(busy, "/apps/globalappsspecifications")["data"]
    messages = busy.world.registry.by_hash
    assert len({spec["name"] for spec in found}) == len(found) > 100
    tip = busy.world.tip_height
    in_blocks = [spec for spec in found if spec["version"] <= 8]
    ended = [spec["name"] for spec in in_blocks if expiry(messages[spec["hash"]].app, spec["height"]) < tip]
    assert ended == ["Lingering"]


def test_apps_of_version_9_tell_seconds_under_either_name_and_odd_ones(busy: SimServer) -> None:
    odd = {name for name, *_ in TIMED}
    found = {s["name"]: s for s in get(busy, "/apps/globalappsspecifications")["data"] if s["name"] in odd}
    assert {spec["version"] for spec in found.values()} == {9}
    terms = {name: (spec.get("expire", "-"), spec.get("ttl", "-")) for name, spec in found.items()}
    assert terms == {
        "Andromeda": (604_800, "-"), "Borealis": ("-", 604_800), "Cassini": (88_000, 88_000), "Draco": (100, "-"),
        "Eris": (604_800, 2_592_000), "Fornax": ("-", "604800"), "Gemini": ("-", "-"),
    }  # fmt: skip
    ends = dict(busy.world.expected_expiring(1_000))
    assert ends.keys() & found.keys() == {"Andromeda", "Borealis", "Cassini"}
    assert ends["Andromeda"] == found["Andromeda"]["height"] + 20_160


def test_an_app_of_version_9_goes_when_its_time_is_over() -> None:
    world = build(payments=1)
    assert "Andromeda" in world.registry.current()
    world.advance(161 * 30)
    assert world.registry.current().keys() >= {"Borealis", "Draco", "Gemini"}
    assert "Andromeda" not in world.registry.current()


def test_the_fork_stretches_what_was_paid_for_before_it() -> None:
    world = build()
    app = world.payment(app="Thing").app
    assert app is not None
    assert expiry(app, 2_019_000) == 2_020_000 + 4 * 87_000
    assert expiry(app, 2_020_000) == 2_108_000


def test_only_the_specifications_may_know_a_message(world: World, sim: SimServer) -> None:
    tx = world.payment(app="Thing", known=Known.SPECIFICATION)
    world.mine(1, [tx])
    assert get(sim, MESSAGES, hash=tx.message_hash)["data"] == []
    [found] = get(sim, "/apps/globalappsspecifications")["data"]
    assert (found["hash"], found["height"]) == (tx.message_hash, tx.height)


def test_errors_come_with_status_200(sim: SimServer) -> None:
    answer = requests.get(f"{sim.url}/apps/nothing", timeout=AMPLE)
    assert (answer.status_code, answer.json()["status"]) == (200, "error")
