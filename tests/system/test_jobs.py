"""Jobs with the real web process, the real worker and a real broker: waiting, dying, losing, cancelling."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import redis

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.processes import WEB, WORKER, Program
from tests.simnet.control import Kind
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import Home
from tests.system.ledger import assert_true
from tests.waiting import AMPLE, eventually

pytestmark = pytest.mark.engine

Answer = tuple[int, dict[str, Any]]
STATE = "SELECT state, attempts, cancel_asked, error FROM ops_job ORDER BY id DESC LIMIT 1"


@pytest.fixture
def sim(home: Home) -> Iterator[SimServer]:
    with SimServer(World(payments=60, days=300, nodes=5, frozen=True)) as server:
        home.settings |= server.env()
        yield server


@pytest.fixture
def ask(home: Home, sim: SimServer) -> Callable[..., Answer]:
    return serve(home)


def serve(home: Home) -> Callable[..., Answer]:
    """A web process, and the way to ask it something as staff."""
    port = free_port()
    home.settings["PORT"] = str(port)
    home.start_broker()
    send = client(home, port)
    home.run(Program("web", WEB))
    assert eventually(lambda: reachable(send)), home.log("web")[-2000:]
    return send


def client(home: Home, port: int) -> Callable[..., Answer]:
    """Ask the web process at that port as staff."""
    made = home.manage("shell", "--no-imports", "-c", MAKE_ALICE)
    assert made.code == 0, made.err
    token = home.manage("create_api_token", "alice", "--json").report["token"]

    def send(path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/{path}",
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=AMPLE) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return send


MAKE_ALICE = "from django.contrib.auth.models import User; User.objects.create_user('alice', is_staff=True)"


def reachable(send: Callable[..., Answer]) -> bool:
    try:
        return send("health/live", method="GET")[0] == 200
    except OSError:
        return False


def start_worker(home: Home) -> Any:
    return home.run(Program("worker", WORKER))


def state(home: Home) -> str:
    return str(home.query(STATE)[0][0])


def slow(sim: SimServer, seconds: float = 0.7) -> None:
    """Make each answer of the chain's sources take its time, so that a full sync takes a while."""
    sim.faults.add(Kind.SLOW, seconds=seconds)


def hear_of_old_ones(home: Home) -> None:
    """A minute later: the schedule's task looks for jobs that no worker took."""
    home.execute("UPDATE ops_job SET sent_at = NULL WHERE state = 'queued'")
    home.send("ops.tasks.resend_jobs")


def test_the_answer_waits_for_the_result(home: Home, sim: SimServer, ask: Callable[..., Answer]):
    start_worker(home)
    code, answer = ask("admin/revenue-sync?wait=50")
    assert code == 200, (answer, home.log("worker")[-2000:])
    assert (answer["success"], answer["added"] > 0, answer["lastSyncBlock"] > 0) == (True, True, True)
    assert_true(sim.world, home.query)
    assert home.query("SELECT state, holder FROM ops_job") == [("done", "")]
    assert home.query("SELECT trigger FROM ops_taskrun WHERE name = 'sync_revenue'") == [("api",)]


@pytest.mark.slow
def test_the_log_of_the_worker_has_the_id_of_the_request(home: Home, ask: Callable[..., Answer]):
    start_worker(home)
    assert ask("admin/reset-revenue-sync?wait=50")[0] == 200
    (request_id,) = home.query("SELECT request_id FROM ops_job")[0]
    started = [line for line in home.log("worker").splitlines() if "event=job_started" in line]
    assert len(started) == 1
    assert f"request_id={request_id}" in started[0]
    asked = [line for line in home.log("web").splitlines() if "path=/api/admin/reset-revenue-sync" in line]
    assert f"request_id={request_id}" in asked[0]


def test_what_takes_longer_is_202_and_a_second_is_409(home: Home, sim: SimServer, ask: Callable[..., Answer]):
    slow(sim)
    start_worker(home)
    code, answer = ask("admin/revenue-sync?wait=0")
    assert (code, answer["status"]) == (202, "queued")
    assert eventually(lambda: state(home) == "running"), home.log("worker")[-2000:]
    code, second = ask("admin/revenue-sync")
    assert (code, second["alreadyRunning"], second["job"]) == (409, True, answer["job"])
    code, other = ask("admin/clear-revenue-data", {"confirm": "clear"})
    assert (code, other["alreadyRunning"], other["job"]) == (409, True, answer["job"])
    sim.faults.clear()
    assert eventually(lambda: state(home) == "done"), ask(f"admin/jobs/{answer['job']}", method="GET")
    assert home.query("SELECT COUNT(*) FROM ops_job") == [(1,)]
    assert_true(sim.world, home.query)


