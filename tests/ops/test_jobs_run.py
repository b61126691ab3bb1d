"""A job on a worker: claimed once, run, its end recorded, taken over from a dead worker."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from fluxtracker.upstream.http.client import WATCH, Http
from fluxtracker.upstream.http.errors import Unavailable
from ops import leases, registry
from ops.jobs import runs, worker
from ops.jobs.worker import resend_jobs
from ops.models import Job, TaskRun, TaskState
from ops.tasks import run_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]

DEAD = f"{leases.make_holder().split(':')[0]}:999999:1.00:dead"
ELSEWHERE = "another-host:1:1.00:alive"


def work(**params):
    """What the job `work` does; each test puts its own here."""


def run_work(run, *, size):
    run.report = {"done": {"size": size}, "trigger": run.trigger}
    work(run=run)
    return run.report


run_work.__name__ = "work"  # that of its runs and of its lease


@dataclass(frozen=True)
class WorkReport:
    """A report without keys."""


@pytest.fixture(autouse=True)
def made(monkeypatch):
    job = registry.JobType(name="work", work=run_work, report=WorkReport, help="Works.")
    monkeypatch.setitem(registry.jobs(), "work", job)


@pytest.fixture
def does(monkeypatch):
    """Says what the work does."""

    def say(what):
        monkeypatch.setattr(f"{__name__}.work", what)

    return say


def job(**values):
    now = timezone.now()
    told = {"name": "work", "actor": "alice", "via": "api", "created_at": now, "sent_at": now, "params": {"size": 3}}
    return Job.objects.create(**told | values)


def running(**values):
    now = timezone.now()
    return job(**{"state": "running", "holder": DEAD, "seen_at": now, "started_at": now, "attempts": 1} | values)


def run(row):
    run_job.apply(args=[row.pk], throw=True)
    row.refresh_from_db()
    return row


def test_the_report_of_the_door_is_the_result(does):
    done = run(job())
    assert (done.state, done.result) == ("done", {"done": {"size": 3}, "trigger": "api"})
    assert (done.attempts, done.holder, done.error) == (1, "", "")
    assert done.finished_at >= done.started_at
    assert TaskRun.objects.get().trigger == "api"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_what_is_over_does_not_run_again(state):
    assert run(job(state=state)).attempts == 0
    assert not TaskRun.objects.exists()


def test_a_message_that_comes_twice_runs_once(does):
    calls = []
    does(lambda run: calls.append(1))
    row = job()
    run(row)
    run(row)
    assert calls == [1]


def test_two_workers_that_are_told_at_once_run_it_once(does):
    """The second hears of it while the first is at work."""
    calls, row = [], job()
    does(lambda run: (calls.append(1), worker.run_job(row.pk)))
    assert (run(row).state, calls, row.attempts) == ("done", [1], 1)


def raising(error):
    def fail(run):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "failure", "words"),
    [
        (Unavailable("blockbook", "/x", "no answer"), "upstream", "blockbook /x: no answer"),
        (runs.NotDone("too early", {"date": "2026-11-24"}), "refused", "too early"),
        (leases.LeaseLost("the lease went"), "refused", "the lease went"),
        (OperationalError("no such table: SELECT secret"), "database", "see the log"),
        (SoftTimeLimitExceeded(), "worker", "took too long"),
        (ValueError("/root/secret"), "error", "unexpected error (ValueError)"),
    ],
)
def test_a_failure_is_told_by_kind_and_in_words(does, error, failure, words):
    does(raising(error))
    failed = run(job())
    assert (failed.state, failed.failure) == ("failed", failure)
    assert words in failed.error
    assert "secret" not in failed.error
    assert failed.result == getattr(error, "report", None)
    assert failed.result in ({"date": "2026-11-24"}, {"trigger": "api", "done": {"size": 3}})


def test_work_that_somebody_else_is_at_fails_as_already_running(monkeypatch):
    monkeypatch.setattr(worker, "LEASE_WAIT_S", 0.1)
    with leases.hold("work"):
        failed = run(job())
    assert (failed.state, failed.failure) == ("failed", "running")
    assert "work is already running (pid" in failed.error


# Progress and calling off


def beat():
    """What the watch's thread does every two seconds; on time in tests/system/test_jobs.py."""
    WATCH.get()._look()


def test_progress_and_signs_of_life_are_seen_while_it_runs(does):
    row, seen = job(), []

    def slowly(run):
        run.progress("block 5 of 9")
        beat()
        now = Job.objects.get(pk=row.pk)
        seen.append((now.state, now.progress, now.seen_at > now.started_at))

    does(slowly)
    assert run(row).progress == "block 5 of 9"
    assert seen == [("running", "block 5 of 9", True)]


