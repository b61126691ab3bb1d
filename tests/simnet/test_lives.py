"""The stories of apps: told by the network, read from the messages by rules of our own, and the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fluxtracker.simnet import records as a
from fluxtracker.simnet.catalogue import TEAM_OWNER
from fluxtracker.simnet.records import Act
from tests.simnet.asking import build, get
from tests.simnet.odd_rows import SPECIFICATIONS
from tests.simnet.peculiar import TIMED
from tests.simnet.server import SimServer
from tests.simnet.world import World

MESSAGES = "/apps/permanentmessages"
KINDS = {"new", "reregistered", "won_back", "renewal", "change", "shortened", "cancelled", "lost", "ignored"}


@pytest.fixture(scope="module")
def long() -> Iterator[SimServer]:
    """Two years, across the fork and into version 9; its tests only read."""
    with SimServer(build(payments=3000, days=760, nodes=40, old_messages=1500)) as server:
        yield server


def test_the_rules_give_each_message_the_kind_that_its_story_meant(long: SimServer) -> None:
    acts = {m.tx.message_hash: m.tx.act for m in long.world.registry.known() if m.tx.act}
    kinds = {e.message_hash: e.kind for life in long.world.expected_lives().values() for e in life.events}
    assert len(acts) > 2_000
    assert {key: kinds[key] for key in acts} == acts


def test_every_kind_occurs_on_the_chain_and_before_it(long: SimServer) -> None:
    lives = long.world.expected_lives()
    paid = {m.tx.message_hash for m in long.world.registry.known()}
    found = Counter((e.kind, e.message_hash in paid) for life in lives.values() for e in life.events)
    assert {kind for kind, on_chain in found if on_chain} >= KINDS - {"lost"}
    assert {kind for kind, on_chain in found if not on_chain} >= KINDS - {"shortened"}
    assert found["renewal", True] > 300
    assert found["new", True] > 200
    assert {life.cancelled for life in lives.values()} == {True, False}


def test_messages_of_every_version_and_era_occur(long: SimServer) -> None:
    rows = get(long, MESSAGES)["data"]
    specs = [(row["height"], row.get("appSpecifications") or row["zelAppSpecifications"]) for row in rows]
    assert {spec["version"] for _, spec in specs} == set(range(1, 10))
    heights = [height for height, _ in specs]
    for low, high in ((0, 1_300_000), (1_300_000, 1_625_000), (1_625_000, a.FORK_HEIGHT), (a.FORK_HEIGHT, 9_999_999)):
        assert sum(low <= height < high for height in heights) > 100, low
    odd = {name for name, *_ in TIMED}
    assert all(spec["expire"] >= 3_600 for _, spec in specs if spec["version"] == 9 and spec["name"] not in odd)
    owners = Counter(spec["owner"] for _, spec in specs)
    assert owners.most_common(1)[0][0] == TEAM_OWNER
    assert any(owner.startswith("0x") for owner in owners)
    weekly = [spec for _, spec in specs if spec["version"] in (6, 7, 8) and spec["expire"] == 20_160]
    assert len(weekly) > 20


def test_renewals_add_to_the_time_left_and_changes_keep_the_end(long: SimServer) -> None:
    lives = long.world.expected_lives()
    added = kept = 0
    for life in lives.values():
        ends: list[int | None] = []
        for event in life.events:
            if event.height >= a.FORK_HEIGHT and ends and event.end_height and ends[-1]:
                added += event.kind == "renewal" and event.end_height >= ends[-1] + 20_000
                kept += event.kind == "change" and abs(event.end_height - ends[-1]) <= 8
            ends.append(event.end_height)
    assert added > 300
    assert kept > 50


def test_strangers_and_the_underpaid_change_nothing(long: SimServer) -> None:
    registry, current = long.world.registry, long.world.registry.current()
    ignored = [m for m in registry.known() if m.tx.act == Act.IGNORED]
    cheap = [m for m in ignored if sum(o.sat for o in m.tx.outputs if o.address in a.TRACKED) < 1_000_000]
    strangers = [m for m in ignored if m.tx.registers]
    assert len(cheap) >= 5
    assert len(strangers) >= 5
    assert {m.tx.message_hash for m in ignored}.isdisjoint(m.tx.message_hash for m in current.values())
    assert any(m.app.name not in current and m.app.name.lower() in {n.lower() for n in current} for m in strangers)


def test_what_is_listed_is_what_the_rules_leave_in_force(long: SimServer) -> None:
    tip, world = long.world.tip_height, long.world
    lives = world.expected_lives()
    in_force = {life.name for life in lives.values() if life.end_height is not None and life.end_height > tip}
    told = {m.tx.message_hash for m in world.registry.known() if m.tx.act}
    listed = {s["name"] for s in get(long, "/apps/globalappsspecifications")["data"] if s["hash"] in told}
    of_stories = {name for name in in_force if {e.message_hash for e in lives[name.lower()].events} & told}
    in_seconds = {name for name in listed if lives[name.lower()].end_height is None}
    assert of_stories <= listed
    assert all((lives[name.lower()].end_at or 0) >= world.now() - 60 for name in in_seconds)
    assert len(listed) > 50


def test_messages_are_filtered_by_hash_name_and_owner(long: SimServer) -> None:
    rows = get(long, MESSAGES)["data"]
    old, new = rows[3], next(row for row in reversed(rows) if "appSpecifications" in row)
    for row in (old, new):
        assert get(long, MESSAGES, hash=row["hash"])["data"] == [row]
    name, owner = new["appSpecifications"]["name"], new["appSpecifications"]["owner"]
    by_name = [row for row in rows if row.get("appSpecifications", {}).get("name") == name]
    assert get(long, MESSAGES, appname=name)["data"] == by_name
    assert get(long, MESSAGES, appname=name.swapcase())["data"] == []
    found = get(long, MESSAGES, owner=owner)["data"]
    assert {row["hash"] for row in found} >= {new["hash"]}
    assert {(row.get("appSpecifications") or row["zelAppSpecifications"])["owner"] for row in found} == {owner}


def test_free_changes_are_of_the_development_wallet_and_keep_the_end(long: SimServer) -> None:
    free = [tx for tx in long.world.chain if [o.sat for o in tx.outputs if o.address in a.TRACKED] == [a.FREE_FEE_SAT]]
    free = [tx for tx in free if tx.inputs[0].address == a.DEVELOPMENT and tx.act]
    acts = Counter(tx.act for tx in free)
    assert acts["change"] > 0.7 * len(free) > 30


def test_sums_by_class_and_app_are_those_of_the_day(long: SimServer) -> None:
    days, daily = long.world.expected_days(), Counter[Any]()
    for (day, _), (sat, _) in long.world.expected_daily().items():
        daily[day] += sat
    assert {day: sum(sums.sat.values()) for day, sums in days.items()} == daily
    assert {day: sum(sums.by_app.values()) for day, sums in days.items()} == daily
    whole = Counter[str]()
    for sums in days.values():
        whole.update(sums.sat)
    assert set(whole) == {"card", "team", "platform", "other"}
    assert all(whole[name] > 0.03 * whole.total() for name in ("card", "team", "other"))


def test_a_story_of_ones_own(world: World) -> None:
    """Each payment with the block it is for, told step by step."""
    first = world.payment(app="Thing")
    app = first.app
    assert app is not None
    world.mine(1, [first])
    steps = [
        (1_000, replace(app, expire=87_000 + 88_000), {}),
        (1_000, replace(app, expire=174_000, instances=5), {}),
        (1_000, replace(app, owner="1Other"), {"registers": True}),
        (1_000, app, {"sat": 999_999}),
        (1_000, replace(app, expire=50_000), {}),
        (1_000, replace(app, expire=1), {}),
        (1_000, replace(app, name="tHING", owner="1Other"), {"registers": True}),
        (88_000, app, {}),
    ]
    for blocks, step, options in steps:
        world.mine(blocks - 1)
        world.mine(1, [world.payment(app=step, **options)])
    world.mine(88_000 + 8 * 2_880)
    life = world.expected_lives()["thing"]
    assert life.kinds == [
        "new", "renewal", "change", "ignored", "ignored", "shortened", "cancelled", "reregistered", "won_back", "lost",
    ]  # fmt: skip
    assert (life.owner, life.cancelled) == (app.owner, False)


def test_odd_rows_come_with_the_usual_ones(world: World) -> None:
    world.mine(1, [world.payment(app="Thing")])
    paths = (MESSAGES, "/apps/locations", "/daemon/viewdeterministicfluxnodelist")
    with SimServer(world) as plain, SimServer(world, odd=True) as odd:
        for path in paths:
            usual, found = get(plain, path)["data"], get(odd, path)["data"]
            assert found[: len(usual)] == usual
            assert found.count(None) == found.count("row") == 1
        specs = [row.get("appSpecifications") for row in get(odd, MESSAGES)["data"] if isinstance(row, dict)]
        assert len([spec for spec in specs if spec]) > len(SPECIFICATIONS)
        texts = [row["geolocation"].get("asn") for row in get(odd, "/fluxinfo")["data"]]
        assert "Hetzner Online GmbH" in texts
