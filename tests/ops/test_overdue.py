"""Work that is not done, and a broker that answers but accepts no writes: a problem everywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks
from prometheus_client.parser import text_string_to_metric_families

from fluxtracker.celery import app as celery_app
from fluxtracker.env import socket_path
from fluxtracker.supervisor import broker
from metrics.models import Source
from ops import broker as ops_broker
from ops import heartbeat, leases, schedule_rows, tasks
from ops.alerts import services
from ops.jobs import services as jobs_services
from ops.jobs import task_helpers
from ops.models import Alert, Lease, TaskState, WorkerSeen
from ops.schedule_rows import UNRECORDED, entries, install
from ops.status import Status
from revenue.models import LedgerState
from tests.dashboard.reading import panel
from tests.dashboard.rows import NOW, network, snapshot, synced
from tests.factories import Remembered
from tests.waiting import AMPLE, eventually

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "in_order")]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
check_broker = ops_broker.status  # the fixture `in_order` replaces it


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def in_order(clock: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """An installation in which all was done just now."""
    settings.METRICS_ON_LOOPBACK = True
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    monkeypatch.setattr("ops.broker.status", Status)
    everything_done(NOW)


@Remembered
def everything_done(now: datetime) -> None:
    PeriodicTask.objects.all().delete()
    install()
    PeriodicTasks.objects.update(last_update=NOW - 30 * 24 * HOUR)
    synced(now)
    network(at=now)
    snapshot(now.date())
    for entry in entries():
        name = entry.task.rpartition(".")[2]
        if entry.task not in UNRECORDED:
            times = {"last_started_at": now, "last_success_at": now}
            TaskState.objects.update_or_create(name=name, defaults=times)


def last_did(name: str, ago: timedelta) -> None:
    TaskState.objects.filter(name=name).update(last_started_at=NOW - ago, last_success_at=NOW - ago)


def report() -> Any:
    answer = Client().get("/api/health").json()
    assert (answer["status"] == "ok") is (answer["problems"] == [])
    return answer


def names() -> list[str]:
    return [row["name"] for row in report()["schedule"]["overdue"]]


def test_where_everything_runs_nothing_is_overdue() -> None:
    answer = report()
    assert (answer["status"], answer["schedule"]) == ("ok", {"status": "ok", "overdue": [], "reason": None})


@pytest.mark.parametrize(
    ("name", "row", "ago", "is_late"),
    [
        ("refresh_price", "refresh-price", 10 * MINUTE, False),
        ("refresh_price", "refresh-price", 11 * MINUTE, True),
        ("check_services", "check-services", 119 * MINUTE, False),
        ("check_services", "check-services", 121 * MINUTE, True),
        ("prune", "prune", 47 * HOUR, False),
        ("prune", "prune", 49 * HOUR, True),
    ],
)
def test_twice_its_interval_is_overdue(name: str, row: str, ago: timedelta, is_late: bool) -> None:
    last_did(name, ago)
    assert names() == ([row] if is_late else [])
    assert report()["status"] == ("degraded" if is_late else "ok")


@pytest.mark.parametrize(("seconds", "is_late"), [(59, False), (61, True)])
def test_a_short_interval_has_a_minute(seconds: int, is_late: bool) -> None:
    row = PeriodicTask.objects.get(name="refresh-price")
    row.interval = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.SECONDS)[0]
    row.save()
    PeriodicTasks.objects.update(last_update=timezone.now() - HOUR)
    last_did("refresh_price", timedelta(seconds=seconds))
    assert names() == (["refresh-price"] if is_late else [])


def test_it_is_told_at_every_door(client: Client, admin_client: Client) -> None:
    last_did("refresh_price", HOUR)
    sentence = "The schedule is overdue: refresh-price (every 5 min) has not run since 18 Nov, 13:05 UTC."
    assert report()["problems"] == [sentence]
    assert sentence in panel(client, "strip")
    assert "All systems normal" not in panel(client, "strip")
    assert sentence in admin_client.get("/admin/").content.decode()
    tasks.check_alerts()
    assert Alert.objects.get().message == sentence
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    late = [row.labels for family in families for row in family.samples if row.name == "fluxtracker_schedule_overdue"]
    assert late == [{"name": "refresh-price"}]
    last_did("refresh_price", MINUTE)
    tasks.check_alerts()
    assert Alert.objects.get().closed_at is not None


def test_many_are_one_sentence() -> None:
    TaskState.objects.update(last_started_at=NOW - 90 * MINUTE, last_success_at=NOW - 90 * MINUTE)
    (problem,) = (words for words in report()["problems"] if words.startswith("The schedule"))
    assert problem.count("has not run since") == 3
    assert problem.endswith(", 5 more.")


def test_what_is_under_way_or_switched_off_or_new_is_not_overdue() -> None:
    last_did("sync_revenue", 5 * HOUR)
    last_did("collect_metrics", 5 * HOUR)
    assert names() == ["collect-metrics", "sync-revenue"]
    Lease.objects.filter(name="sync_revenue").delete()
    assert leases.try_take("sync_revenue", "elsewhere:1:1.00:x") is None
    PeriodicTask.objects.filter(name="collect-metrics").update(enabled=False)
    assert names() == []
    PeriodicTask.objects.filter(name="collect-metrics").update(enabled=True)
    PeriodicTasks.objects.update(last_update=NOW - 5 * MINUTE)
    assert names() == []
    TaskState.objects.filter(name="collect_metrics").delete()
    PeriodicTasks.objects.update(last_update=NOW - HOUR)
    assert "collect-metrics" in names()


def test_a_run_of_the_future_says_nothing() -> None:
    last_did("refresh_price", -5 * HOUR)
    assert names() == ["refresh-price"]


def test_a_daily_time_is_overdue_when_it_was_missed_twice() -> None:
    nightly = CrontabSchedule.objects.create(minute="0", hour="3")
    PeriodicTask.objects.filter(name="prune").update(interval=None, crontab=nightly)
    PeriodicTasks.objects.update(last_update=NOW - 30 * 24 * HOUR)
    for ago, late in ((34 * HOUR, []), (36 * HOUR, ["prune"])):  # since 04:05 and since 02:05 of the day before
        last_did("prune", ago)
        assert names() == late


def test_after_a_night_without_power_there_is_one_round_to_catch_up() -> None:
    TaskState.objects.update(last_started_at=NOW - 9 * HOUR, last_success_at=NOW - 9 * HOUR)
    tasks.check_alerts()
    assert not Alert.objects.filter(key="schedule").exists()
    tasks.check_alerts()
    assert Alert.objects.filter(key="schedule", closed_at=None).exists()


def test_a_scheduler_that_stands_still_is_not_said_to_run(client: Client) -> None:
    for path, name in (
        ("revenue-status", "sync_revenue"), ("test-status", "check_services"), ("snapshot-status", "check_snapshot"),
    ):  # fmt: skip
        for ago, runs in ((MINUTE, True), (3 * HOUR, False)):
            last_did(name, ago)
            answer = client.get(f"/api/admin/{path}").json()
            assert answer.get("state", answer)["isSchedulerRunning"] is runs, path


def test_beat_checks_the_alerts_where_no_worker_does(settings: Any) -> None:
    settings.ALERT_EMAILS = ["one@example.org"]
    last_did("check_alerts", 9 * MINUTE)
    last_did("refresh_price", HOUR)
    assert services.check_if_overdue(NOW) is False
    last_did("check_alerts", 11 * MINUTE)
    assert services.check_if_overdue(NOW) is True
    assert [message.subject for message in mail.outbox] == [
        "Fluxtracker: The schedule is overdue: refresh-price (every 5 min) has not run since 18 Nov, 13:05 UTC."
    ]
    assert services.check_if_overdue(NOW) is False


def test_a_worker_asks_for_the_check_where_beat_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    monkeypatch.setattr(task_helpers, "give", lambda task: given.append(task) or True)
    monkeypatch.setattr(heartbeat, "FIRST_LOOK_S", 0.0)
    monkeypatch.setattr(heartbeat, "seen", lambda hostname: None)
    monkeypatch.setattr(heartbeat.connection, "close", lambda: None)
    for ago in (MINUTE, HOUR):
        last_did("check_alerts", ago)
        heartbeat._stop.set()
        heartbeat._beat("here")
    assert given == [task_helpers.CHECK]


# A broker that answers, and takes no writes


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A broker of our own, which Celery is led to; on a busy machine it may take its time for an answer."""
    monkeypatch.setattr(ops_broker, "PING_TIMEOUT_S", AMPLE)
    monkeypatch.setattr(jobs_services, "TIMEOUT_S", AMPLE)
    process = subprocess.Popen(broker.program(tmp_path).argv, stdout=subprocess.DEVNULL)
    assert eventually(lambda: broker.answers(tmp_path))
    monkeypatch.setattr(celery_app.conf, "broker_url", f"redis+socket://{socket_path(tmp_path)}")
    client = redis.Redis(unix_socket_path=str(socket_path(tmp_path)))
    yield client.execute_command
    client.close()
    process.terminate()
    process.wait()


