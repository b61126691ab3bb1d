"""`/api/network/fill`: what is ordered against what runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from deployments.models import AppEvent, AppLife, MessagesState
from metrics.models import InstanceChange, RunningApp, Source
from revenue.models import LedgerState
from tests.api.conftest import get, plain_static_files
from tests.factories import NOON, TIP, digest

__all__ = ["get", "plain_static_files"]
pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("read")]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def read():
    """Messages and locations were read, the first of them ten days ago."""
    with time_machine.travel(NOON, tick=False):
        MessagesState.objects.update_or_create(id=1, defaults={"read_at": NOON})
        Source.objects.create(name="locations", read_at=NOON, tried_at=NOON)
        InstanceChange.objects.create(app_key="the-first-ever", at=NOON - 10 * DAY, instances=1)
        LedgerState.objects.update_or_create(id=1, defaults={"tip_height": TIP})
        yield


def app(name, ordered, *, end=30 * DAY, blocks=..., events=((5 * DAY, 1, ...),)):
    """An app; `events`: how long ago a message was, of which life, and how many instances it ordered."""
    height = None if end is None else TIP + int(end / timedelta(seconds=30)) if blocks is ... else blocks
    row = AppLife.objects.create(
        app_key=name.lower(), name=name, category="other", instances=ordered,
        end_height=height, end_at=None if end is None else NOON + end,
    )  # fmt: skip
    for position, (ago, life, instances) in enumerate(events):
        AppEvent.objects.create(
            app=row, position=position, life=life, kind="new", message_hash=digest(name, position), height=TIP,
            instances=ordered if instances is ... else instances, at=NOON - ago, day=(NOON - ago).date(),
        )  # fmt: skip


def runs(name, *counts, old=0):
    """`counts`: so many hours ago it had so many instances, the last of them still."""
    for ago, instances in counts:
        InstanceChange.objects.create(app_key=name.lower(), at=NOON - ago * HOUR, instances=instances)
    now = counts[-1][1]
    hashes = {digest(name, 0): now - old} | ({digest("another"): old} if old else {})
    RunningApp.objects.create(app_key=name.lower(), name=name, instances=now, hashes=hashes)


def test_fill_counts_of_each_app_at_most_what_it_ordered(get):
    for name, ordered, running in (("Exact", 3, 3), ("more", 3, 7), ("fewer", 5, 1), ("other", 4, 4)):
        app(name, ordered)
        runs(name.upper(), (72, running))
    app("nothing", 5)
    answer = get("network/fill")
    assert (answer["ordered"], answer["running"], answer["surplus"]) == (20, 11, 4)
    assert answer["fill_percent"] == 55.0
    assert answer["asOf"] == "2026-11-20T12:00:00Z"
    assert answer["notes"] == {}


def test_apps_without_a_known_order_or_end_are_left_out_and_counted(get):
    app("known", 2)
    app("unknown-order", None)
    app("unknown-end", 3, end=None)
    app("ended", 3, end=-2 * DAY)
    for name in ("known", "unknown-order", "unknown-end", "stranger"):
        runs(name, (72, 2))
    answer = get("network/fill")
    assert (answer["ordered"], answer["running"], answer["surplus"], answer["fill_percent"]) == (2, 2, 0, 100)
    coverage = answer["coverage"]
    assert (coverage["appsInForce"], coverage["ordersKnown"], coverage["endsUnknown"]) == (2, 1, 1)
    assert (coverage["instances"], coverage["instancesOfUnknownApps"]) == (8, 2)


@pytest.mark.parametrize(
    ("counts", "since"),
    [
        ([(72, 3), (25, 1)], "2026-11-19T11:00:00Z"),
        ([(72, 3), (24, 1)], None),  # for 24 hours, not for more
        ([(72, 1), (50, 2), (30, 1)], "2026-11-15T12:00:00Z"),  # never enough since it was ordered
        ([(72, 3), (50, 2), (30, 1)], "2026-11-18T10:00:00Z"),
        ([(72, 1), (50, 3), (30, 0), (2, 1)], "2026-11-19T06:00:00Z"),
        ([(72, 1), (50, 3)], None),
    ],
)
def test_an_app_is_under_its_order_since_it_last_had_enough(get, counts, since):
    app("short", 3)
    runs("short", *counts)
    under = get("network/fill")["under"]
    assert [row["since"] for row in under] == ([since] if since else [])
    if since:
        assert {**under[0], "since": None} == {"name": "short", "ordered": 3, "running": counts[-1][1], "since": None}


def test_an_app_that_never_ran_is_under_since_its_order_or_the_first_census(get):
    app("new", 3, events=[(2 * HOUR, 1, ...)])
    app("waiting", 3, events=[(2 * DAY, 1, ...)])
    app("ever", 3, events=[(300 * DAY, 1, ...)])
    under = {row["name"]: row["since"] for row in get("network/fill")["under"]}
    assert under == {"waiting": "2026-11-18T12:00:00Z", "ever": "2026-11-10T12:00:00Z"}


def test_an_order_of_more_instances_or_a_second_life_begins_the_24_hours_anew(get):
    app("grown", 5, events=[(5 * DAY, 1, 3), (2 * HOUR, 1, 5)])
    app("revived", 3, events=[(50 * DAY, 1, 3), (3 * HOUR, 2, 3)])
    app("renewed", 3, events=[(6 * DAY, 1, 3), (2 * HOUR, 1, 3)])
    app("shrunk", 3, events=[(6 * DAY, 1, 4), (2 * HOUR, 1, 3)])
    for name in ("grown", "revived", "renewed", "shrunk"):
        runs(name, (200, 1))
    under = {row["name"]: row["since"] for row in get("network/fill")["under"]}
    assert under == dict.fromkeys(("renewed", "shrunk"), "2026-11-14T12:00:00Z")


@pytest.mark.parametrize(("blocks_ago", "is_told"), [(2_879, False), (2_880, True), (90_000, True)])
def test_an_app_runs_unpaid_2880_blocks_after_its_end(get, blocks_ago, is_told):
    app("Over", 3, end=-blocks_ago * timedelta(seconds=30), blocks=TIP - blocks_ago)
    app("gone", 3, end=-5 * DAY, blocks=TIP - 14_400)
    runs("Over", (72, 2))
    answer = get("network/fill")
    ended = (NOON - blocks_ago * timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer["expiredRunning"] == ([{"name": "Over", "instances": 2, "endedAt": ended}] if is_told else [])
    assert answer["coverage"]["instancesJustEnded"] == (0 if is_told else 2)


def test_an_end_without_a_block_counts_by_time(get):
    app("seconds", 3, end=-DAY, blocks=None)
    app("later", 3, end=-DAY + HOUR, blocks=None)
    for name in ("seconds", "later"):
        runs(name, (72, 1))
    assert [row["name"] for row in get("network/fill")["expiredRunning"]] == ["seconds"]


def test_instances_of_an_older_version_are_counted(get):
    app("updated", 3, events=[(5 * DAY, 1, ...)])
    runs("updated", (72, 3), old=2)
    app("same", 3)
    runs("same", (72, 3))
    assert get("network/fill")["oldVersion"] == 2


def test_before_anything_was_read_every_figure_is_null_with_a_reason(get):
    app("known", 2)
    runs("known", (72, 2))
    MessagesState.objects.update(read_at=None)
    for change in (lambda: None, lambda: Source.objects.update(read_at=None)):
        change()
        answer = get("network/fill")
        figures = ("ordered", "running", "fill_percent", "surplus", "under", "expiredRunning", "oldVersion")
        assert {answer[name] for name in figures} == {None}
        assert set(answer["notes"]) == set(figures)


def test_without_an_app_in_force_the_share_is_not_known(get):
    answer = get("network/fill")
    assert (answer["ordered"], answer["running"], answer["fill_percent"]) == (0, 0, None)
    assert set(answer["notes"]) == {"fill_percent"}
