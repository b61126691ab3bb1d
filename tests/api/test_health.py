"""GET /api/health: what works, what does not, in words."""

import socket
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import PeriodicTask

from fluxtracker.celery import app as celery_app
from metrics.models import Source
from ops import broker as broker_module
from ops import health, leases
from ops.models import Lease, ServiceState, TaskState, WorkerSeen
from ops.status import OK, Status
from revenue.models import Cursor, LedgerState, Quarantined
from snapshots.models import Snapshot
from tests.api.conftest import NOW
from tests.factories import MAIN, TIP, digest, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

WORKING = {"status": "ok"}
ask_broker = broker_module.status  # the fixture `broker` replaces it


@pytest.fixture(autouse=True)
def broker():
    """A broker that answers."""
    with patch.object(broker_module, "status", return_value=OK) as report:
        yield report


@pytest.fixture
def working():
    """Everything in order."""
    WorkerSeen.objects.create(hostname="celery@here", seen_at=NOW - timedelta(seconds=20))
    settle(completed_at=NOW - timedelta(minutes=3))


def test_everything_in_order_is_ok(get, working):
    answer = get("health")
    assert (answer["status"], answer["problems"]) == ("ok", [])
    assert answer["timestamp"] == int(NOW.timestamp() * 1000)
    assert answer["uptime"] >= 0
    assert answer["db"]["status"] == "ok"
    assert answer["broker"] == WORKING
    assert answer["worker"] == {"status": "ok", "lastSeen": "2026-11-20T21:59:40Z"}
    assert answer["sync"] == {
        "healthy": True,
        "lastSyncBlock": TIP - 7,
        "currentBlock": TIP,
        "lagBlocks": 7,
        "lagSeconds": 180,
        "minConfirmations": 8,
        "consecutiveFailures": 0,
        "lastCompleted": "2026-11-20T21:57:00Z",
        "completeThrough": "2026-11-19",
        "quarantine": 0,
        "failedSources": [],
        "unprovedSince": None,
        "unprovedAt": None,
        "reason": None,
    }


def test_what_was_never_done_yet_is_no_trouble(get, working):
    answer = get("health")
    assert answer["snapshot"] == {
        "healthy": None, "todaySnapshotExists": False, "consecutiveFailures": 0, "lastCheck": None, "lastSuccess": None,
        "reason": None,
    }  # fmt: skip
    assert set(answer["sources"]) == {"nodes", "cloud", "apps", "specs", "price"}
    for source in answer["sources"].values():
        assert source == {"status": "never", "asOf": None, "ageSeconds": None, "error": None}
    assert answer["checks"] == {
        "total": 0, "ok": 0, "degraded": 0, "missing": 0, "failed": 0, "unknown": 0, "lastCheck": None,
    }  # fmt: skip
    assert answer["services"] == {}
    assert answer["backup"] == {
        "status": "never", "lastSuccess": None, "lastFailure": None, "consecutiveFailures": 0, "error": None,
        "file": None,
    }  # fmt: skip


def test_a_fresh_installation_is_degraded_and_says_why(get):
    answer = get("health")
    assert answer["status"] == "degraded"
    assert answer["sync"]["lastSyncBlock"] is answer["sync"]["lagBlocks"] is answer["sync"]["lagSeconds"] is None
    assert any("no sync has completed yet" in problem for problem in answer["problems"])


@pytest.mark.parametrize("seconds", [91, 3600])
def test_no_worker_for_long_is_degraded(get, working, seconds):
    WorkerSeen.objects.update(seen_at=NOW - timedelta(seconds=seconds))
    answer = get("health")
    assert (answer["status"], answer["worker"]["status"]) == ("degraded", "missing")


def test_no_broker_is_degraded(get, working, broker):
    broker.return_value = Status("broker_silent")
    assert get("health")["status"] == "degraded"


def test_a_broker_that_is_not_there_is_told_in_words_without_its_password(monkeypatch):
    monkeypatch.setattr(celery_app.conf, "broker_url", "redis://:hunter2@127.0.0.1:1/0")
    assert ask_broker() == Status("broker_silent")


