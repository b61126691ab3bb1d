"""`take_snapshot` and `check_snapshot`: once a day, of what was read since 00:05 UTC."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from metrics.metric_keys import FIXED, RATIOS
from metrics.models import Source
from ops.jobs import runs
from ops.models import TaskState
from ops.registry import changed
from revenue.models import LivePrice
from snapshots import take, tasks
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.take import take_snapshot
from snapshots.tasks import check_snapshot
from tests.snapshots.network import APPS, CLOUD, DAY, IMAGES, NODES, at, backfilled, collected, snapshot
from tests.waiting import AMPLE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

NODE_COLUMNS, APP_COLUMNS = tuple(NODES), ("total_apps", "watchtower_count", "gaming_apps_total", "wordpress_count")


@pytest.fixture
def taken(in_process):
    """Runs take_snapshot; answers its report, which must be a success."""

    def run(*words):
        outcome = in_process("take_snapshot", "--json", *words)
        assert outcome.code == 0, outcome.err
        return outcome.report

    return run


@pytest.fixture
def refused_take(in_process):
    """Runs take_snapshot, which must fail; answers the reason on stderr."""

    def run(*words):
        outcome = in_process("take_snapshot", "--json", *words)
        assert outcome.code == 1, outcome.out
        assert (outcome.report["created"], outcome.report["reason"]) == (False, outcome.reason)
        return outcome.reason

    return run


def fell_back(source):
    """The source was last read before midnight, and asking it failed since."""
    before = at("23:57", DAY - timedelta(days=1))
    Source.objects.filter(name=source).update(read_at=before)
    if source == "price":
        LivePrice.objects.update(read_at=before)
    collected(at("00:07"), source, error="the host is gone")


def columns(row, names):
    return {name: getattr(row, name) for name in names}


def test_it_holds_everything_that_was_read(taken):
    collected(at("00:07"))
    assert taken() == {"date": "2026-11-20", "created": True, "reason": None}
    row = Snapshot.objects.get()
    assert (row.day, row.source, row.made_at, row.read_at) == (DAY, "taken", at("00:10"), at("00:07"))
    fixed = {key: value for key, value in (NODES | CLOUD | APPS).items() if hasattr(row, key)}
    assert columns(row, fixed) == fixed
    assert len(fixed) == sum(metric.key not in RATIOS for metric in FIXED) - 1  # the price is elsewhere
    assert row.flux_price_usd == Decimal("0.074431")
    assert row.counts == {"gaming_palworld": 61, "crypto_presearch": 1_200}


def test_the_counts_of_images_are_kept_beside_it(taken):
    collected(at("00:07"))
    taken()
    rows = {row.image: (row.category, row.count) for row in ImageDay.objects.filter(day=DAY)}
    assert rows == IMAGES


def test_it_is_made_once(taken):
    collected(at("00:07"))
    taken()
    assert taken() == {"date": "2026-11-20", "created": False, "reason": "the day's snapshot exists"}
    assert (Snapshot.objects.count(), ImageDay.objects.count()) == (1, len(IMAGES))


@pytest.mark.parametrize(("time", "created"), [("00:00:00", False), ("00:04:59.999999", False), ("00:05:00", True)])
def test_nothing_happens_before_five_past_midnight(taken, clock, time, created):
    clock.move_to(at(time))
    collected(at(time))
    report = taken()
    assert (report["created"], Snapshot.objects.count()) == (created, created)
    assert report["reason"] == (None if created else "it is not 00:05 UTC yet")


@pytest.mark.parametrize(
    ("day", "read", "now"),
    [
        (date(2028, 2, 29), "00:05:00", "00:05:00"),
        (date(2028, 3, 1), "00:05:00", "00:05:00"),
        (date(2026, 12, 31), "23:50:00", "23:59:59.999999"),
        (date(2027, 1, 1), "00:05:00", "00:05:00"),
    ],
)
def test_the_day_is_that_of_utc(taken, clock, day, read, now):
    clock.move_to(at(now, day))
    collected(at(read, day))
    assert taken() == {"date": day.isoformat(), "created": True, "reason": None}


def test_midnight_begins_a_new_one(taken, clock):
    collected(at("00:07"))
    taken()
    clock.move_to(at("00:09") + timedelta(days=1))
    collected(at("00:07") + timedelta(days=1))
    assert taken()["created"]
    assert list(Snapshot.objects.values_list("day", flat=True)) == [DAY + timedelta(days=1), DAY]


@pytest.mark.parametrize(
    ("source", "empty"), [("nodes", NODE_COLUMNS), ("apps", APP_COLUMNS), ("price", ("flux_price_usd",))]
)
def test_a_source_that_failed_leaves_null_in_its_columns(taken, source, empty):
    collected(at("23:57", DAY - timedelta(days=1)))
    collected(at("00:07"))
    fell_back(source)
    report = taken()
    assert report["created"]
    assert "the host is gone" in report["reason"]
    row = Snapshot.objects.get()
    assert columns(row, empty) == dict.fromkeys(empty)
    assert row.total_cpu_cores == CLOUD["total_cpu_cores"]
    if source == "apps":
        assert (row.counts, ImageDay.objects.count()) == ({}, 0)


def test_with_too_few_totals_it_is_refused_and_counts_as_a_failure(refused_take):
    collected(at("00:07"), "nodes", "apps", "price")
    reason = refused_take()
    assert reason == "2 of 5 totals are known, 4 are needed; without capacity and use (stats): never read"
    assert Snapshot.objects.count() == ImageDay.objects.count() == 0
    state = TaskState.objects.get(name="take_snapshot")
    assert (state.consecutive_failures, state.last_error) == (1, reason)


def test_the_day_remembers_why_it_was_refused_and_how_often(refused_take, clock):
    collected(at("00:07"), "nodes", "apps")
    refused_take()
    clock.move_to(at("00:40"))
    collected(at("00:37"), "cloud", error="HTTP 502")
    reason = refused_take()
    row = Refusal.objects.get()
    assert (row.day, row.attempts, row.last_at, row.reason) == (DAY, 2, at("00:40"), reason)
    assert "never read (HTTP 502)" in reason


@pytest.mark.engine
def test_a_refused_day_is_taken_at_a_later_check(refused_take, taken, clock):
    collected(at("00:07"), "nodes", "apps", "price")
    refused_take()
    clock.move_to(at("00:40"))
    collected(at("00:37"))
    assert taken()["created"]
    assert Refusal.objects.count() == 0


def test_nobody_read_anything_ever(refused_take):
    assert refused_take().startswith("0 of 5 totals are known, 4 are needed; without node counts (daemon): never read")


def test_the_check_of_a_new_installation_waits_for_the_first_collection_and_nothing_failed(in_process):
    outcome = in_process("check_snapshot", "--json")
    assert (outcome.code, outcome.report["created"]) == (0, False)
    assert outcome.report["reason"] == "waiting for the first collection after 00:05 UTC"
    assert TaskState.objects.get(name="check_snapshot").consecutive_failures == Refusal.objects.count() == 0


@pytest.mark.parametrize(("read", "created"), [("08:00:00", True), ("07:59:59", False)])
def test_readings_older_than_two_hours_do_not_count(in_process, clock, read, created):
    clock.move_to(at("10:00"))
    collected(at(read))
    outcome = in_process("take_snapshot", "--json")
    assert (outcome.code, Snapshot.objects.count()) == (0 if created else 1, created)
    assert created or "over 2 hours ago" in outcome.reason


def test_before_the_first_collection_of_the_day_it_waits_and_nothing_failed(taken):
    collected(at("23:57", DAY - timedelta(days=1)))
    report = taken()
    assert (report["created"], report["reason"]) == (False, "waiting for the first collection after 00:05 UTC")
    assert Refusal.objects.count() == 0
    assert TaskState.objects.get(name="take_snapshot").consecutive_failures == 0


def test_it_waits_for_a_collection_that_is_half_way_through(taken):
    collected(at("23:57", DAY - timedelta(days=1)))
    collected(at("00:09"), "nodes", "cloud", "price")
    assert not taken()["created"]
    collected(at("00:09"), "apps")
    assert taken() == {"date": "2026-11-20", "created": True, "reason": None}


def test_it_does_not_wait_for_collections_that_have_stopped(refused_take, clock):
    collected(at("00:00"))
    clock.move_to(at("02:01"))
    assert "last read 2026-11-20 00:00 UTC, before 00:05" in refused_take()


def test_by_force_todays_is_taken_again(taken, clock):
    collected(at("00:07"))
    taken()
    clock.move_to(at("09:00"))
    collected(at("08:55"))
    assert taken("--force") == {"date": "2026-11-20", "created": True, "reason": None}
    row = Snapshot.objects.get()
    assert (row.read_at, row.made_at, ImageDay.objects.count()) == (at("08:55"), at("09:00"), len(IMAGES))


@pytest.mark.engine
def test_force_replaces_a_row_of_any_source_but_only_todays(taken):
    backfilled(DAY)
    yesterday = snapshot(DAY - timedelta(days=1), source="import")
    collected(at("00:07"))
    assert taken()["reason"] == "the day's snapshot exists"
    assert taken("--force")["created"]
    assert Snapshot.objects.get(day=DAY).source == "taken"
    yesterday.refresh_from_db()
    assert yesterday.source == "import"


def test_a_retake_that_is_refused_leaves_the_one_there_is(taken, refused_take, clock):
    collected(at("00:07"))
    taken()
    clock.move_to(at("09:00"))
    refused_take("--force")
    assert Snapshot.objects.get().read_at == at("00:07")
    assert Refusal.objects.count() == 0


@pytest.mark.engine
def test_a_kill_between_the_row_and_its_images_leaves_nothing(taken, monkeypatch):
    collected(at("00:07"))
    with monkeypatch.context() as broken:
        broken.setattr(ImageDay.objects, "bulk_create", lambda *rows, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            taken()
    assert Snapshot.objects.count() == 0
    assert taken()["created"]
    assert ImageDay.objects.count() == len(IMAGES)


@pytest.mark.engine
def test_a_retake_that_is_killed_leaves_the_old_one(taken, monkeypatch):
    collected(at("00:07"))
    taken()
    monkeypatch.setattr(ImageDay.objects, "bulk_create", lambda *rows, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        taken("--force")
    assert (Snapshot.objects.count(), ImageDay.objects.count()) == (1, len(IMAGES))


def test_check_snapshot_does_the_same_under_its_own_record(in_process):
    collected(at("00:07"))
    assert in_process("check_snapshot", "--json").report == {"date": "2026-11-20", "created": True, "reason": None}
    assert TaskState.objects.get(name="check_snapshot").last_report["created"] is True
    assert not TaskState.objects.filter(name="take_snapshot").exists()


def test_the_task_takes_it_and_a_refusal_is_recorded_quietly(clock):
    collected(at("00:07"), error="HTTP 502")
    check_snapshot.apply(throw=True)
    assert TaskState.objects.get(name="check_snapshot").consecutive_failures == 1
    collected(at("00:09"))
    check_snapshot.apply(throw=True)
    assert Snapshot.objects.get().day == DAY
    assert TaskState.objects.get(name="check_snapshot").consecutive_failures == 0


@pytest.mark.warm
def test_comparisons_are_told_when_one_was_made_and_only_then(taken, monkeypatch):
    told = []
    monkeypatch.setattr("ops.registry.on_change.functions", [lambda: told.append(Snapshot.objects.count())])
    collected(at("00:07"))
    taken()
    taken()
    assert told == [1]


@pytest.mark.engine
def test_who_finds_a_row_that_came_meanwhile_leaves_it(monkeypatch):
    snapshot(DAY, node_total=2)
    monkeypatch.setattr(take, "_take", lambda *words: Snapshot(day=DAY, made_at=at("00:10")).save(force_insert=True))
    with runs.run("take_snapshot", trigger="command") as run:
        report = take_snapshot(now=at("00:10"), run=run)
    assert (report.created, report.reason) == (False, take.EXISTS)
    assert Snapshot.objects.get().node_total == 2


RACE = """
import os, sys, time_machine
from datetime import datetime
from django.core.management import call_command
from django.db import connection
with time_machine.travel(datetime.fromisoformat("2026-11-20T00:10:00+00:00"), tick=False):
    from tests.snapshots.network import at, collected
    collected(at("00:07"))
    connection.close()
    children = []
    for _ in range(2):
        child, code = os.fork(), 1
        if not child:
            try:
                call_command("check_snapshot", "--json")
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        children.append(child)
    sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


