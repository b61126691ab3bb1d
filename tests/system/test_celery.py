"""A real worker, beat and broker: what the schedule does, and that it recovers without help."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.processes import BEAT, PYTHON, WORKER, Program
from ops.schedule_rows import entries
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import REDIS, Home, on_server
from tests.system.ledger import assert_sums_hold, assert_true, rows, truth
from tests.waiting import AMPLE, eventually

pytestmark = pytest.mark.engine

DONE = "SELECT name FROM ops_taskrun WHERE ok AND trigger = 'schedule'"
RUNS = "SELECT name, COUNT(*) FROM ops_taskrun WHERE trigger = 'schedule' GROUP BY name"
STARTED = "SELECT COUNT(*) FROM ops_taskrun WHERE name = 'sync_revenue'"
ENTRIES = "SELECT name, task, enabled FROM django_celery_beat_periodictask WHERE task NOT LIKE 'celery%'"
EVERY = (
    "SELECT every, period FROM django_celery_beat_periodictask task"
    " JOIN django_celery_beat_intervalschedule interval ON interval.id = task.interval_id WHERE name = 'sync-revenue'"
)
UP = Program("up", (PYTHON, "-m", "fluxtracker.supervisor.main"))
ALL_DONE = {
    "sync_revenue", "backfill_app_names", "backfill_usd", "refresh_price", "read_pending", "audit_revenue", "prune",
    "collect_metrics", "take_census", "check_services", "refresh_carousel", "sync_messages", "check_snapshot",
    "check_alerts", "ping_heartbeat", "publish_files", "backup",
}  # fmt: skip
ECONOMICS = "SELECT COUNT(*) FROM ops_taskrun WHERE name = 'update_economics' AND ok"


@pytest.fixture
def sim(home: Home) -> Iterator[SimServer]:
    with SimServer(World(payments=60, days=300, nodes=5, frozen=True)) as server:
        home.settings |= server.env()
        yield server


def hasten(home: Home, seconds: int = 1) -> None:
    """Edit the sync's interval, as an operator does in the admin."""
    home.execute(f"INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES ({seconds}, 'seconds')")
    home.execute(
        "UPDATE django_celery_beat_periodictask SET expire_seconds = 10, interval_id = (SELECT MAX(id)"
        " FROM django_celery_beat_intervalschedule) WHERE name = 'sync-revenue'"
    )


def start(home: Home) -> None:
    home.run(Program("worker", WORKER))
    home.run(Program("beat", BEAT))


def done(home: Home) -> set[str]:
    return {name for (name,) in home.query(DONE)}


def logs(home: Home) -> str:
    return "\n".join(path.read_text()[-3000:] for path in home.data_dir.glob("*.log"))


def assert_goes_on(home: Home, sim: SimServer) -> None:
    """A new payment gets into the ledger without a command."""
    sim.world.mine(9, [sim.world.payment(app="after")])
    assert eventually(lambda: rows(home.query) == truth(sim.world)), logs(home)
    assert_true(sim.world, home.query)


def test_migrate_makes_the_schedule_and_leaves_what_an_operator_changed(home: Home):
    assert {(name, task) for name, task, _ in home.query(ENTRIES)} == {(entry.name, entry.task) for entry in entries()}
    assert home.query(EVERY) == [(5, "minutes")]
    hasten(home, 42)
    home.execute("UPDATE django_celery_beat_periodictask SET enabled = NOT enabled WHERE name = 'prune'")
    assert home.manage("migrate").code == 0
    assert home.query(EVERY) == [(42, "seconds")]
    assert ("prune", "revenue.tasks.prune", False) in {(name, task, bool(on)) for name, task, on in home.query(ENTRIES)}


def test_what_is_due_runs_once_at_the_start(home: Home, sim: SimServer):
    home.start_broker()
    home.run(Program("worker", WORKER))
    beat = home.run(Program("beat", BEAT))
    assert eventually(lambda: done(home) >= ALL_DONE), (done(home), logs(home))
    assert_true(sim.world, home.query)
    assert home.query("SELECT COUNT(*) FROM ops_workerseen") == [(1,)]
    beat.terminate()
    beat.wait(AMPLE)
    home.run(Program("beat", BEAT))
    time.sleep(4)
    runs = dict(home.query(RUNS))
    assert runs.pop("read_pending") >= 1  # every minute
    assert runs.pop("check_snapshot") in (1, 2)  # at the start, and with the first collection if that was too early
    assert runs.pop("update_economics", 0) <= 1  # skipped while a sync that has just ended does the same
    assert home.query(ECONOMICS)[0][0] >= 1
    assert runs == dict.fromkeys(ALL_DONE - {"read_pending", "check_snapshot"}, 1)
    assert "Traceback" not in logs(home)


@pytest.mark.slow
def test_a_broker_that_was_gone_for_some_seconds_changes_nothing(home: Home, sim: SimServer):
    """Everything as `make up` runs it: a worker whose broker dies under its hands may end, and is started again."""
    hasten(home)
    home.settings["PORT"] = str(free_port())
    supervisor = home.run(UP)
    try:
        assert eventually(lambda: "sync_revenue" in done(home)), home.log("up")[-3000:]
        if REDIS:
            hang_up(REDIS)
        else:
            child_of(supervisor.pid, "unixsocket").kill()
        assert_goes_on(home, sim)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(AMPLE)
    assert supervisor.returncode == 0


def child_of(pid: int, word: str) -> psutil.Process:
    """The child whose command line has the word."""
    return next(child for child in psutil.Process(pid).children() if any(word in part for part in child.cmdline()))


def hang_up(url: str) -> None:
    """Break every connection to our number of a Redis that others use as well."""
    client, number = redis.Redis.from_url(url), urlsplit(url).path.strip("/") or "0"
    for connection in client.client_list():
        if connection["db"] == number and connection["id"] != str(client.client_id()):
            client.client_kill_filter(_id=connection["id"])


@pytest.mark.slow
def test_a_database_that_is_out_of_reach_for_longer_than_its_time_limit_changes_nothing(home: Home, sim: SimServer):
    home.start_broker()
    hasten(home)
    start(home)
    assert eventually(lambda: "sync_revenue" in done(home)), home.log("worker")[-3000:]
    sim.world.mine(9, [sim.world.payment(app="meanwhile")])
    out_of_reach(home, 26)
    assert_goes_on(home, sim)
    assert_sums_hold(home.query)
    assert home.manage("sync_revenue").code == 0


def out_of_reach(home: Home, seconds: float) -> None:
    if not home.database_url:
        with home.connection() as lock:
            lock.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            lock.execute("ROLLBACK")
        return
    name = home.database_url.rpartition("/")[2]
    on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    on_server(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    time.sleep(seconds)
    on_server(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_a_command_says_that_the_database_is_gone(home: Home, sim: SimServer):
    if home.database_url:
        home.database_url = home.database_url.replace(":5432/", ":1/")
    else:
        (home.data_dir / "fluxtracker.sqlite3").write_bytes(b"not a database at all" * 1000)
    outcome = home.manage("sync_revenue")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "database" in outcome.reason
    if home.database_url:
        home.database_url = home.database_url.replace(":1/", ":5432/")