def test_a_broker_that_says_nothing_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(celery_app.conf, "broker_url", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert ask_broker().code == "broker_silent"


def test_a_sync_that_keeps_failing_is_unhealthy(get, working):
    TaskState.objects.create(name="sync_revenue", consecutive_failures=3, last_error="all sources: timed out")
    sync = get("health")["sync"]
    assert (sync["healthy"], sync["consecutiveFailures"]) == (False, 3)
    assert "timed out" in sync["reason"]


@pytest.mark.parametrize(("minutes", "healthy"), [(30, True), (31, False)])
def test_a_sync_that_does_not_complete_is_unhealthy_after_half_an_hour(get, working, minutes, healthy):
    LedgerState.objects.update(completed_at=NOW - timedelta(minutes=minutes), tip_changed_at=None)
    assert get("health")["sync"]["healthy"] is healthy


@pytest.mark.parametrize(("minutes", "healthy"), [(14, True), (16, False)])
def test_a_source_whose_tip_stands_is_said(get, working, minutes, healthy):
    completed = NOW - timedelta(minutes=1)
    LedgerState.objects.update(completed_at=completed, tip_changed_at=completed - timedelta(minutes=minutes))
    sync = get("health")["sync"]
    assert sync["healthy"] is healthy
    if not healthy:
        assert sync["reason"] == f"Payments may be missing: the source has been at block {TIP:,} for 16 min."


def test_the_last_block_is_that_of_the_address_that_is_furthest_behind(get, working):
    Cursor.objects.filter(address=MAIN).update(height=TIP - 100)
    assert (get("health")["sync"]["lastSyncBlock"], get("health")["sync"]["lagBlocks"]) == (TIP - 100, 100)
    Cursor.objects.filter(address=MAIN).delete()
    assert get("health")["sync"]["lastSyncBlock"] is None


def test_a_source_that_the_last_sync_had_to_do_without_is_said(get, working):
    report = {"failedSources": ["one.example /api/v2: HTTP 503"]}
    TaskState.objects.update_or_create(name="sync_revenue", defaults={"last_report": report})
    answer = get("health")
    assert answer["status"] == "degraded"
    assert answer["sync"]["failedSources"] == report["failedSources"]
    assert "one.example /api/v2: HTTP 503" in answer["problems"][0]


def test_the_quarantine_is_counted(get, working):
    Quarantined.objects.create(txid=digest(1), address=MAIN, reason="sender", first_seen_at=NOW, next_attempt_at=NOW)
    assert get("health")["quarantine"] == get("health")["sync"]["quarantine"] == 1


@pytest.mark.parametrize(
    ("failures", "status", "overall"), [(0, "ok", "ok"), (2, "failing", "ok"), (3, "failed", "degraded")]
)
def test_other_work_is_listed_and_three_failures_are_a_problem(get, working, failures, status, overall):
    TaskState.objects.create(
        name="refresh_price", last_success_at=NOW, consecutive_failures=failures, last_error="429" if failures else ""
    )
    answer = get("health")
    assert (answer["services"]["refresh_price"]["status"], answer["status"]) == (status, overall)


TASKS = ["check_snapshot", "take_snapshot", "collect_metrics", "check_services", "refresh_carousel"]


@pytest.mark.parametrize("task", TASKS)
def test_the_tasks_of_the_network_are_listed_as_they_stand(get, working, task):
    TaskState.objects.create(
        name=task, last_failure_at=NOW - timedelta(minutes=5), consecutive_failures=3, last_error="stats: HTTP 503"
    )
    answer = get("health")
    assert answer["services"][task] == {
        "status": "failed",
        "lastSuccess": None,
        "lastFailure": "2026-11-20T21:55:00Z",
        "consecutiveFailures": 3,
        "error": "stats: HTTP 503",
    }
    words = task.replace("_", " ").capitalize()
    assert f"{words} failed 3 times in a row: stats: HTTP 503" in answer["problems"]


@pytest.fixture
def checked(working):
    """Today's snapshot is taken, and its check has just run."""
    Snapshot.objects.create(day=NOW.date(), source="taken", made_at=NOW)
    return TaskState.objects.create(name="check_snapshot", last_started_at=NOW, last_success_at=NOW)


def test_the_snapshot_s_part_comes_alive_with_its_task(get, checked):
    answer = get("health")
    assert answer["snapshot"] == {
        "healthy": True,
        "todaySnapshotExists": True,
        "consecutiveFailures": 0,
        "lastCheck": "2026-11-20T22:00:00Z",
        "lastSuccess": "2026-11-20T22:00:00Z",
        "reason": None,
    }
    assert (answer["status"], answer["problems"]) == ("ok", [])


def test_a_day_without_its_snapshot_is_degraded(get, checked):
    Snapshot.objects.all().delete()
    answer = get("health")
    assert (answer["snapshot"]["healthy"], answer["status"]) == (False, "degraded")
    assert answer["problems"] == ["There is no snapshot of 2026-11-20: no snapshot has been taken yet today."]


def test_a_check_of_the_snapshot_that_does_not_run_is_degraded(get, checked):
    TaskState.objects.update(last_started_at=NOW - timedelta(hours=2))
    answer = get("health")
    assert (answer["snapshot"]["healthy"], answer["status"]) == (False, "degraded")
    assert answer["problems"] == ["The check that takes the daily snapshot is late or keeps failing."]


# Sources of the metrics, and checked services


def read(name, minutes=5, **values):
    read_at = NOW - timedelta(minutes=minutes)
    Source.objects.create(**({"name": name, "values": {}, "read_at": read_at, "tried_at": read_at} | values))


def test_sources_that_were_just_read_are_no_trouble(get, working):
    for name in ("nodes", "cloud", "apps", "specs"):
        read(name)
    answer = get("health")
    assert answer["sources"]["nodes"] == {
        "status": "ok", "asOf": "2026-11-20T21:55:00Z", "ageSeconds": 300, "error": None,
    }  # fmt: skip
    assert (answer["status"], answer["problems"]) == ("ok", [])


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"minutes": 31}, "stale"),
        ({"error": "HTTP 503", "tried_at": NOW}, "stale"),
        ({"error": "HTTP 503", "tried_at": NOW, "read_at": None}, "failed"),
    ],
)
def test_a_source_that_is_stale_or_failed_is_degraded(get, working, values, status):
    read("cloud", **values)
    answer = get("health")
    assert (answer["sources"]["cloud"]["status"], answer["status"]) == (status, "degraded")
    assert len(answer["problems"]) == 1
    assert answer["problems"][0].startswith("Capacity and use")


