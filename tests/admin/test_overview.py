from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from ops import leases
from ops.admin_site import GROUPS
from ops.jobs import services
from ops.models import Alert, AuditEntry, Job, ServiceState, TaskState, WorkerSeen
from ops.schedule_rows import install
from ops.status import Status
from revenue.models import Quarantined
from tests.dashboard.rows import ADDRESS, NOW, network, pay, snapshot, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plain_static_files")]

MINUTE = timedelta(minutes=1)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A broker that answers, and the jobs that it was given."""
    sent: list[int] = []
    monkeypatch.setattr("ops.broker.status", Status)
    monkeypatch.setattr(services, "send", sent.append)
    return sent


def staff(*permissions: str) -> Client:
    """Stefan is staff and may do what is said, no more."""
    user = User.objects.create_user("stefan", password="only-for-this-test", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def words(response: Any) -> str:
    """What a reader of the page sees, in one line."""
    assert response.status_code == 200, response.status_code
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def in_order() -> None:
    """Everything was read just now, today's snapshot is there, every task ran."""
    PeriodicTask.objects.all().delete()  # made when the tests' database was
    install()
    synced()
    network()
    snapshot(NOW.date())
    for name in ("sync_revenue", "check_snapshot"):
        TaskState.objects.create(name=name, last_started_at=NOW - MINUTE, last_success_at=NOW - MINUTE)


def test_the_first_page_says_that_everything_is_in_order(olivia: Client, broker: list[int]) -> None:
    in_order()
    body = words(olivia.get("/admin/"))
    assert "All systems normal" in body
    assert "read to block 2,996,908 chain at block 2,996,915 last complete 0 s ago quarantine 0" in body
    assert "today's taken" in body
    assert "broker answers workers at work worker@test seen 0 s ago" in body


def test_what_is_wrong_is_told_first(olivia: Client, broker: list[int]) -> None:
    in_order()
    WorkerSeen.objects.update(seen_at=NOW - 5 * MINUTE)
    Quarantined.objects.create(txid="ee" * 32, address=ADDRESS, reason="sender", first_seen_at=NOW, next_attempt_at=NOW)
    ServiceState.objects.create(kind="api", name="stats", status="failed", checked_at=NOW)
    Alert.objects.create(key="disk", message="The disk is nearly full.", raised_at=NOW - 9 * MINUTE, seen_at=NOW)
    Alert.objects.create(key="old", message="It is over.", raised_at=NOW, seen_at=NOW, closed_at=NOW)
    body = words(olivia.get("/admin/"))
    assert body.index("Needs attention") < body.index("No worker has been seen") < body.index("Payments")
    assert "The disk is nearly full. 9 min ago not yet" in body
    assert "It is over" not in body
    assert "workers none seen for over a minute" in body
    assert "quarantine 1" in body
    assert "in order 0 of 1 last check 0 s ago stats failed" in body.lower()


def test_the_schedule_shows_when_each_task_ran_and_runs_next(olivia: Client, broker: list[int]) -> None:
    in_order()
    PeriodicTask.objects.filter(name="prune").update(enabled=False)
    PeriodicTask.objects.filter(name="sync-revenue").update(last_run_at=NOW - 4 * MINUTE)
    TaskState.objects.create(
        name="collect_metrics", last_started_at=NOW - 12 * MINUTE, last_failure_at=NOW, consecutive_failures=2,
        last_error="stats does not answer",
    )  # fmt: skip
    nightly = CrontabSchedule.objects.create(minute="0", hour="15")
    PeriodicTask.objects.create(name="nightly", task="ops.tasks.nightly", crontab=nightly, last_run_at=NOW)
    body = words(olivia.get("/admin/"))
    assert "sync-revenue every 5 min 1 min ago in 4 min OK" in body
    assert "collect-metrics every 10 min 12 min ago due 2 failures in a row: stats does not answer" in body
    assert "prune every 1 day never switched off" in body
    assert "refresh-price every 5 min never due" in body
    assert "nightly 0 15 * * * (m/h/dM/MY/d) UTC 0 s ago in 55 min" in body


def test_the_jobs_of_late_are_shown_with_what_came_of_them(olivia: Client, broker: list[int]) -> None:
    made = {"actor": "olivia", "via": "api", "created_at": NOW - MINUTE}
    Job.objects.create(name="prune", state="done", result={"transactions": 12, "checks": 0}, **made)
    Job.objects.create(name="backup", state="failed", error="the disk is full", **made)
    Job.objects.create(name="revenue-sync", state="running", progress="block 1,200,000", **made)
    body = words(olivia.get("/admin/"))
    assert "Jobs : 1 running" in body
    assert "prune 1 min ago olivia Done checks 0, transactions 12" in body
    assert "backup 1 min ago olivia Failed the disk is full" in body
    assert "revenue-sync 1 min ago olivia Running block 1,200,000" in body


def test_the_part_that_is_asked_for_again_is_the_same(olivia: Client, broker: list[int]) -> None:
    in_order()
    part = olivia.get("/admin/overview/", headers={"HX-Request": "true"})
    page = olivia.get("/admin/").content.decode()
    assert part.content.decode().strip() in page
    assert "<html" not in part.content.decode()
    assert "no-store" in part["Cache-Control"]


