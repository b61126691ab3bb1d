"""/metrics: what Prometheus reads, and who may."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import responses
import yaml
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from fluxtracker.celery import app as celery_app
from fluxtracker.upstream.http.client import SENT, Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.web import middleware
from metrics.models import Source
from ops import broker as broker_program
from ops.broker import Depth
from ops.jobs import runs
from ops.models import Alert, Tally, TaskRun
from ops.status import Status
from revenue.models import DailyTotal, LedgerState
from tests.ops.conftest import NOW
from tests.settings_names import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker", "nothing_sent")]

STRANGER = "203.0.113.7"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker with five messages, two of them in work."""
    monkeypatch.setattr("ops.broker.status", Status)
    monkeypatch.setattr("ops.broker.depth", lambda: Depth(3, 2))


@pytest.fixture(autouse=True)
def open_here(settings: Any) -> None:
    """Who scrapes in these tests is a direct client on this machine."""
    settings.METRICS_ON_LOOPBACK = True


@pytest.fixture
def nothing_sent() -> None:
    SENT.take()


def scrape(client: Client | None = None, **headers: Any) -> Samples:
    response = (client or Client()).get("/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"})
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(response.content.decode())
    return {(row.name, tuple(sorted(row.labels.items()))): row.value for family in families for row in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"fluxtracker_{name}", tuple(sorted(labels.items()))))


def work(name: str = "some_work", fails: bool = False) -> None:
    with runs.run(name, trigger="command"):
        if fails:
            raise ValueError("the reason")


def test_runs_are_counted_with_their_durations(clock: Any) -> None:
    with runs.run("some_work", trigger="command"):
        clock.shift(2.5)
    with pytest.raises(ValueError):
        work(fails=True)
    with pytest.raises(ValueError):
        work(fails=True)
    samples = scrape()
    assert value(samples, "task_runs_total", task="some_work", outcome="ok") == 1
    assert value(samples, "task_runs_total", task="some_work", outcome="failed") == 2
    assert value(samples, "task_duration_seconds_count", task="some_work") == 3
    assert value(samples, "task_duration_seconds_sum", task="some_work") == 2.5
    assert value(samples, "task_failures_in_a_row", task="some_work") == 2
    ended = (NOW + timedelta(seconds=2.5)).timestamp()
    assert value(samples, "task_last_success_timestamp_seconds", task="some_work") == ended


def test_counts_outlive_the_runs_they_come_from() -> None:
    work()
    TaskRun.objects.all().delete()
    work()
    assert value(scrape(), "task_runs_total", task="some_work", outcome="ok") == 2


@responses.activate
def test_requests_are_counted_by_host_and_result_at_the_end_of_their_run() -> None:
    http = Http(timeout=1, rate=0, sleep=lambda _: None)
    responses.add(responses.GET, "https://one.example/a", json={})
    responses.add(responses.GET, "https://two.example/a", status=503)
    with runs.run("some_work", trigger="command"):
        http.get_json("https://one.example/a")
        http.get_json("https://one.example/a")
        assert not Tally.objects.filter(name="requests").exists()
    with pytest.raises(UpstreamError), runs.run("some_work", trigger="command"):
        http.get_json("https://two.example/a")
    with pytest.raises(UpstreamError), runs.run("some_work", trigger="command"):
        http.get_json("https://away.example/a")
    samples = scrape()
    assert value(samples, "upstream_requests_total", host="one.example", result="2xx") == 2
    assert value(samples, "upstream_requests_total", host="two.example", result="5xx") == 3
    assert value(samples, "upstream_requests_total", host="away.example", result="no_connection") == 3


def test_counts_that_cannot_be_written_are_written_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    SENT.add("one.example", "2xx")

    def away(*_: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("ops.jobs.runs.count_run", away)
        work()
    assert not Tally.objects.exists()
    work()
    assert Tally.objects.get(label="one.example").value == 1


def test_the_state_of_the_system_is_told() -> None:
    LedgerState.objects.update_or_create(id=1, defaults={"completed_at": NOW - timedelta(minutes=3), "tip_height": 9})
    Alert.objects.create(key="disk", message="full", raised_at=NOW, seen_at=NOW)
    samples = scrape()
    assert value(samples, "sync_lag_seconds") == 180
    assert value(samples, "alerts_open") == value(samples, "alert", key="disk") == 1
    assert value(samples, "snapshot_today") == 0
    assert value(samples, "quarantined_transactions") == 0
    assert (value(samples, "queue_messages"), value(samples, "queue_in_work")) == (3, 2)
    assert (value(samples, "status", status="degraded"), value(samples, "status", status="ok")) == (1, 0)


def test_what_nobody_knows_has_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.broker.depth", lambda: None)
    samples = scrape()
    assert value(samples, "broker_up") == 0
    for name in ("queue_messages", "queue_in_work", "sync_lag_seconds", "sync_lag_blocks", "sync_height"):
        assert value(samples, name) is None, name
    assert value(samples, "source_read_timestamp_seconds", source="cloud") is None


def test_without_a_database_there_is_still_something_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(connection, "cursor", away)
    samples = scrape()
    assert value(samples, "status", status="error") == 1
    assert value(samples, "broker_up") == 1
    assert value(samples, "task_failures_in_a_row", task="some_work") is None


def test_answers_are_timed_by_the_pattern_of_their_path(client: Client) -> None:
    before = scrape()
    client.get("/api/health/live")
    client.get("/api/history/snapshot/2026-01-01")
    client.get("/api/history/snapshot/2026-01-02")
    client.get("/nowhere/secret-1")
    after = scrape()

    def more(route: str, status: str) -> float:
        words = {"route": route, "method": "GET", "status": status}
        name = "http_request_duration_seconds_count"
        return (value(after, name, **words) or 0) - (value(before, name, **words) or 0)

    assert more("/api/health/live", "200") == 1
    routes = {dict(labels).get("route", "") for _, labels in after}
    (day,) = [route for route in routes if "history/snapshot/" in route]
    assert more(day, "404") == 2
    assert more("none", "404") == 1
    assert "secret-1" not in repr(after)


def test_it_asks_few_questions(django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        work(f"work{number}")
    scrape()
    with django_assert_max_num_queries(20):
        scrape()


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        (STRANGER, {}),
        ("127.0.0.1", {"X-Forwarded-For": STRANGER}),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}),
        ("10.0.0.2", {}),
    ],
)
def test_strangers_are_refused(address: str, headers: dict[str, str]) -> None:
    response = Client(REMOTE_ADDR=address).get("/metrics", headers=headers)
    assert response.status_code == 401
    assert response["Content-Type"] == "application/json"
    assert "error" in response.json()


