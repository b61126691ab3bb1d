"""ALERT_URLS: services that Apprise knows, each a channel; and the heartbeat."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
import responses
from django.core.exceptions import ImproperlyConfigured

from fluxtracker import env
from ops import tasks
from ops.alerts import apprise, services
from ops.alerts.apprise import Service, is_private
from ops.jobs import runs
from ops.models import AlertDelivery, TaskRun
from tests.ops.alerts.conftest import fail, succeed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]

ONE, TWO = "json://one.example.org/secret-path", "json://two.example.org/other-path"
AT_ONE, AT_TWO = "http://one.example.org/secret-path", "http://two.example.org/other-path"


@pytest.fixture
def web() -> Any:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def two(settings: Any) -> list[str]:
    settings.ALERT_URLS = [ONE, TWO]
    return [Service(url).name for url in settings.ALERT_URLS]


def texts(web: Any, address: str) -> list[str]:
    return [json.loads(call.request.body)["message"] for call in web.calls if call.request.url == address]


def test_each_address_hears_of_an_alert_and_of_its_end(two: list[str], web: Any) -> None:
    web.post(AT_ONE)
    web.post(AT_TWO)
    fail(3)
    tasks.send_alerts()
    tasks.send_alerts()
    succeed()
    tasks.send_alerts()
    for address in (AT_ONE, AT_TWO):
        first, last = texts(web, address)
        assert first.startswith("Some work failed 3 times in a row")
        assert last.startswith("Resolved after")
    ids = AlertDelivery.objects.values_list("delivery_id", flat=True)
    assert texts(web, AT_ONE)[1].endswith(ids.get(channel=two[0]))


def test_one_that_was_away_is_told_later_and_the_other_only_once(two: list[str], web: Any) -> None:
    web.post(AT_ONE)
    web.post(AT_TWO, status=503)
    fail(3)
    tasks.send_alerts()
    web.replace(responses.POST, AT_TWO)
    tasks.send_alerts()
    assert (len(texts(web, AT_ONE)), len(texts(web, AT_TWO))) == (1, 2)
    assert set(AlertDelivery.objects.values_list("pending", flat=True)) == {False}


def test_one_that_never_heard_is_not_told_that_it_is_over(two: list[str], web: Any) -> None:
    web.post(AT_ONE)
    web.post(AT_TWO, status=503)
    fail(3)
    tasks.send_alerts()
    web.replace(responses.POST, AT_TWO)
    succeed()
    tasks.send_alerts()
    assert (len(texts(web, AT_ONE)), len(texts(web, AT_TWO))) == (2, 1)


def test_a_receiver_that_hangs_is_sent_two_copies_and_no_more(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALERT_URLS = [ONE]
    monkeypatch.setattr(apprise, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(Service, "__init__", _with_timeout(0.05))
    release, tried = threading.Event(), []

    def hang(service: Service, message: Any) -> None:
        tried.append(message.delivery_id)
        release.wait(30)

    monkeypatch.setattr(Service, "_notify", hang)
    try:
        fail(3)
        for _ in range(4):
            tasks.send_alerts()
    finally:
        release.set()
    assert len(tried) == 2
    assert len(set(tried)) == 1


def _with_timeout(seconds: float) -> Callable[..., None]:
    def make(self: Service, url: str, timeout: float = seconds) -> None:
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "timeout", seconds)

    return make


def test_errors_and_names_hold_nothing_of_the_address(two: list[str], web: Any) -> None:
    web.post(AT_ONE, body=requests.ConnectionError("http://one.example.org/secret-path"))
    web.post(AT_TWO, status=404)
    fail(3)
    tasks.send_alerts()
    run = TaskRun.objects.filter(name="send_alerts").latest("id")
    assert all(name in run.error for name in two)
    assert "path" not in run.error
    assert "example.org" not in run.error


def test_a_private_address_needs_the_operators_word(settings: Any, web: Any) -> None:
    web.post("http://127.0.0.1:8080/x")
    settings.ALERT_URLS = ["json://127.0.0.1:8080/x"]
    with pytest.raises(runs.NotDone, match="ALERT_PRIVATE_TARGETS"):
        services.send_test(trigger="command")
    settings.ALERT_PRIVATE_TARGETS = True
    assert "sent" in services.send_test(trigger="command").values()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("8.8.8.8", False),
        ("T1JJ3T", False),
        ("", False),
    ],
)
def test_what_is_private(host: str, expected: bool) -> None:
    assert is_private(host) is expected


@pytest.mark.parametrize("value", ["wrong://x", "nonsense", f"{ONE} nonsense"])
def test_a_wrong_address_stops_the_start_without_being_quoted(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URLS", value)
    with pytest.raises(ImproperlyConfigured, match="ALERT_URLS"):
        env.apprise_urls("ALERT_URLS")


def test_several_addresses_stand_with_spaces_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URLS", f" {ONE}  {TWO} ")
    assert env.apprise_urls("ALERT_URLS") == [ONE, TWO]


BEAT = "https://heartbeat.example.org/secret"


def test_the_heartbeat_is_heard_while_all_is_well(settings: Any, web: Any) -> None:
    web.get(BEAT)
    tasks.ping_heartbeat()
    settings.HEARTBEAT_URL = BEAT
    tasks.ping_heartbeat()
    fail(3)
    tasks.check_alerts()
    tasks.ping_heartbeat()
    reports = TaskRun.objects.filter(name="ping_heartbeat").order_by("id").values_list("report", flat=True)
    assert [report["pinged"] for report in reports] == [False, True, False]
    assert len(web.calls) == 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"body": requests.ConnectionError(BEAT)}])
def test_a_heartbeat_that_is_not_taken_is_told_without_its_address(fault: Any, settings: Any, web: Any) -> None:
    web.get(BEAT, **fault)
    settings.HEARTBEAT_URL = BEAT
    tasks.ping_heartbeat()
    run = TaskRun.objects.get(name="ping_heartbeat")
    assert (run.ok, "secret" in run.error) == (False, False)