def test_a_check_of_the_broker_leaves_nothing_for_long(server: Callable[..., Any]) -> None:
    assert check_broker() == check_broker() == Status()
    assert server("KEYS", "*") == [b"fluxtracker.health"]
    assert 0 < server("TTL", "fluxtracker.health") <= 60


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "its memory is full"),
        (("REPLICAOF", "127.0.0.1", "1"), "it is a read-only replica"),
        (("CONFIG", "SET", "min-replicas-to-write", "1"), "its replicas are away"),
        (("ACL", "SETUSER", "default", "-@write"), "its user may not write"),
    ],
)
def test_a_broker_that_takes_no_writes_is_a_problem(
    server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, client: Client, command: tuple[str, ...], words: str
) -> None:
    server(*command)
    assert server("PING")
    monkeypatch.setattr(ops_broker, "status", check_broker)
    answer = report()
    sentence = f"The broker takes no writes: {words}: no task is started."
    assert answer["broker"] == {"status": "error", "error": sentence}
    assert (answer["status"], answer["problems"]) == ("degraded", [sentence])
    assert sentence in panel(client, "strip")
    assert "fluxtracker_broker_up 0.0" in client.get("/metrics").content.decode()
    with pytest.raises(jobs_services.NoBroker) as refused:
        jobs_services.send(1)
    assert refused.value.status == check_broker()


