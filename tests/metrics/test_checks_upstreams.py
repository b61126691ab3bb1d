"""Service checks of the upstreams: through the command, the task and the API, against a simulated network."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import requests
from django.apps import apps
from django.utils import timezone

from fluxtracker.simnet.catalogue import OTHER_PEOPLES
from metrics import service_checks
from metrics.service_checks import Answer, harmless, judge_upstreams
from metrics.tasks import check_services
from ops.models import ServiceCheck, ServiceState, TaskRun, TaskState
from tests.api.conftest import get
from tests.marks import some_in_full
from tests.simnet.control import Kind
from tests.system.conftest import build, in_process, sim
from tests.system.test_bad_answers import HANGS, WRONG

__all__ = ["build", "get", "in_process", "sim"]

pytestmark = pytest.mark.django_db

ASKED = {
    "daemon": "^/daemon/", "fluxos": "^/apps/", "stats": "^/fluxinfo", "coingecko": "^/coingecko",
    "binance": "^/binance", "explorer": "^/explorer",
}  # fmt: skip
BAD = (
    Kind.HTTP_500, Kind.HTTP_503_HTML, Kind.HTTP_429, Kind.HTML_200, Kind.TRUNCATED, Kind.MALFORMED,
    Kind.EMPTY_SUCCESS, Kind.TIMEOUT, Kind.DROP_CONNECTION, Kind.REDIRECT,
)  # fmt: skip
FAULTS = {name: wrong for name, wrong in WRONG.items() if wrong["kind"] in BAD}
NODE_ADDRESS = re.compile(r"\b(?!127\.)\d{1,3}(\.\d{1,3}){3}\b")
KEY = "a-key-that-nobody-may-see"


@pytest.fixture
def check(in_process):
    """The command; answers the checks of upstreams by name."""

    def run():
        outcome = in_process("check_services", "--json")
        assert outcome.code == 0, outcome.err
        return {row["name"]: row for row in outcome.report["checks"] if row["kind"] == "api"}

    return run


def blockbooks(sim):
    return [f"127.0.0.1:{sim.port}", f"127.0.0.1:{sim.port} (2)"]


def statuses(checks):
    return {name: row["status"] for name, row in checks.items()}


def test_every_upstream_is_asked_lightly_and_is_well(sim, check):
    found = check()
    assert statuses(found) == dict.fromkeys([*blockbooks(sim), *ASKED], "ok")
    assert all(isinstance(row["latencyMs"], int) and row["latencyMs"] >= 0 for row in found.values())
    assert len(sim.requests) <= 10
    assert [r.query for r in sim.requests if r.path == "/fluxinfo"] == [{"projection": "tier"}]


def test_a_check_and_a_state_are_kept_of_each_service(sim, check):
    check()
    check()
    state = ServiceState.objects.get(kind="api", name="daemon")
    assert (state.status, state.consecutive_failures) == ("ok", 0)
    assert state.last_ok_at == state.checked_at
    assert ServiceCheck.objects.filter(kind="api", name="daemon").count() == 2
    assert ServiceCheck.objects.filter(kind="gaming").exists()


@pytest.mark.parametrize("wrong", some_in_full(FAULTS, "http500", "html200", "empty_success", "timeout"))
@pytest.mark.parametrize("name", ASKED)
def test_one_that_fails_is_failed_by_itself(sim, settings, check, name, wrong):
    if wrong["kind"] in HANGS:
        settings.HANGING_PATHS = ASKED[name]
    sim.faults.add(path=ASKED[name], **wrong)
    found = check()
    assert {key for key, status in statuses(found).items() if status != "ok"} == {name}
    state = ServiceState.objects.get(name=name)
    assert (found[name]["status"], state.consecutive_failures, state.last_ok_at) == ("failed", 1, None)
    assert state.detail
    assert not re.search(r"https?://|127\.0\.0\.1", state.detail)


def test_one_blockbook_may_fail_without_the_other(sim, check):
    sim.faults.add(Kind.HTTP_500, "^/blockbook2/")
    assert statuses(check())[blockbooks(sim)[1]] == "failed"
    assert statuses(check())[blockbooks(sim)[0]] == "ok"


@pytest.mark.parametrize(("lag", "status"), [(20, "ok"), (21, "degraded")])
def test_one_far_behind_the_highest_tip_is_degraded(sim, check, lag, status):
    sim.lags["blockbook2"] = lag
    name = blockbooks(sim)[1]
    assert check()[name]["status"] == status
    assert ServiceState.objects.get(name=name).detail == ("21 blocks behind" if lag == 21 else "")


def test_a_late_answer_is_degraded(sim, check, monkeypatch):
    monkeypatch.setattr(service_checks, "SLOW_MS", 500)
    sim.faults.add(Kind.SLOW, "^/explorer", seconds=0.7)
    found = check()
    assert {key for key, status in statuses(found).items() if status == "degraded"} == {"explorer"}
    assert found["explorer"]["latencyMs"] >= 700
    assert "answered after 0." in ServiceState.objects.get(name="explorer").detail


def test_late_is_later_than_ten_seconds_and_both_troubles_are_told():
    on_time, late = judge_upstreams([Answer("a", 10_000, 130), Answer("b", 10_001, 100)])
    assert on_time.status == "ok"
    assert (late.status, late.detail) == ("degraded", "30 blocks behind; answered after 10.0 s")


def test_cryptocompare_is_asked_with_a_key_only_and_the_key_stays_ours(sim, settings, check, client, caplog):
    assert "cryptocompare" not in check()
    settings.CRYPTOCOMPARE_API_KEY = KEY
    assert check()["cryptocompare"]["status"] == "ok"
    sim.faults.add(Kind.HTTP_500, "^/cryptocompare")
    assert check()["cryptocompare"]["status"] == "failed"
    shown = everything() + client.get("/api/admin/test-status").content.decode() + caplog.text
    assert KEY not in shown
    settings.CRYPTOCOMPARE_API_KEY = ""
    check()
    assert not ServiceState.objects.filter(name="cryptocompare").exists()
    assert ServiceCheck.objects.filter(name="cryptocompare").count() == 2


def test_a_key_or_an_address_in_an_upstreams_words_is_taken_out(settings):
    settings.CRYPTOCOMPARE_API_KEY = KEY
    assert harmless(f"HTTP 401: {KEY} is blocked at 203.0.113.7:443") == "HTTP 401: (key) is blocked at (address)"


def everything():
    """All rows of our tables as text."""
    rooms = ("metrics", "carousel", "ops", "snapshots")
    models = [model for room in rooms for model in apps.get_app_config(room).get_models()]
    return "\n".join(str(list(model.objects.values())) for model in models)


def test_no_node_and_no_secret_gets_into_a_row_or_an_answer(build, in_process, client):
    sim = build(payments=80, nodes=60)
    for command in ("check_services", "refresh_carousel", "check_services"):
        assert in_process(command).code == 0
    shown = everything() + client.get("/api/admin/test-status").content.decode()
    assert "Palworld" in shown
    assert OTHER_PEOPLES not in shown
    assert not NODE_ADDRESS.search(shown)
    assert OTHER_PEOPLES in str(sim.memory["/apps/globalappsspecifications"])  # it was there to be seen


# When nothing answers


def test_when_every_upstream_fails_the_command_does_and_each_failure_is_kept(sim, in_process, get):
    sim.faults.add(Kind.HTTP_500, "")
    outcome = in_process("check_services", "--json")
    assert outcome.code == 1
    assert {row["status"] for row in outcome.report["checks"] if row["kind"] == "api"} == {"failed"}
    assert "daemon: HTTP 500" in outcome.reason
    assert set(ServiceState.objects.filter(kind="api").values_list("status", flat=True)) == {"failed"}
    answer = get("admin/test-status")
    assert (answer["consecutiveFailures"], answer["lastCompleted"]) == (1, None)


def test_with_no_upstream_answering_it_ends_in_time(sim, settings, in_process, monkeypatch):
    """How long each of them takes at most: all are asked at once, and each request waits for the time limit once."""
    settings.UPSTREAM_TIMEOUT = 7
    waits = []

    def hang(session, request, **options):
        waits.append((urlsplit(request.url).path.split("/")[1], options["timeout"]))
        raise requests.exceptions.ReadTimeout("no answer")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", hang)
    assert in_process("check_services").code == 1
    assert TaskRun.objects.get().finished_at is not None
    assert waits
    assert {limit for _, limit in waits} == {7}
    assert max(Counter(upstream for upstream, _ in waits).values()) <= 12


def test_the_task_does_the_same_and_is_quiet_about_failures(sim):
    check_services.apply()
    assert TaskRun.objects.get().trigger == "schedule"
    sim.faults.add(Kind.HTTP_500, "")
    assert check_services.apply().successful()
    assert TaskState.objects.get(name="check_services").consecutive_failures == 1


# In a row


def events(caplog, service):
    found = [(r.levelname, r.msg) for r in caplog.records if isinstance(r.msg, dict)]
    return [(level, event["event"]) for level, event in found if event.get("service") == service]


def test_the_third_failure_in_a_row_is_told_once_and_the_recovery_once(sim, check, caplog, get):
    sim.faults.add(Kind.HTTP_500, ASKED["stats"])
    told = []
    for _ in range(5):
        caplog.clear()
        check()
        told.append(events(caplog, "stats"))
    assert told == [[], [], [("ERROR", "service_keeps_failing")], [], []]
    answer = get("admin/test-status")
    assert answer["isHealthy"] is False
    assert "stats" in answer["reason"]
    sim.faults.clear()
    caplog.clear()
    check()
    check()
    assert events(caplog, "stats") == [("WARNING", "service_recovered")]
    assert ServiceState.objects.get(name="stats").consecutive_failures == 0


def test_answering_late_or_behind_ends_a_row_of_failures_but_is_not_ok(sim, check):
    name = blockbooks(sim)[1]
    sim.faults.add(Kind.HTTP_500, "^/blockbook2/", times=6)  # three tries each
    check()
    check()
    assert ServiceState.objects.get(name=name).consecutive_failures == 2
    sim.lags["blockbook2"] = 50
    check()
    state = ServiceState.objects.get(name=name)
    assert (state.status, state.consecutive_failures, state.last_ok_at) == ("degraded", 0, None)


# What test-status tells


def test_before_the_first_check_it_says_so(get):
    answer = get("admin/test-status")
    assert answer["checks"] == []
    assert (answer["isHealthy"], answer["lastRun"], answer["isTestInProgress"]) == (False, None, False)
    assert answer["isSchedulerRunning"] is False
    assert answer["reason"] == "No service has been checked yet."


def test_it_tells_every_check_and_that_no_server_is_probed(sim, check, get):
    check()
    answer = get("admin/test-status")
    assert answer["isHealthy"] is True
    assert "never probed" in answer["note"]
    (daemon,) = [row for row in answer["checks"] if row["name"] == "daemon"]
    assert daemon.keys() == {
        "name", "kind", "status", "latencyMs", "detail", "checkedAt", "lastOk", "consecutiveFailures",
    }  # fmt: skip
    assert (daemon["kind"], daemon["status"], daemon["detail"]) == ("api", "ok", None)
    assert daemon["lastOk"] == daemon["checkedAt"]
    assert {row["kind"] for row in answer["checks"]} == {"api", "gaming", "crypto"}


def test_checks_of_long_ago_are_no_health(sim, check, get):
    check()
    ServiceState.objects.update(checked_at=timezone.now() - timedelta(hours=3, minutes=1))
    assert get("admin/test-status")["isHealthy"] is False


def test_it_is_read_only(client):
    assert client.post("/api/admin/test-status").status_code == 405
