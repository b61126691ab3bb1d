"""A clock that ran six hours ahead and was corrected: nothing claims to be fresh, and the schedule goes on at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from fluxtracker.celery import app
from metrics.models import Source
from ops import health
from ops.alerts.services import problems
from ops.beat_scheduler import Scheduler
from ops.models import TaskState, WorkerSeen
from ops.schedule_rows import entries, scheduled_tasks
from revenue.models import LedgerState
from tests.ops.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]

AHEAD = NOW + timedelta(hours=6)
NAME = "sync-revenue"
ENTRIES = sorted(entry.name for entry in entries() if entry.enabled)


@pytest.fixture
def sent(monkeypatch):
    """The names of the entries that beat has sent, in place of a broker."""
    names = []
    monkeypatch.setattr(Scheduler, "apply_async", lambda self, entry, **_: names.append(entry.name))
    monkeypatch.setattr(Scheduler, "producer", None)
    monkeypatch.setattr("django_celery_beat.schedulers.close_old_connections", lambda: None)  # the test's own one
    return names


@pytest.fixture
def monotonic(monkeypatch):
    """The monotonic clock, in seconds."""
    seconds = [1_000.0]
    monkeypatch.setattr("ops.beat_scheduler.time.monotonic", lambda: seconds[0])
    return seconds


def ran(at, **changes):
    PeriodicTask.objects.update(last_run_at=at, start_time=NOW - timedelta(days=9), total_run_count=3)
    PeriodicTask.objects.filter(name=NAME).update(**changes)


def begun():
    scheduler = Scheduler(app=app)
    scheduler._finalize.cancel()  # else it writes its rows at the end of this process
    return scheduler


def run_all(scheduler):
    for _ in range(40):
        scheduler.tick()


def test_nothing_of_the_future_is_fresh():
    LedgerState.load()
    LedgerState.objects.update(tip_height=3_000_000, completed_at=AHEAD, tip_changed_at=AHEAD)
    TaskState.objects.create(name="sync_revenue", last_started_at=AHEAD, last_success_at=AHEAD)
    TaskState.objects.create(name="check_snapshot", last_started_at=AHEAD, last_success_at=AHEAD)
    WorkerSeen.objects.create(hostname="w", seen_at=AHEAD)
    Source.objects.create(name="nodes", tried_at=AHEAD, read_at=AHEAD, values={"node_total": 1})
    report = health.report(NOW)
    assert report["worker"]["status"] == "missing"
    assert (report["sync"]["healthy"], report["sync"]["lagSeconds"]) == (False, None)
    assert "future" in report["sync"]["reason"]
    assert report["sources"]["nodes"]["status"] == "stale"
    assert report["snapshot"]["healthy"] is False
    assert report["status"] == "degraded"
    assert {"sync-lag", "source:nodes"} <= {problem.key for problem in problems(NOW)}


def test_two_minutes_are_what_clocks_may_differ_by():
    WorkerSeen.objects.create(hostname="w", seen_at=NOW + timedelta(minutes=2))
    assert health.worker_part(NOW).report["status"] == "ok"


def test_beat_forgets_runs_of_the_future_at_its_start(sent):
    ran(AHEAD)
    scheduler = begun()
    run_all(scheduler)
    assert sorted(sent) == ENTRIES
    scheduler.sync()
    assert set(PeriodicTask.objects.filter(name__in=ENTRIES).values_list("last_run_at", flat=True)) == {NOW}


def test_a_start_that_only_the_wrong_clock_had_reached_is_forgotten_with_it(sent):
    ran(NOW)
    ran_ahead = {"last_run_at": AHEAD, "start_time": AHEAD - timedelta(hours=1)}
    PeriodicTask.objects.filter(name=NAME).update(**ran_ahead)
    run_all(begun())
    assert sent == [NAME]
    assert PeriodicTask.objects.get(name=NAME).start_time == NOW


def test_runs_of_just_now_are_kept(sent):
    ran(NOW + timedelta(minutes=2))
    run_all(begun())
    assert sent == []


def test_beat_goes_on_when_the_clock_is_set_back_while_it_runs(sent, clock, monotonic):
    ran(NOW - timedelta(days=2))
    scheduler = begun()
    run_all(scheduler)
    assert sorted(sent) == ENTRIES
    clock.move_to(NOW - timedelta(hours=6))
    monotonic[0] += 5
    run_all(scheduler)
    assert sorted(name for name in sent if name in ENTRIES) == sorted(ENTRIES * 2)
    many = len(sent)
    run_all(scheduler)
    assert len(sent) == many
    clock.shift(timedelta(minutes=5, seconds=1))
    monotonic[0] += 301
    run_all(scheduler)
    assert sent.count(NAME) == 3


def test_the_overview_leaves_out_what_lies_in_the_future():
    ran(AHEAD)
    row = next(task for task in scheduled_tasks({}, NOW) if task.name == NAME)
    assert row.last_at is None
    assert row.next_at <= NOW