def test_who_was_signed_out_meanwhile_loads_the_page_anew(client: Client) -> None:
    answer = client.get("/admin/overview/")
    assert (answer.status_code, answer["HX-Refresh"]) == (401, "true")


def test_staff_see_the_parts_that_they_may(broker: list[int]) -> None:
    in_order()
    client = staff("view_snapshot")
    body = words(client.get("/admin/"))
    assert "Snapshots today's taken" in body
    assert "Storage database" in body
    for hidden in ("read to block", "sync-revenue every", "workers at work", "No jobs yet"):
        assert hidden not in body


def test_a_database_without_anything_in_it_has_an_overview(olivia: Client, broker: list[int]) -> None:
    PeriodicTask.objects.all().delete()
    body = words(olivia.get("/admin/"))
    assert "read to block not known" in body
    assert "last backup never" in body
    assert "The schedule is empty." in body


def test_where_the_data_dir_cannot_be_looked_at_the_disk_is_not_known(
    olivia: Client, broker: list[int], settings: Any
) -> None:
    settings.DATA_DIR = Path("/nowhere/at/all")
    assert "free disk not known" in words(olivia.get("/admin/"))


@pytest.mark.engine
def test_its_queries_do_not_grow_with_the_rows(olivia: Client, broker: list[int]) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert olivia.get("/admin/").status_code == 200
        return len(captured)

    in_order()
    pay()
    made = {"actor": "olivia", "via": "api", "created_at": NOW}
    queries()  # what a process learns once: content types, migrations
    few = queries()
    for n in range(30):
        Job.objects.create(name="prune", state="done", **made)
        Alert.objects.create(key=f"k{n}", message="x", raised_at=NOW, seen_at=NOW)
        ServiceState.objects.create(kind="api", name=f"s{n}", status="ok", checked_at=NOW)
        WorkerSeen.objects.create(hostname=f"w{n}", seen_at=NOW)
        snapshot(date(2026, 10, 1) + timedelta(days=n))
    assert queries() <= few + 1  # one for the reasons of missing days
    assert few <= 32


# Starting work


def test_a_button_asks_for_the_job_with_its_defaults(olivia: Client, broker: list[int]) -> None:
    answer = olivia.post("/admin/work/revenue-sync/", follow=True)
    job = Job.objects.get()
    assert (job.name, job.params, job.actor, job.via, job.state) == (
        "revenue-sync", {"full": False}, "olivia", "admin", "queued",
    )  # fmt: skip
    assert broker == [job.pk]
    assert answer.redirect_chain == [(f"/admin/ops/job/{job.pk}/change/", 302)]
    assert f"Revenue sync: queued as job {job.pk}." in words(answer)
    entry = AuditEntry.objects.get(action="job revenue-sync")
    assert (entry.actor, entry.outcome) == ("olivia", "asked")


def test_its_page_takes_parameters(olivia: Client, broker: list[int]) -> None:
    body = olivia.get("/admin/work/backfill/").content.decode()
    assert 'name="days"' in body
    assert 'value="365"' in body
    olivia.post("/admin/work/backfill/", {"days": "12", "force": "true"})
    assert Job.objects.get().params == {"days": 12, "force": True}


def test_wrong_parameters_are_told_and_nothing_is_started(olivia: Client, broker: list[int]) -> None:
    answer = olivia.post("/admin/work/backfill/", {"days": "0"})
    assert answer.status_code == 400
    assert "expected a whole number from 1 to 3650" in answer.content.decode()
    assert 'value="0"' in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", ["reset-revenue-sync", "clear-revenue-data", "prune"])
def test_what_destroys_needs_its_name_typed(olivia: Client, broker: list[int], name: str) -> None:
    sure = {"confirm": "clear"}
    for given in ({}, {"sure": "yes"}):
        answer = olivia.post(f"/admin/work/{name}/", sure | given)
        assert answer.status_code == 400
        assert f"Type {name} to confirm." in answer.content.decode()
    assert not Job.objects.exists()
    olivia.post(f"/admin/work/{name}/", sure | {"sure": name})
    assert Job.objects.get().name == name


def test_what_destroys_says_how_much_and_how_old_the_last_backup_is(olivia: Client, settings: Any) -> None:
    synced()
    pay(at=NOW - timedelta(days=40))
    pay()
    settings.RETENTION_DAYS = 30
    assert "payments 1 deleted last backup never Back up first" in words(olivia.get("/admin/work/prune/"))
    TaskState.objects.create(name="backup", last_success_at=NOW - MINUTE)
    shown = words(olivia.get("/admin/work/clear-revenue-data/"))
    assert "payments 2 deleted" in shown
    assert "last backup 1 min ago" in shown
    assert "rows deletes none" in words(olivia.get("/admin/work/reset-revenue-sync/"))