# One truth at one time


def fails(times: int) -> None:
    TaskState.objects.filter(name="sync_revenue").update(consecutive_failures=times, last_error="blockbook: HTTP 502")


def late_sync() -> None:
    LedgerState.objects.update(completed_at=NOW - HOUR)


def standing_tip() -> None:
    """First seen 31 minutes ago; the last sync saw it 20 minutes ago."""
    LedgerState.objects.update(tip_changed_at=NOW - 31 * MINUTE, completed_at=NOW - 20 * MINUTE)


def no_snapshot() -> None:
    from snapshots.models import Snapshot

    Snapshot.objects.all().delete()


def old_source() -> None:
    Source.objects.filter(name="cloud").update(read_at=NOW - 3 * HOUR, error="HTTP 503", tried_at=NOW)


def doubted() -> None:
    Alert.objects.create(key="price-doubted", message="The price is doubted.", raised_at=NOW, seen_at=NOW)


STATES: list[Callable[[], None]] = [
    lambda: None, lambda: fails(1), lambda: fails(2), lambda: fails(3), late_sync, standing_tip, no_snapshot,
    old_source, doubted, lambda: last_did("refresh_price", HOUR), lambda: WorkerSeen.objects.update(seen_at=NOW - HOUR),
]  # fmt: skip


@pytest.mark.parametrize("state", STATES)
def test_health_page_admin_metrics_and_alerts_judge_alike(
    client: Client, admin_client: Client, state: Callable[[], Any]
) -> None:
    state()
    answer = report()
    is_well = answer["status"] == "ok"
    strip = panel(client, "strip")
    assert strip.startswith("● All systems normal:") is is_well, strip
    assert ("All systems normal" in admin_client.get("/admin/").content.decode()) is is_well
    assert f'fluxtracker_status{{status="ok"}} {float(is_well)}' in client.get("/metrics").content.decode()
    if is_well:
        tasks.check_alerts()
        assert not Alert.objects.filter(closed_at=None).exists()


def test_a_failed_try_has_the_same_words_at_every_door(client: Client, admin_client: Client) -> None:
    fails(1)
    words = "Last chain read failed; retrying automatically."
    assert report()["problems"] == [words]
    assert words in panel(client, "strip")
    body = admin_client.get("/admin/").content.decode()
    assert words in body
    assert "the last try failed" in body


def test_an_alert_about_payments_has_the_words_of_the_page(client: Client) -> None:
    late_sync()
    tasks.check_alerts()
    message = Alert.objects.get(key="sync-lag").message
    assert message == "Payments may be missing: no sync has completed for 1 h."
    assert message in report()["problems"]
    assert message in panel(client, "strip")
    assert message in panel(client, "sources")


def test_every_alert_that_no_part_tells_is_a_problem() -> None:
    for key in ("disk", "backup", "quarantine", "ledger-differs", "price-doubted", "something-new"):
        Alert.objects.create(key=key, message=f"About {key}.", raised_at=NOW, seen_at=timezone.now())
    assert sorted(report()["problems"]) == sorted(
        f"About {key}." for key in ("disk", "backup", "quarantine", "ledger-differs", "price-doubted", "something-new")
    )


def test_overdue_takes_few_queries(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(3):
        schedule_rows.overdue(NOW)
