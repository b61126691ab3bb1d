"""Lives, splits and accruals of a simulated network, held against what the network knows of itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.db.models import Sum

from deployments.jobs import update_economics
from deployments.models import AppEvent, AppLife, DailyAccrual, DailySplit
from revenue.models import ChangedDay, DailyTotal
from tests.simnet.world import World
from tests.system.conftest import build, in_process
from tests.system.home import Outcome

__all__ = ["build", "in_process"]

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

Manage = Callable[..., Outcome]


def follow(manage: Manage) -> None:
    for command in ("sync_revenue", "sync_messages"):
        outcome = manage(command, "--json")
        assert outcome.code == 0, outcome.err
        update_economics(trigger="command")
    assert ChangedDay.objects.count() == 0


def stored_events() -> dict[str, list[tuple[Any, ...]]]:
    found = defaultdict(list)
    for row in AppEvent.objects.order_by("app", "position"):
        found[row.app_id].append((row.kind, row.message_hash, row.height, row.end_height))
    return found


def assert_lives_are_true(world: World) -> None:
    expected = world.expected_lives()
    assert len(expected) > 20
    stored, wrong = stored_events(), {}
    for key, life in expected.items():
        events = [(one.kind, one.message_hash, one.height, one.end_height) for one in life.events]
        if stored.get(key, []) != events:
            wrong[key] = (stored.get(key), events)
    assert wrong == {}
    assert stored.keys() == expected.keys()
    owners = dict(AppLife.objects.exclude(registered_at=None).values_list("app_key", "owner"))
    assert owners == {key: life.owner for key, life in expected.items() if key in owners}


def assert_sums_are_true(world: World) -> None:
    expected = world.expected_days()
    by_day: dict[str, dict[date, int]] = {}
    for dimension in DailySplit.Dimension.values:
        rows = DailySplit.objects.filter(dimension=dimension).values("day").annotate(sat=Sum("revenue_sat"))
        by_day[dimension] = {row["day"]: row["sat"] for row in rows}
    totals = {row["day"]: row["revenue_sat"] for row in DailyTotal.objects.all().by_day()}
    assert totals == {day: sum(sums.sat.values()) for day, sums in expected.items()}
    assert by_day == dict.fromkeys(by_day, totals)
    sources = defaultdict(dict)
    for row in DailySplit.objects.filter(dimension="source"):
        sources[row.day][row.key] = (row.revenue_sat, row.payments)
    for day, sums in expected.items():
        assert sources[day] == {who: (sat, sums.payments[who]) for who, sat in sums.sat.items()}


def assert_money_is_whole(world: World) -> None:
    names = ("accrued", "breakage", "unassigned", "cash")
    sums = DailyAccrual.objects.aggregate(
        **{f"{name}_{unit}": Sum(f"{name}_{unit}") for name in names for unit in ("sat", "usd_micro")}
    )
    for unit in ("sat", "usd_micro"):
        assert sums[f"cash_{unit}"] == sum(sums[f"{name}_{unit}"] for name in names[:3])
    cash = DailyTotal.objects.aggregate(sat=Sum("revenue_sat"), usd=Sum("usd_micro"))
    assert (sums["cash_sat"], sums["cash_usd_micro"]) == (cash["sat"], cash["usd"])
    expected = world.expected_days().values()
    lives = world.expected_lives()
    known = {key for key, life in lives.items() if all(event.end_at is not None for event in life.events)}
    assigned = sum(sat for sums in expected for key, sat in sums.by_app.items() if key in known)
    unclear = sum(sat for sums in expected for key, sat in sums.by_app.items() if key is not None and key not in known)
    found = sums["cash_sat"] - sums["unassigned_sat"]
    assert assigned <= found <= assigned + unclear
    assert found > 0
    assert DailyAccrual.objects.filter(accrued_sat__lt=0).count() == 0


def assert_all_is_true(world: World) -> None:
    assert_lives_are_true(world)
    assert_sums_are_true(world)
    assert_money_is_whole(world)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_everything_that_follows_from_payments_and_messages_is_true(build, in_process, seed):
    world = build(400, days=500, old_messages=60, seed=seed).world
    follow(in_process)
    assert_all_is_true(world)


def test_reorganisations_and_late_messages_change_what_they_touch(build, in_process):
    world = build(200, days=300, old_messages=20).world
    follow(in_process)
    for depth in (12, 40):
        world.reorg(depth, drop=0.3, move=0.5, payments=[world.payment()])
        world.mine(12, [world.payment()])
        follow(in_process)
        assert_all_is_true(world)
    assert in_process("sync_messages", "--full").code == 0
    assert_all_is_true(world)