@pytest.mark.parametrize(("failures", "overall"), [(2, "ok"), (3, "degraded")])
def test_a_service_that_failed_three_checks_in_a_row_is_degraded(get, working, failures, overall):
    at = NOW - timedelta(minutes=20)
    ServiceState.objects.create(kind="api", name="blockbook", status="ok", checked_at=at)
    ServiceState.objects.create(
        kind="gaming", name="Palworld", status="missing", detail="no instance is left", checked_at=NOW,
        consecutive_failures=failures,
    )  # fmt: skip
    answer = get("health")
    assert answer["checks"] == {
        "total": 2, "ok": 1, "degraded": 0, "missing": 1, "failed": 0, "unknown": 0,
        "lastCheck": "2026-11-20T22:00:00Z",
    }  # fmt: skip
    assert answer["status"] == overall
    assert any("Palworld failed 3 checks in a row" in problem for problem in answer["problems"]) is (failures == 3)


def test_without_a_database_health_is_an_error_and_ready_says_no(client, working):
    with patch("django.db.backends.utils.CursorWrapper.execute", side_effect=OperationalError("pw=hunter2 refused")):
        answers = {path: client.get(f"/api/{path}") for path in ("health", "health/ready", "health/live")}
    assert [response.status_code for response in answers.values()] == [503, 503, 200]
    answer = answers["health"].json()
    assert (answer["status"], answer["db"]["status"]) == ("error", "error")
    assert answer["problems"] == ["The database cannot be reached."]
    after = client.get("/api/health").json()
    for part in ("sync", "snapshot"):
        assert set(answer[part]) == set(after[part])
    assert set(answer) == set(after)
    assert (answer["sources"], answer["checks"], set(answer["snapshot"].values())) == ({}, None, {None})
    assert b"hunter2" not in answers["health"].content


def test_a_database_that_is_not_migrated_is_an_error(client, working, monkeypatch):
    monkeypatch.setattr(health, "_known_migrated", set())
    MigrationRecorder.Migration.objects.filter(app="revenue").delete()
    response = client.get("/api/health/ready")
    assert response.status_code == 503
    assert "run `manage.py migrate`" in response.json()["db"]["error"]
    assert client.get("/api/health").json()["status"] == "error"


def test_the_sources_are_read_once(get, working):
    with CaptureQueriesContext(connection) as asked:
        get("health")
    assert sum('FROM "metrics_source"' in query["sql"] for query in asked) == 2  # those of the census, too


def test_health_asks_nobody_outside(get, working, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a request went out"))
    assert get("health")["status"] == "ok"


# /api/admin/revenue-status


def test_the_status_of_the_sync_is_public(get, working):
    assert get("admin/revenue-status") == {
        "isSchedulerRunning": True,
        "isSyncInProgress": False,
        "isSyncing": False,
        "lastRun": None,
        "lastCompleted": "2026-11-20T21:57:00Z",
        "consecutiveFailures": 0,
        "isHealthy": True,
        "transactionCount": 0,
        "lastSyncBlock": TIP - 7,
        "currentBlock": TIP,
        "unprovedSince": None,
    }


def test_a_held_lease_is_a_sync_in_progress(get, working):
    assert leases.try_take("sync_revenue", "host:1:1.00:x") is None
    assert get("admin/revenue-status")["isSyncInProgress"] is True
    Lease.objects.update(expires_at=F("expires_at") - timedelta(seconds=61))
    assert get("admin/revenue-status")["isSyncInProgress"] is False
    Lease.objects.update(expires_at=F("expires_at") + timedelta(hours=6))
    assert get("admin/revenue-status")["isSyncInProgress"] is False


def test_the_scheduler_runs_while_a_worker_lives_and_the_sync_is_scheduled(get, working):
    sync = PeriodicTask.objects.filter(task="revenue.tasks.sync_revenue")
    assert get("admin/revenue-status")["isSchedulerRunning"] is True
    sync.update(enabled=False)
    assert get("admin/revenue-status")["isSchedulerRunning"] is False
    sync.update(enabled=True)
    WorkerSeen.objects.all().delete()
    assert get("admin/revenue-status")["isSchedulerRunning"] is False
