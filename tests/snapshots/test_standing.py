"""`/api/stats`, `/api/admin/snapshot-status`, and what `/api/health` says of the daily snapshot."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django_celery_beat.models import PeriodicTask

from ops.leases import hold
from ops.models import TaskState, WorkerSeen
from revenue.models import DailyPrice, Payment
from snapshots.models import Refusal
from snapshots.status import snapshot_part
from tests.factories import TIP, pay, settle
from tests.snapshots.network import DAY, at, collected, images, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def days_ago(n):
    return DAY - timedelta(days=n)


# Stats


def test_stats_of_an_empty_installation_know_nothing_and_invent_nothing(get):
    answer = get("stats")
    assert answer.pop("dbSizeKB") > 100
    assert answer == {
        "snapshots": 0, "transactions": 0, "priceHistory": 0, "repoSnapshots": 0, "distinctRepos": 0,
        "lastSnapshotDate": None,
        "revenue": {"today": None, "last7Days": None, "last30Days": None, "total": None},
        "firstTransactionDate": None, "lastSyncBlock": None,
    }  # fmt: skip


def test_stats_count_what_is_stored(get):
    snapshot(days_ago(1))
    snapshot(days_ago(4))
    images(days_ago(1), a=1, b=2)
    images(days_ago(4), a=1, c=2)
    DailyPrice.objects.create(day=days_ago(1), price_usd=Decimal("0.07"))
    DailyPrice.objects.create(day=days_ago(2), price_usd=None)
    for days, amount in ((0, "1"), (6, "10"), (7, "100"), (29, "1000"), (30, "10000"), (500, "100000")):
        pay(amount, at=at("00:01", days_ago(days)))
    settle(completed_at=at("00:09"))
    answer = get("stats")
    assert answer["revenue"] == {"today": 1, "last7Days": 11, "last30Days": 1111, "total": 111_111}
    shown = ("snapshots", "transactions", "priceHistory", "repoSnapshots", "distinctRepos")
    assert [answer[key] for key in shown] == [2, 6, 1, 4, 3]
    assert (answer["lastSnapshotDate"], answer["firstTransactionDate"]) == (str(days_ago(1)), str(days_ago(500)))
    assert answer["lastSyncBlock"] == TIP - 7


def test_pruned_payments_count_in_the_total_and_not_as_transactions(get):
    pay("5", at=at("00:01", days_ago(400)))
    pay("1", at=at("00:01"))
    settle(completed_at=at("00:09"))
    old = Payment.objects.filter(day=days_ago(400))
    settle(completed_at=at("00:09"), closed_through=days_ago(399), change=old.delete)
    answer = get("stats")
    assert (answer["transactions"], answer["revenue"]["total"]) == (1, 6)
    assert answer["firstTransactionDate"] == str(days_ago(400))


def test_a_day_without_payments_is_zero_once_a_sync_has_looked(get):
    settle(completed_at=at("00:09"))
    assert get("stats")["revenue"] == {"today": 0, "last7Days": 0, "last30Days": 0, "total": 0}


def test_stats_have_an_etag_and_are_asked_for_anew(client):
    response = client.get("/api/stats")
    assert response["Cache-Control"] == "no-cache"
    again = client.get("/api/stats", headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


# Health


def test_before_any_check_nobody_knows():
    assert snapshot_part(at("12:00")).report == {
        "healthy": None, "todaySnapshotExists": False, "consecutiveFailures": 0, "lastCheck": None, "lastSuccess": None,
        "reason": None,
    }  # fmt: skip


def test_without_a_database_nothing_is_known(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert set(snapshot_part(None).report.values()) == {None}


def checked(when, *, failures=0, error=""):
    TaskState.objects.update_or_create(
        name="check_snapshot",
        defaults={
            "last_started_at": when, "last_success_at": None if failures else when,
            "consecutive_failures": failures, "last_error": error,
        },
    )  # fmt: skip


def test_after_a_check_that_took_it_all_is_well(in_process):
    collected(at("00:07"))
    in_process("check_snapshot")
    assert snapshot_part(at("00:10")).report == {
        "healthy": True, "todaySnapshotExists": True, "consecutiveFailures": 0,
        "lastCheck": "2026-11-20T00:10:00Z", "lastSuccess": "2026-11-20T00:10:00Z", "reason": None,
    }  # fmt: skip


@pytest.mark.parametrize(("failures", "healthy"), [(2, True), (3, False)])
def test_three_failures_in_a_row_are_not_healthy(failures, healthy):
    snapshot(DAY)
    checked(at("12:00"), failures=failures)
    assert snapshot_part(at("12:01")).report["healthy"] is healthy


@pytest.mark.parametrize(("now", "healthy"), [("13:30:00", True), ("13:30:01", False)])
def test_no_check_for_ninety_minutes_is_not_healthy(now, healthy):
    snapshot(DAY)
    checked(at("12:00"))
    assert snapshot_part(at(now)).report["healthy"] is healthy


@pytest.mark.parametrize(("now", "healthy"), [("02:00:00", True), ("02:00:01", False)])
@pytest.mark.parametrize("exists", [False, True])
def test_from_two_in_the_morning_on_a_day_without_a_snapshot_is_not_healthy(now, healthy, exists):
    snapshot(DAY if exists else days_ago(1))
    checked(at("01:59"))
    assert snapshot_part(at(now)).report["healthy"] is (healthy or exists)


# Status


def test_the_status_of_an_empty_installation(get):
    assert get("admin/snapshot-status") == {
        "config": {"intervalMinutes": 30, "notBefore": "00:05", "maxAgeMinutes": 120, "totalsNeeded": 4},
        "state": {
            "lastCheck": None, "lastSuccess": None, "consecutiveFailures": 0, "lastError": None,
            "isSchedulerRunning": False, "isCheckInProgress": False, "lastSnapshotDate": None, "missingDays": [],
        },
        "todaySnapshotExists": False, "todaySnapshotDate": None, "isHealthy": None,
    }  # fmt: skip


def test_the_status_says_what_is_missing_why_and_what_runs(get, clock):
    clock.move_to(at("12:00"))
    WorkerSeen.objects.create(hostname="worker@box", seen_at=at("11:59:50"))
    snapshot(days_ago(40))
    for n in range(3, 31):
        snapshot(days_ago(n))
    Refusal.objects.create(day=days_ago(2), reason="nothing was read", last_at=at("23:30", days_ago(2)))
    checked(at("11:50"), failures=1, error="2 of 5 totals are known")
    with hold("take_snapshot"):
        answer = get("admin/snapshot-status")
    state = answer["state"]
    assert answer["config"]["intervalMinutes"] == 30
    assert (state["isSchedulerRunning"], state["isCheckInProgress"]) == (True, True)
    assert (state["lastCheck"], state["lastError"]) == ("2026-11-20T11:50:00Z", "2 of 5 totals are known")
    assert state["lastSnapshotDate"] == str(days_ago(3))
    assert state["missingDays"] == [
        {"date": "2026-11-20", "reason": "no snapshot has been taken yet today"},
        {"date": "2026-11-19", "reason": "no check ran on that day"},
        {"date": "2026-11-18", "reason": "nothing was read"},
    ]
    assert answer["isHealthy"] is False


def test_a_check_that_is_switched_off_is_no_running_scheduler(get, clock):
    WorkerSeen.objects.create(hostname="worker@box", seen_at=at("00:09:50"))
    PeriodicTask.objects.filter(name="check-snapshot").update(enabled=False)
    answer = get("admin/snapshot-status")
    assert (answer["config"]["intervalMinutes"], answer["state"]["isSchedulerRunning"]) == (None, False)


def test_only_the_last_thirty_days_are_told(get, clock):
    clock.move_to(at("12:00"))
    snapshot(days_ago(200))
    missing = get("admin/snapshot-status")["state"]["missingDays"]
    assert [gap["date"] for gap in missing] == [str(days_ago(n)) for n in range(30)]


def test_the_size_is_that_of_the_database(get):
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA page_count")
            pages = cursor.fetchone()[0]
            cursor.execute("PRAGMA page_size")
            size = pages * cursor.fetchone()[0]
        else:
            cursor.execute("SELECT pg_database_size(current_database())")
            size = cursor.fetchone()[0]
    assert abs(get("stats")["dbSizeKB"] - size // 1024) <= 64
