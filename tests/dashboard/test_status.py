"""One state has one code everywhere, and one table turns codes into sentences."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django_celery_beat.models import PeriodicTask

from dashboard.panels import status_strip
from metrics.models import Source
from ops import health
from ops.admin_site import load_overview
from ops.alerts import services
from ops.alerts.records import settle
from ops.alerts.sending import Message
from ops.models import Alert, AlertDelivery, ServiceState, TaskState
from ops.status import PUBLIC, SENTENCES, Status, words
from revenue.models import LedgerState
from tests.dashboard.reading import text
from tests.dashboard.rows import NOW, network, snapshot, synced

HOUR = timedelta(hours=1)
ERROR = "blockbook.example /api/v2: HTTP 502"
PRIVATE = {"error", "detail"}  # facts that may name hosts and paths


def tip_unmoved() -> None:
    LedgerState.objects.update(tip_changed_at=NOW - HOUR)


def sync_late() -> None:
    LedgerState.objects.update(completed_at=NOW - HOUR, tip_changed_at=NOW - HOUR)


def unproved() -> None:
    LedgerState.objects.update(unproved_height=2_996_000, unproved_at=NOW)


def failing(name: str) -> None:
    TaskState.objects.update_or_create(name=name, defaults={"consecutive_failures": 3, "last_error": ERROR})


def source_failed() -> None:
    Source.objects.filter(name="nodes").update(read_at=NOW - 3 * HOUR, tried_at=NOW, error=ERROR)


def upstream_failing() -> None:
    state = {"status": "failed", "detail": ERROR, "checked_at": NOW, "consecutive_failures": 3}
    ServiceState.objects.create(kind="api", name="coingecko", **state)


CASES = {
    "sync_tip_unmoved": tip_unmoved,
    "sync_late": sync_late,
    "sync_unproved": unproved,
    "sync_revenue_failing": lambda: failing("sync_revenue"),
    "task_failing": lambda: failing("collect_metrics"),
    "source_failed": source_failed,
    "upstream_failing": upstream_failing,
}


@pytest.mark.django_db
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("code", CASES)
def test_page_health_alerts_mail_and_admin_have_one_code_and_one_sentence(
    code: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.broker.status", Status)
    monkeypatch.setattr(health, "disk", lambda: None)
    PeriodicTask.objects.all().delete()
    synced()
    network()
    snapshot(NOW.date())
    assert health.look(NOW).problems == ()
    CASES[code]()

    (problem,) = health.look(NOW).problems
    assert problem.code == code
    assert list(services.problems(NOW)) != []
    assert {status.code for status in services.problems(NOW) if not status.is_ok} == {code}
    assert {status.key for status in services.problems(NOW) if not status.is_ok} == {problem.key}
    assert problem in status_strip.strip_status(health.look(NOW), NOW, NOW)["statuses"]
    assert load_overview(NOW).statuses == (problem,)

    sentence = words(problem, NOW)
    settle(services.problems(NOW), NOW)
    assert client.get("/api/health").json()["problems"] == [sentence]
    assert Alert.objects.get().message == sentence
    assert Message.of(AlertDelivery(alert=Alert.objects.get(), event="raised")).text == sentence
    assert load_overview(NOW).other_problems == []  # the alert says it
    assert words(problem, NOW, public=True) in text(client)


def facts(template: str) -> set[str]:
    return set(re.findall(r"{(\w+)", template))


@pytest.mark.parametrize("code", sorted({*SENTENCES, *PUBLIC} - {"app_failing"}))
def test_the_page_shows_no_hosts_paths_and_errors(code: str) -> None:
    template = PUBLIC.get(code) or SENTENCES[code]
    assert facts(template) & PRIVATE == set()


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (Status(), ""),
        (Status("sync_late", facts={"length": 2 * HOUR}), "Payments may be missing: no sync has completed for 2 h."),
        (Status("backup_late", since=NOW - 5 * HOUR), "The last good backup was made 5 h ago. One is due each day."),
        (Status("list_late", since=NOW), "Not read since 18 Nov, 14:05 UTC."),
        (
            Status("quarantine_old", facts={"rows": 1_204}),
            "1,204 transactions could not be read for over a day: not counted yet.",
        ),
        (
            Status("schedule_overdue", facts={"rows": ("a", "b", "c", "d", "e")}),
            "The schedule is overdue: a, b, c, 2 more.",
        ),
        (
            Status("disk_nearly_full", facts={"free_gb": 1.25}),
            "The disk of the data dir is nearly full: 1.2 GB are free.",
        ),
    ],
)
def test_facts_are_written_by_their_type(status: Status, sentence: str) -> None:
    assert words(status, NOW) == sentence


def test_a_task_whose_failure_means_more_has_a_code_of_its_own() -> None:
    sync, other = TaskState(name="sync_revenue", consecutive_failures=3), TaskState(name="prune")
    assert (sync.failing.code, sync.failing.key) == ("sync_revenue_failing", "task:sync_revenue")
    assert (other.failing.code, other.failing.facts["error"]) == ("task_failing", "no reason was noted")