def test_a_job_whose_worker_is_killed_is_taken_up_by_the_next(home: Home, sim: SimServer, ask: Callable[..., Answer]):
    slow(sim)
    worker = start_worker(home)
    ask("admin/revenue-sync?wait=0", {"full": True})
    assert eventually(lambda: state(home) == "running"), home.log("worker")[-2000:]
    home.kill(worker)
    assert state(home) == "running"
    sim.faults.clear()
    start_worker(home)
    home.send("ops.tasks.resend_jobs")
    assert eventually(lambda: state(home) == "done"), (home.query(STATE), home.log("worker")[-3000:])
    assert home.query("SELECT attempts FROM ops_job") == [(2,)]
    assert home.query("SELECT COUNT(*) FROM ops_taskrun WHERE name = 'sync_revenue' AND ok") == [(1,)]
    assert_true(sim.world, home.query)


def test_a_message_that_the_broker_lost_is_sent_again(home: Home, ask: Callable[..., Answer]):
    assert ask("admin/reset-revenue-sync?wait=0")[0] == 202
    url = home.broker_url.replace("redis+socket://", "unix://")
    redis.Redis.from_url(url).flushdb()
    start_worker(home)
    time.sleep(3)
    assert state(home) == "queued"
    hear_of_old_ones(home)
    assert eventually(lambda: state(home) == "done"), home.log("worker")[-2000:]
    assert home.query("SELECT attempts FROM ops_job") == [(1,)]


@pytest.mark.slow
def test_a_job_waits_for_a_worker_through_restarts_of_everything(home: Home, ask: Callable[..., Answer]):
    ask("admin/reset-revenue-sync?wait=0")
    home.end_programs()
    home.start_broker()
    start_worker(home)
    hear_of_old_ones(home)
    assert eventually(lambda: state(home) == "done"), home.log("worker")[-2000:]


def test_a_running_job_is_cancelled_at_its_next_step(home: Home, sim: SimServer, ask: Callable[..., Answer]):
    slow(sim)
    start_worker(home)
    number = ask("admin/revenue-sync?wait=0")[1]["job"]
    assert eventually(lambda: state(home) == "running"), home.log("worker")[-2000:]
    code, answer = ask(f"admin/jobs/{number}/cancel")
    assert (code, answer["status"]) == (202, "running")
    assert eventually(lambda: state(home) == "cancelled"), (home.query(STATE), home.log("worker")[-2000:])
    assert home.query("SELECT consecutive_failures FROM ops_taskstate WHERE name = 'sync_revenue'") == [(0,)]
    assert home.query("SELECT holder FROM ops_lease WHERE name = 'sync_revenue'") == [("",)]
    sim.faults.clear()
    assert ask("admin/revenue-sync?wait=50")[0] == 200
    assert_true(sim.world, home.query)


@pytest.mark.slow
def test_progress_is_seen_while_it_runs(home: Home, sim: SimServer, ask: Callable[..., Answer]):
    slow(sim)
    start_worker(home)
    number = ask("admin/revenue-sync?wait=0")[1]["job"]
    seen: set[str] = set()

    def told() -> bool:
        words = ask(f"admin/jobs/{number}", method="GET")[1]["progress"]
        seen.add(words or "")
        return bool(words) or state(home) == "done"

    assert eventually(told)
    assert any("block" in words for words in seen), seen


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_leaves_its_job_to_the_next(
    home: Home, sim: SimServer, ask: Callable[..., Answer]
):
    """As a restart does: first politely, and when the work takes too long, in a hurry."""
    slow(sim)
    worker = start_worker(home)
    ask("admin/revenue-sync?wait=0")
    assert eventually(lambda: state(home) == "running"), home.log("worker")[-2000:]
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    worker.send_signal(signal.SIGQUIT)
    worker.wait(AMPLE)
    assert eventually(lambda: not psutil.pid_exists(worker.pid))
    sim.faults.clear()
    start_worker(home)
    home.send("ops.tasks.resend_jobs")
    assert eventually(lambda: state(home) == "done"), (home.query(STATE), home.log("worker")[-3000:])
    assert_true(sim.world, home.query)


def test_without_a_broker_a_job_is_refused(home: Home, sim: SimServer, ask: Callable[..., Answer]):
    home.settings["CELERY_BROKER_URL"] = "redis://127.0.0.1:1/0"
    port = free_port()
    home.settings["PORT"] = str(port)
    home.run(Program("web", WEB))
    token = home.manage("create_api_token", "alice", "--json").report["token"]

    def post() -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/admin/prune", data=b"{}", method="POST",
            headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=AMPLE) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, None

    answers: list[tuple[int, Any]] = []
    assert eventually(lambda: answers.append(post()) or answers[-1][0])
    assert answers[-1][0] == 503
    assert answers[-1][1]["error"] == "The broker does not answer: no task is started."
    assert state(home) == "failed"
