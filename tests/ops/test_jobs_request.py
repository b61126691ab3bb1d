"""Asking for a job: who may, what comes of it, and that it is never there twice."""

import threading

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from ops import leases, registry
from ops.jobs import services
from ops.jobs.services import NoBroker
from ops.leases import make_holder
from ops.models import AuditEntry, Job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture
def ask(staff, sent):
    def request(name="backfill-usd", **params):
        return services.request_job(name, params, user=staff, address="203.0.113.9", via="api")

    return request


def test_the_row_is_there_before_it_is_sent(ask, monkeypatch):
    seen = []
    monkeypatch.setattr("ops.jobs.services.send", lambda number: seen.append(Job.objects.get(pk=number).state))
    job = ask("backfill-app-names", batchSize=99_999)
    assert seen == ["queued"]
    assert (job.name, job.params, job.actor, job.via) == (
        "backfill-app-names", {"batchSize": 2000, "all": False}, "alice", "api",
    )  # fmt: skip


def test_who_asked_for_what_is_in_the_audit_log(ask):
    job = ask("backfill", days=30, nonsense="password")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.address, entry.action, entry.outcome) == (
        "alice",
        "203.0.113.9",
        "job backfill",
        "asked",
    )
    assert entry.detail == {"job": job.pk, "days": 30, "force": False}


@pytest.mark.parametrize("state", ["queued", "running"])
def test_the_second_of_a_name_is_refused(ask, state):
    first = ask()
    Job.objects.update(state=state)
    with pytest.raises(services.AlreadyRunning) as refusal:
        ask()
    assert refusal.value.job == first
    assert str(refusal.value) == f"backfill-usd is already {state} (job {first.pk})"
    assert Job.objects.count() == 1
    assert [entry.outcome for entry in AuditEntry.objects.all()] == ["refused", "asked"]


def test_the_database_refuses_a_second_active_job_of_a_name(ask):
    job = ask()
    with pytest.raises(IntegrityError):
        Job.objects.create(name=job.name, actor="bob", via="api", created_at=timezone.now())


def test_of_many_that_ask_at_once_one_gets_it(staff, sent):
    got, refused, start = [], [], threading.Barrier(6)

    def one():
        start.wait()
        try:
            got.append(services.request_job("backfill-usd", {}, user=staff, address=None, via="api"))
        except services.AlreadyRunning as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused), Job.objects.count(), len(sent)) == (1, 5, 1, 1)


def hold(name, holder):
    assert leases.try_take(name, holder) is None


def test_what_the_schedule_is_at_is_refused_and_told_who(ask):
    hold("sync_revenue", make_holder())
    for name, params in (("revenue-sync", {}), ("clear-revenue-data", {"confirm": "clear"}),
                         ("audit-transactions", {"fix": True})):  # fmt: skip
        with pytest.raises(services.AlreadyRunning, match=r"sync_revenue is already running \(pid") as refusal:
            ask(name, **params)
        assert refusal.value.job is None
    assert ask("audit-transactions").state == "queued"


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_that_needs_the_same_lease_is_in_the_way_even_before_it_holds_it(ask, state):
    first = ask("revenue-sync")
    Job.objects.update(state=state)
    with pytest.raises(services.AlreadyRunning, match=f"revenue-sync is already {state}") as refusal:
        ask("clear-revenue-data", confirm="clear")
    assert refusal.value.job == first
    assert ask("snapshot").state == "queued"


def test_a_dead_holder_keeps_nobody_out(ask):
    host = make_holder().split(":")[0]
    hold("backfill_usd", f"{host}:999999:1.00:dead")
    assert ask().state == "queued"


def test_without_a_broker_the_row_says_that_it_will_not_run(ask, monkeypatch):
    def fail(number):
        raise NoBroker()

    monkeypatch.setattr("ops.jobs.services.send", fail)
    with pytest.raises(services.NotSent) as refusal:
        ask()
    job = Job.objects.get()
    assert refusal.value.job == job
    assert (job.state, job.failure, job.error) == (
        "failed",
        "broker",
        "The broker does not answer: no task is started.",
    )
    monkeypatch.setattr("ops.jobs.services.send", lambda number: None)
    assert ask().state == "queued"


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("clear-revenue-data", {}, 'expected "clear"'),
        ("clear-revenue-data", {"confirm": "yes"}, 'expected "clear"'),
        ("backfill", {"days": 3651}, "whole number from 1 to 3650"),
        ("backfill", {"days": 0}, "whole number"),
        ("audit-transactions", {"blocks": -1}, "whole number"),
        ("revenue-sync", {"full": "perhaps"}, "expected true or false"),
        ("backfill-app-names", {"batchSize": True}, "whole number"),
    ],
)
def test_wrong_parameters_make_no_job(ask, name, params, words):
    with pytest.raises(ValidationError) as refusal:
        ask(name, **params)
    assert words in str(refusal.value.detail)
    assert not Job.objects.exists()


def test_a_name_that_is_none_tells_which_there_are(ask):
    with pytest.raises(registry.UnknownJob, match="available jobs: revenue-sync, "):
        ask("format-disk")


@pytest.mark.parametrize("job", registry.jobs().values(), ids=registry.jobs())
def test_every_job_takes_what_its_form_lets_through(job):
    words = {job.keywords.get(key, key) for key in job.params}
    assert words - {"confirm"} <= job.takes
    assert job.keywords.keys() <= job.params.keys()
    assert job.is_dangerous or "confirm" not in job.params


# Calling it off


def test_a_queued_job_is_called_off_at_once(ask, staff):
    job = services.cancel(ask(), user=staff, address=None)
    assert (job.state, job.error) == ("cancelled", "cancelled by alice")
    assert AuditEntry.objects.first().action == "cancel job"
    assert ask().state == "queued"


def test_a_running_job_is_told_to_stop(ask, staff):
    job = ask()
    Job.objects.update(state="running")
    assert services.cancel(job, user=staff, address=None).cancel_asked


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_what_is_over_cannot_be_called_off(ask, staff, state):
    job = ask()
    Job.objects.update(state=state)
    with pytest.raises(services.AlreadyOver, match=state):
        services.cancel(job, user=staff, address=None)
    assert AuditEntry.objects.count() == 1
