"""The page about the state: sources, schedule, checks, incidents, and the checklist of a first start."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard import status_page
from dashboard.panels import first_start
from metrics.models import Source
from ops import schedule_rows
from ops.models import Alert, ServiceState, TaskState
from ops.status import Status
from revenue.models import Cursor, LedgerState
from tests.dashboard.reading import html, text
from tests.dashboard.rows import NOW, network, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]

RAW = "127.0.0.1:36495 answered HTTP 502"
DAY = timedelta(days=1)


def lines(found):
    return {line.name: line for line in found}


def alert(key: str, days: float, closed_days: float | None = None) -> None:
    closed_at = None if closed_days is None else NOW - DAY * closed_days
    Alert.objects.create(key=key, message=RAW, raised_at=NOW - DAY * days, seen_at=NOW, closed_at=closed_at)


def test_each_source_is_listed_with_its_age_and_state() -> None:
    synced()
    network(at=NOW)
    Source.objects.filter(name="nodes").update(error=RAW, tried_at=NOW, read_at=NOW - timedelta(hours=3))
    found = lines(status_page.sources(NOW))
    assert (found["Payments"].state, found["Payments"].at) == ("ok", NOW)
    assert (found["Node counts"].state, found["Node counts"].at) == ("stale", NOW - timedelta(hours=3))
    assert (found["The node list"].state, found["The node list"].at) == ("never", None)
    assert len(found) == 10


def test_each_row_of_the_schedule_is_listed_with_its_last_run() -> None:
    schedule_rows.install()
    states = {
        "backup": TaskState(name="backup", last_started_at=NOW, last_success_at=NOW),
        "prune": TaskState(
            name="prune", last_started_at=NOW, consecutive_failures=3, last_failure_at=NOW, last_error=RAW
        ),
    }
    found = lines(status_page.tasks(states, NOW))
    assert len(found) == len(schedule_rows.entries())
    assert (found["backup"].state, found["backup"].at, found["backup"].note) == ("ok", NOW, "every 1 day")
    assert (found["prune"].state, found["prune"].problem) == (
        "failed", "Prune failed 3 times in a row: the reason is in the admin.",
    )  # fmt: skip
    assert found["send-report-month"].state == status_page.OFF


def test_nothing_names_a_host_or_an_error_of_an_upstream(client: Client) -> None:
    synced()
    network(at=NOW)
    Source.objects.update(error=RAW, tried_at=NOW)
    ServiceState.objects.create(kind="api", name="127.0.0.1:36495", status="failed", detail=RAW, checked_at=NOW,
                                consecutive_failures=4)  # fmt: skip
    alert("service:api:127.0.0.1:36495", 1)
    TaskState.objects.create(name="backup", consecutive_failures=5, last_error=RAW, last_failure_at=NOW)
    body = client.get("/status").text
    assert "A source of the chain" in body
    assert "127.0.0.1" not in body
    assert "HTTP 502" not in body


def test_incidents_reach_ninety_days_back_and_open_ones_further() -> None:
    alert("backup", 100, 95)
    alert("disk", 100, 80)
    alert("sync-lag", 200)
    alert("source:nodes", 2, 1)
    alert("task:take_census", 1, 0.5)
    found = status_page.incidents(NOW)
    assert [(one.title, one.lasted) for one in found] == [
        ("Take census kept failing", "12 h"),
        ("Node counts could not be read", "1 day"),
        ("The disk was nearly full", "20 days"),
        ("Payments were late", ""),
    ]


def test_every_kind_of_alert_has_a_title() -> None:
    kinds = {"task", "service", "source", "sync-lag", "unproved", "ledger-differs", "price-doubted", "quarantine",
             "snapshot", "schedule", "backup", "disk"}  # fmt: skip
    for kind in kinds:
        assert status_page.title(Alert(key=f"{kind}:x")) != status_page.OTHER_INCIDENT, kind


def test_the_page_is_known_by_its_etag_and_sets_no_cookie(client: Client) -> None:
    synced()
    first = client.get("/status")
    assert first.status_code == 200
    assert not first.cookies
    assert client.get("/status", headers={"if-none-match": first["ETag"]}).status_code == 304
    alert("backup", 1)
    assert client.get("/status", headers={"if-none-match": first["ETag"]}).status_code == 200


def test_a_first_start_is_a_checklist(client: Client) -> None:
    for address in ("/", "/status"):
        words = text(client, address)
        for step in ("Database : done", "Worker: none seen yet", "Chain: not read yet", "Prices: every 5 minutes"):
            assert step in words, (address, step)
        assert "Payments may be missing" not in words


def test_the_checklist_tells_how_much_of_the_chain_is_read() -> None:
    synced()
    assert first_start.chain_share() == 99
    Cursor.objects.update(first_height=1000, height=1340, tip_height=2000)
    assert first_start.chain_share() == 34


def test_the_checklist_goes_when_the_first_sync_has_completed(client: Client) -> None:
    synced()
    assert "First start" not in text(client, "/status")
    LedgerState.objects.update(completed_at=None)
    assert "First start" in text(client, "/status")


def test_upstreams_that_cannot_be_reached_are_one_line(client: Client) -> None:
    TaskState.objects.create(name="sync_revenue", consecutive_failures=1, last_error=RAW, last_failure_at=NOW)
    for name in Source.Name.values:
        Source.objects.update_or_create(name=name, defaults={"error": RAW, "tried_at": timezone.now()})
    words = text(client, "/status")
    assert words.count("No upstream can be reached from this machine") == 1
    assert "not read yet; the last try failed" in words  # in its own row
    assert 'aria-label="Problems"' not in html(client, "/panels/strip/")


def test_a_first_start_still_tells_what_no_step_says(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.broker.status", lambda: Status("broker_silent"))
    assert "The broker does not answer" in text(client, "/status")
    assert "The broker does not answer" in text(client, "/panels/strip/")