STEPS = {
    "guard": lambda run: run.guard(),
    "progress": lambda run: run.progress("on"),
    "request": lambda run: Http.from_settings().get_json("http://127.0.0.1:9/nobody"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_running_job_that_is_called_off_ends_at_its_next_step(does, step):
    row, asked = job(), []

    def until_called_off(run):
        Job.objects.filter(pk=row.pk).update(cancel_asked=True)
        beat()
        asked.append(step)
        with transaction.atomic():
            STEPS[step](run)

    does(until_called_off)
    off = run(row)
    assert (off.state, off.failure, off.result, asked) == ("cancelled", "", None, [step])
    state = TaskState.objects.get(name="work")
    assert (state.consecutive_failures, TaskRun.objects.get().ok) == (0, False)


def test_work_of_the_schedule_is_watched_by_nobody():
    with runs.run("work", trigger="schedule") as run:
        run.progress("far")
        with transaction.atomic():
            run.guard()


# Workers that die


def test_a_job_of_a_dead_worker_is_taken_over_when_its_message_comes_again():
    row = run(running())
    assert (row.state, row.attempts) == ("done", 2)


def test_a_job_of_a_living_worker_is_not():
    for holder in (leases.make_holder(), ELSEWHERE):
        row = running(holder=holder)
        run(row)
        assert (row.state, row.holder, row.attempts) == ("running", holder, 1)
        Job.objects.all().delete()


def test_a_worker_elsewhere_is_dead_when_it_was_silent_for_five_minutes():
    row = running(holder=ELSEWHERE, seen_at=timezone.now() - timedelta(seconds=301))
    assert run(row).state == "done"


def test_a_worker_that_is_told_to_end_gives_its_job_back(does):
    does(raising(SystemExit(0)))
    row = job()
    with pytest.raises(SystemExit):
        worker.run_job(row.pk)
    row.refresh_from_db()
    assert (row.state, row.holder, row.sent_at) == ("queued", "", None)


def test_a_worker_that_lost_its_job_stops_and_writes_nothing_over_the_other(does):
    row = job()

    def slowly(run):
        Job.objects.filter(pk=row.pk).update(holder=ELSEWHERE)
        beat()
        run.progress("on")

    does(slowly)
    kept = run(row)
    assert (kept.state, kept.holder, kept.result) == ("running", ELSEWHERE, None)
    assert "went to another worker" in TaskRun.objects.get().error


# Sent again


def resend(minutes=0):
    return resend_jobs(now=timezone.now() + timedelta(minutes=minutes))


def test_a_message_that_the_broker_lost_is_sent_again_after_a_minute(sent):
    row = job()
    assert (resend().sent, sent) == (0, [])
    assert (resend(minutes=1.1).sent, sent) == (1, [row.pk])
    assert (resend(minutes=1.2).sent, sent) == (0, [row.pk])


def test_a_job_of_a_dead_worker_is_queued_and_sent_again(sent):
    row = running()
    report = resend()
    row.refresh_from_db()
    assert (report.requeued, report.sent, row.state, sent) == (1, 1, "queued", [row.pk])


def test_after_three_times_more_it_is_given_up(sent):
    row = running(attempts=4)
    assert resend().ended == 1
    row.refresh_from_db()
    assert (row.state, row.failure, row.error) == ("failed", "worker", "its worker died 4 times")
    assert run(running(attempts=4)).state == "running"
    assert sent == []


def test_a_job_that_was_called_off_when_its_worker_died_is_over(sent):
    row = running(cancel_asked=True)
    resend()
    row.refresh_from_db()
    assert row.state == "cancelled"


def test_a_living_worker_keeps_its_job(sent):
    running(holder=leases.make_holder())
    report = resend()
    assert (report.requeued, report.ended, report.sent) == (0, 0, 0)


def test_jobs_are_kept_for_ninety_days_and_active_ones_for_ever(sent):
    old = timezone.now() - timedelta(days=91)
    job(name="a", state="done", created_at=old)
    job(name="b", state="queued", created_at=old)
    job(name="c", state="failed", created_at=timezone.now() - timedelta(days=89))
    assert resend().pruned == 1
    assert set(Job.objects.values_list("name", flat=True)) == {"b", "c"}


def test_without_a_broker_resending_waits_for_the_next_minute(monkeypatch):
    from ops.jobs.services import NoBroker

    def fail(number):
        raise NoBroker()

    monkeypatch.setattr("ops.jobs.services.send", fail)
    job()
    assert resend(minutes=2).sent == 0
    assert Job.objects.get().state == "queued"


def test_the_log_of_a_job_has_the_id_of_the_request(does):
    from structlog.contextvars import get_contextvars

    seen = []
    does(lambda run: seen.append(get_contextvars()))
    row = run(job(request_id="from-the-request"))
    assert seen == [{"request_id": "from-the-request", "job": row.pk}]
    assert get_contextvars() == {}


def test_an_error_that_nobody_foresaw_is_logged_with_its_trace(does):
    does(raising(ValueError("why")))
    with capture_logs() as logs:
        run(job())
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["job_failed_unexpectedly"]