def test_tables_and_jobs_are_listed_by_what_they_are_for(olivia: Client) -> None:
    shown = words(olivia.get("/admin/"))
    titles = ("Read: ", "Repair: ", "Danger: ", "Today", "Jobs", "Data", "Alerts", "Access", "Other tables")
    assert [title for title in titles if title not in shown] == []
    assert {name for names in GROUPS.values() for name in names} <= {m._meta.label for m in site._registry}


def test_clearing_needs_the_word(olivia: Client, broker: list[int]) -> None:
    for given in ({}, {"confirm": "yes"}):
        answer = olivia.post("/admin/work/clear-revenue-data/", {"sure": "clear-revenue-data", **given})
        assert answer.status_code == 400
    assert not Job.objects.exists()


def test_a_job_that_is_active_is_led_to_and_not_asked_for_again(olivia: Client, broker: list[int]) -> None:
    olivia.post("/admin/work/backup/")
    answer = olivia.post("/admin/work/backup/", follow=True)
    job = Job.objects.get()
    assert answer.redirect_chain == [(f"/admin/ops/job/{job.pk}/change/", 302)]
    assert f"Not started: backup is already queued (job {job.pk})." in words(answer)


def test_work_of_the_schedule_is_not_disturbed(olivia: Client, broker: list[int]) -> None:
    assert leases.try_take("backup", "elsewhere:12:1.00:ab") is None
    answer = olivia.post("/admin/work/backup/", follow=True)
    assert "Not started: backup is already running (pid 12 on elsewhere)." in words(answer)
    assert not Job.objects.exists()


def test_without_a_broker_the_job_says_why_it_will_not_run(olivia: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(job: int) -> None:
        raise services.NoBroker()

    monkeypatch.setattr(services, "send", away)
    answer = olivia.post("/admin/work/backup/", follow=True)
    assert "Not started: the broker does not answer" in words(answer)
    assert Job.objects.get().state == "failed"


def test_all_staff_may_start_work_as_in_the_api(broker: list[int]) -> None:
    client = staff()
    answer = client.post("/admin/work/backup/", follow=True)
    assert answer.redirect_chain == [("/admin/", 302)]
    assert "queued as job" in words(answer)


def test_nobody_else_may(client: Client, broker: list[int]) -> None:
    assert client.post("/admin/work/backup/").status_code == 302
    client.force_login(User.objects.create_user("rita"))
    assert client.post("/admin/work/backup/").status_code == 302
    assert not Job.objects.exists()


def test_a_request_from_another_site_starts_nothing(broker: list[int]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("olivia"))
    assert client.post("/admin/work/backup/").status_code == 403
    assert not Job.objects.exists()


def test_there_is_no_page_for_unknown_work(olivia: Client) -> None:
    assert olivia.get("/admin/work/mine-flux/").status_code == 404


def test_looking_starts_nothing(olivia: Client, broker: list[int]) -> None:
    olivia.get("/admin/work/prune/")
    assert not Job.objects.exists()


# A job's own page


def job(state: str = "running", **more: Any) -> Job:
    made = {"name": "revenue-sync", "actor": "olivia", "via": "admin", "created_at": NOW - MINUTE}
    return Job.objects.create(state=state, **made | more)


def test_a_running_job_shows_how_far_it_is_and_can_be_called_off(olivia: Client) -> None:
    row = job(progress="block 1,200,000", started_at=NOW - MINUTE)
    page = olivia.get(f"/admin/ops/job/{row.pk}/change/").content.decode()
    assert "block 1,200,000" in page
    assert "hx-get" in page
    answer = olivia.post(f"/admin/ops/job/{row.pk}/cancel/", follow=True)
    row.refresh_from_db()
    assert row.cancel_asked
    assert "The job will stop at its next step." in words(answer)
    assert "Cancel the job" not in words(answer)


def test_a_queued_job_is_cancelled_at_once(olivia: Client) -> None:
    row = job("queued")
    answer = olivia.post(f"/admin/ops/job/{row.pk}/cancel/", follow=True)
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert "Cancelled : cancelled by olivia" in words(answer)


def test_what_is_over_is_not_cancelled(olivia: Client) -> None:
    row = job("done", result={"added": 3})
    answer = olivia.post(f"/admin/ops/job/{row.pk}/cancel/", follow=True)
    assert "Not cancelled: the job is over already: done." in words(answer)
    assert "Done : added 3" in words(answer)
    assert "hx-get" not in answer.content.decode()


def test_cancelling_needs_a_post(olivia: Client) -> None:
    assert olivia.get(f"/admin/ops/job/{job().pk}/cancel/").status_code == 405


def test_its_standing_reloads_the_page_once_it_is_over(olivia: Client) -> None:
    row = job()
    running = olivia.get(f"/admin/ops/job/{row.pk}/standing/")
    assert "HX-Refresh" not in running
    Job.objects.update(state="done")
    assert olivia.get(f"/admin/ops/job/{row.pk}/standing/")["HX-Refresh"] == "true"


def test_who_may_not_see_jobs_does_not_see_how_far_one_is() -> None:
    assert staff("view_alert").get(f"/admin/ops/job/{job().pk}/standing/").status_code == 401
