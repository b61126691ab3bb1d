"""What raises an alert, and what closes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from structlog.testing import capture_logs

from metrics.models import Source
from ops import tasks
from ops.alerts import records
from ops.jobs import runs
from ops.models import Alert, ServiceState, TaskRun, TaskState
from ops.status import Status
from revenue.models import LedgerState, Quarantined
from snapshots.models import Snapshot
from tests.factories import MAIN
from tests.ops.alerts.conftest import DAY, GB, HOUR, check, fail, succeed
from tests.ops.conftest import NOW
from tests.ops.webhook_server import PATH, Server, answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]


def test_where_nothing_is_wrong_nothing_is_raised() -> None:
    assert check() == []
    assert TaskRun.objects.get(name="check_alerts").report == {"raised": 0, "closed": 0, "open": 0}


def test_the_third_failure_in_a_row_raises_at_once_and_a_success_closes() -> None:
    fail(2)
    assert not Alert.objects.exists()
    with capture_logs() as logs:
        fail(1)
    alert = Alert.objects.get()
    assert (alert.key, alert.message) == ("task:some_work", "Some work failed 3 times in a row: the reason")
    assert [entry["log_level"] for entry in logs if entry["event"] == "task_keeps_failing"] == ["error"]
    fail(2)
    assert Alert.objects.get().message.startswith("Some work failed 5 times")
    assert check() == ["task:some_work"]
    succeed()
    assert Alert.objects.get().closed_at == NOW
    assert check() == []


def test_what_fails_again_later_is_a_new_alert() -> None:
    fail(3)
    succeed()
    fail(3)
    assert Alert.objects.filter(closed_at=None).count() == 1
    assert Alert.objects.count() == 2


@pytest.mark.parametrize(("minutes", "keys"), [(30, []), (31, ["sync-lag"])])
def test_a_sync_that_is_over_30_minutes_behind(minutes: int, keys: list[str]) -> None:
    LedgerState.objects.update(completed_at=NOW - timedelta(minutes=minutes))
    assert check() == keys


def test_syncs_of_a_source_that_stands_still_are_behind_too() -> None:
    LedgerState.objects.update(tip_changed_at=NOW - timedelta(minutes=45))
    assert check() == ["sync-lag"]
    assert Alert.objects.get().message == ("Payments may be missing: the source has been at block 5 for 45 min.")


@pytest.mark.parametrize(("hours", "keys"), [(23, []), (25, ["sync-lag"])])
def test_a_first_sync_has_a_day(installed: Callable[[datetime], None], hours: int, keys: list[str]) -> None:
    installed(NOW - hours * HOUR)
    LedgerState.objects.update(completed_at=None)
    assert check() == keys


@pytest.mark.parametrize(("minutes", "keys"), [(120, []), (121, ["source:cloud"])])
def test_a_source_of_over_two_hours_ago(minutes: int, keys: list[str]) -> None:
    read_at = NOW - timedelta(minutes=minutes)
    Source.objects.update_or_create(name="cloud", defaults={"read_at": read_at, "tried_at": NOW, "error": "HTTP 503"})
    assert check() == keys


@pytest.mark.parametrize(("hours", "keys"), [(1, []), (3, ["source:nodes"])])
def test_a_source_that_was_never_read(installed: Callable[[datetime], None], hours: int, keys: list[str]) -> None:
    installed(NOW - hours * HOUR)
    Source.objects.update_or_create(name="nodes", defaults={"tried_at": NOW, "error": "HTTP 503"})
    assert check() == keys


@pytest.mark.parametrize(
    ("clock_", "missing", "keys"),
    [
        ("2026-11-20 01:59", "2026-11-20", []),
        ("2026-11-20 02:00", "2026-11-20", ["snapshot"]),
        ("2026-11-20 01:00", "2026-11-19", ["snapshot"]),  # midnight does not heal yesterday's gap
        ("2026-11-20 02:00", "2026-11-19", []),
    ],
)
def test_a_snapshot_that_is_missing_at_two_o_clock(
    clock: time_machine.Traveller, clock_: str, missing: str, keys: list[str]
) -> None:
    now = datetime.fromisoformat(clock_).replace(tzinfo=UTC)
    clock.move_to(now)
    LedgerState.objects.update(completed_at=now, tip_changed_at=now)
    TaskState.objects.update(last_success_at=now)
    for day in ("2026-11-19", "2026-11-20"):
        Snapshot.objects.update_or_create(day=day, defaults={"made_at": now, "source": "taken"})
    Snapshot.objects.filter(day=missing).delete()
    assert check() == keys
    if keys:
        assert f"no snapshot of {missing}" in Alert.objects.get().message


def test_a_snapshot_that_comes_heals() -> None:
    Snapshot.objects.all().delete()
    assert check() == ["snapshot"]
    Snapshot.objects.create(day=NOW.date(), made_at=NOW, source="taken")
    assert check() == []


def test_an_installation_of_today_has_two_hours_for_its_first_snapshot(
    installed: Callable[[datetime], None], clock: time_machine.Traveller
) -> None:
    Snapshot.objects.all().delete()
    installed(NOW - HOUR)
    assert check() == []
    clock.shift(HOUR)
    LedgerState.objects.update(completed_at=NOW + HOUR, tip_changed_at=NOW + HOUR)
    assert check() == ["snapshot"]


def test_a_service_that_fails_three_checks_in_a_row() -> None:
    state = {"kind": "api", "status": "failed", "checked_at": NOW, "detail": "timed out"}
    ServiceState.objects.create(name="FluxOS", consecutive_failures=2, **state)
    assert check() == []
    ServiceState.objects.update(consecutive_failures=3)
    assert check() == ["service:api:FluxOS"]
    assert "FluxOS failed 3 checks in a row" in Alert.objects.get().message


@pytest.fixture
def backups() -> PeriodicTask:
    """The schedule makes backups."""
    interval, _ = IntervalSchedule.objects.get_or_create(every=1440, period=IntervalSchedule.MINUTES)
    row, _ = PeriodicTask.objects.get_or_create(name="backup", defaults={"task": "backup", "interval": interval})
    return row


@pytest.mark.parametrize(("hours", "keys"), [(26, []), (27, ["backup"])])
def test_a_backup_of_over_26_hours_ago(backups: PeriodicTask, hours: int, keys: list[str]) -> None:
    TaskState.objects.update(last_success_at=NOW - hours * HOUR)
    assert check() == keys


def test_a_backup_of_the_future_is_none(backups: PeriodicTask) -> None:
    TaskState.objects.update(last_success_at=NOW + DAY)
    assert check() == ["backup"]
    assert Alert.objects.get().message.startswith("The last good backup lies in the future: the clock was set back.")


def test_backups_that_nobody_wants_are_not_missed(backups: PeriodicTask) -> None:
    TaskState.objects.all().delete()
    assert check() == ["backup"]
    backups.enabled = False
    backups.save()
    assert check() == []


def test_a_young_installation_needs_no_backup_yet(backups: PeriodicTask, installed: Callable[[datetime], None]) -> None:
    TaskState.objects.all().delete()
    installed(NOW - 25 * HOUR)
    assert check() == []


@pytest.mark.parametrize(
    ("total", "free", "keys"),
    [(100 * GB, GB, ["disk"]), (100 * GB, 3 * GB, []), (10 * GB, 1.5 * GB, []), (19 * GB, 1.8 * GB, ["disk"])],
)
def test_a_disk_that_is_nearly_full(disk: SimpleNamespace, total: int, free: int, keys: list[str]) -> None:
    disk.total, disk.free = total, free
    assert check() == keys


def test_a_disk_at_the_edge_is_told_once(disk: SimpleNamespace) -> None:
    disk.free = 1.99 * GB
    assert check() == ["disk"]
    disk.free = 2.1 * GB
    assert check() == ["disk"]
    disk.free = 2.3 * GB
    assert check() == []


def test_a_quarantine_that_is_not_empty_for_a_day() -> None:
    row = Quarantined.objects.create(
        txid="ee" * 32, address=MAIN, reason="sender", first_seen_at=NOW - timedelta(hours=23), next_attempt_at=NOW
    )
    assert check() == []
    Quarantined.objects.update(first_seen_at=NOW - DAY)
    assert check() == ["quarantine"]
    row.delete()
    assert check() == []


def test_a_ledger_that_differs_from_the_chain() -> None:
    found = {"checked": 900, "missing": 37, "extra": 4, "different": 2, "fixed": 0}
    for report, keys in ((found, ["ledger-differs"]), (found | {"fixed": 43}, []), (found | {"fixed": 50}, [])):
        with runs.run("audit_revenue", trigger="beat") as run:
            run.report = report
        assert check() == keys
    words = Alert.objects.get(key="ledger-differs").message
    assert "found 43 payments that differ from the chain" in words


def test_a_ledger_that_differs_is_among_the_problems(client: Client) -> None:
    with runs.run("audit_revenue", trigger="beat") as run:
        run.report = {"checked": 900, "missing": 1, "extra": 0, "different": 0, "fixed": 0}
    check()
    report = client.get("/api/health").json()
    assert report["status"] == "degraded"
    assert any("found 1 payment that differ" in words for words in report["problems"])


def test_a_rule_that_breaks_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fail(3)
    monkeypatch.setattr("ops.check_results.failing", lambda *_: 1 / 0)
    ServiceState.objects.create(name="x", kind="api", status="failed", checked_at=NOW, consecutive_failures=3)
    with pytest.raises(ZeroDivisionError):
        tasks.check_alerts()
    assert Alert.objects.get().closed_at is None


def test_channels_that_keep_failing_are_an_alert_themselves(hook: Server) -> None:
    hook.answers[PATH] = answer(404)
    fail(3)
    for _ in range(3):
        tasks.send_alerts()
    assert check() == ["task:send_alerts", "task:some_work"]


def test_an_alert_that_was_raised_by_two_at_once_is_one() -> None:
    once, twice = (Status("alert", facts={"message": message}, key="x") for message in ("once", "twice"))
    assert [records.raise_alert(once, NOW), records.raise_alert(twice, NOW)] == [True, False]
    assert Alert.objects.get().message == "twice"


def test_what_is_open_is_in_the_health_report(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.broker.status", Status)
    Quarantined.objects.create(
        txid="ee" * 32, address=MAIN, reason="sender", first_seen_at=NOW - DAY, next_attempt_at=NOW
    )
    check()
    report = client.get("/api/health").json()
    sentence = "1 transaction could not be read for over a day: not counted yet."
    assert report["alerts"] == [
        {
            "key": "quarantine",
            "message": sentence,
            "since": "2026-11-20T14:00:00Z",
            "lastSeen": "2026-11-20T14:00:00Z",
            "lastTold": None,
        }
    ]
    assert report["status"] == "degraded"
    assert sentence in report["problems"]