@pytest.mark.engine
def test_two_processes_at_once_make_one(home):
    done = home.manage("shell", "--no-imports", "-c", RACE)
    assert done.code == 0, done
    reports = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    assert sorted(report["created"] for report in reports) == [False, True]
    assert home.query("SELECT count(*) FROM snapshots_snapshot") == [(1,)]
    assert home.query("SELECT count(*) FROM snapshots_imageday") == [(len(IMAGES),)]


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_without_the_lease_the_constraint_still_lets_one_through():
    """Of threads on PostgreSQL; on SQLite, whose write lock makes them follow each other, one after the other."""
    collected(at("00:07"))
    reports, barrier = [], threading.Barrier(4)

    def compete(number, wait=True):
        try:
            with runs.run(f"worker {number}", trigger="command") as run:
                if wait:
                    barrier.wait(AMPLE)
                reports.append(take_snapshot(now=at("00:10"), run=run))
        finally:
            if wait:
                connection.close()

    if connection.vendor == "sqlite":
        for number in range(4):
            compete(number, wait=False)
    else:
        threads = [threading.Thread(target=compete, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted((report.created, report.reason) for report in reports) == [(False, take.EXISTS)] * 3 + [(True, None)]
    assert (Snapshot.objects.count(), ImageDay.objects.count()) == (1, len(IMAGES))


@pytest.mark.warm
def test_the_first_collection_of_a_day_asks_a_worker_for_the_snapshot(taken, monkeypatch):
    given = []
    monkeypatch.setattr(tasks, "give", given.append)
    collected(at("00:07"))
    changed("collect-metrics")
    assert given == []  # commands ask for nothing
    monkeypatch.setattr(tasks, "in_worker", lambda: True)
    changed("revenue-sync")
    assert given == []
    changed("collect-metrics")
    assert given == [check_snapshot.name]
    taken()
    changed("collect-metrics")
    assert len(given) == 1


@pytest.mark.warm
def test_a_snapshot_that_was_refused_waits_for_the_schedule(monkeypatch):
    given = []
    monkeypatch.setattr(tasks, "give", given.append)
    monkeypatch.setattr(tasks, "in_worker", lambda: True)
    collected(at("00:07"), "price")
    TaskState.objects.create(name="check_snapshot", consecutive_failures=1)
    changed("collect-metrics")
    assert given == []