@pytest.mark.usefixtures("limited")
def test_strangers_who_try_it_out_count_as_clients() -> None:
    client = Client(REMOTE_ADDR=STRANGER)
    answers = [client.get("/metrics", headers={"Authorization": "Token guess"} if n % 2 else {}) for n in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[3]["Content-Type"] == "application/json"


def test_it_is_closed_on_this_machine_too_until_that_is_said(settings: Any) -> None:
    settings.METRICS_ON_LOOPBACK = False
    assert Client(REMOTE_ADDR="127.0.0.1").get("/metrics").status_code == 401


@pytest.mark.usefixtures("limited")
def test_a_direct_client_on_this_machine_needs_nothing_where_that_is_said() -> None:
    assert {Client(REMOTE_ADDR="127.0.0.1").get("/metrics").status_code for _ in range(5)} == {200}
    for headers in ({"X-Forwarded-For": STRANGER}, {"X-Forwarded-Proto": "https"}):
        assert Client(REMOTE_ADDR="127.0.0.1").get("/metrics", headers=headers).status_code == 401
    assert value(scrape(Client(REMOTE_ADDR="127.0.0.1")), "broker_up") == 1


def test_a_user_who_is_not_staff_is_refused() -> None:
    client = Client(REMOTE_ADDR=STRANGER)
    client.force_login(User.objects.create_user("ordinary"))
    assert client.get("/metrics").status_code == 403


def test_staff_reads_it_from_anywhere() -> None:
    client = Client(REMOTE_ADDR=STRANGER)
    client.force_login(User.objects.create_user("boss", is_staff=True))
    assert value(scrape(client), "broker_up") == 1


def test_scrapes_are_logged_as_the_metrics_are(settings: Any) -> None:
    assert not middleware.is_logged("/metrics", 200)
    settings.LOG_GROUPS = {**settings.LOG_GROUPS, "metrics": True}
    assert middleware.is_logged("/metrics", 200)


def test_a_broker_that_is_away_has_no_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(celery_app.conf, "broker_url", "redis://:hunter2@127.0.0.1:1/0")
    assert broker_program.depth() is None


NODES = {"node_total": 6700, "node_stratus": 0}


def test_the_network_and_revenue_are_there_and_what_is_not_known_is_not() -> None:
    Source.objects.create(
        name=Source.Name.NODES, read_at=NOW, tried_at=NOW, values={"node_total": 6700, "node_stratus": 0}
    )
    DailyTotal.objects.create(day=NOW.date(), address="t1", revenue_sat=250_000_000, payments=2)
    samples = scrape()
    assert value(samples, "network_node_total") == 6700
    assert value(samples, "network_node_stratus") == 0
    assert value(samples, "network_node_cumulus") is None
    assert value(samples, "revenue_today_flux") == value(samples, "revenue_all_flux") == 2.5
    assert value(samples, "revenue_today_payments") == 2


def test_nothing_known_of_revenue_is_no_zero() -> None:
    samples = scrape()
    assert value(samples, "revenue_today_flux") is value(samples, "revenue_all_flux") is None


ROOM = ROOT / "ops/grafana"


@pytest.mark.parametrize("name", ["dashboard.json", "alerts.yml"])
def test_the_dashboard_and_the_alert_rules_name_metrics_that_exist(name: str) -> None:
    named = set(re.findall(r"fluxtracker_[a-z_]+", (ROOM / name).read_text()))
    response = Client().get("/metrics")
    declared = set(re.findall(r"^# TYPE (\S+)", response.content.decode(), re.MULTILINE))
    assert len(named) >= 6
    assert named - declared == set()


def test_the_alert_rules_and_the_dashboard_are_whole() -> None:
    (group,) = yaml.safe_load((ROOM / "alerts.yml").read_text())["groups"]
    assert all(rule["expr"] and rule["annotations"]["summary"] for rule in group["rules"])
    panels = json.loads((ROOM / "dashboard.json").read_text())["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert all(panel["targets"] for panel in panels)
