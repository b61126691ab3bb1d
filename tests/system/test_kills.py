"""`kill -9` at a random instant of a first sync: nothing lost, nothing twice, the totals right, and on it goes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import psutil
import pytest

from fluxtracker.supervisor.processes import WORKER, Program
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import POSTGRES, Home
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, rows, truth
from tests.waiting import eventually

pytestmark = pytest.mark.engine

SEED = 2 if POSTGRES else 1  # which of the worker's processes is killed
LONGEST = 1.6  # seconds, about what a first sync of this history takes
HELD = "SELECT holder FROM ops_lease WHERE name = 'sync_revenue' AND holder <> ''"
ENDED_WELL = "SELECT COUNT(*) FROM ops_taskrun WHERE name = 'sync_revenue' AND ok"


@pytest.fixture(scope="module")
def history() -> Iterator[SimServer]:
    with SimServer(World(payments=6_000, days=300, nodes=5, frozen=True)) as sim:
        yield sim


def wait_until_it_reads(sim: SimServer, before: int, seed: int) -> None:
    """Until the sync has begun, and a random while more."""
    assert eventually(lambda: sim.count("/blockbook") > before), "the sync does not begin"
    time.sleep(random.Random(seed).random() * LONGEST)


def assert_nothing_wrong(home: Home, sim: SimServer) -> None:
    """What is there at this instant is true and adds up; it need not be all."""
    assert rows(home.query) <= truth(sim.world)
    assert_sums_hold(home.query)


def finish(home: Home, sim: SimServer) -> None:
    """One more sync brings everything, without waiting for the dead."""
    done = home.manage("sync_revenue", "--json")
    assert done.code == 0, done.err
    assert_true(sim.world, home.query)
    home.manage("backfill_app_names", "--all")
    assert_named(sim.world, home.query)
    assert_sums_hold(home.query)
    assert home.query(HELD) == []


def kill_a_command(home: Home, sim: SimServer, seed: int) -> None:
    before = sim.count("/blockbook")
    process = home.start("sync_revenue")
    wait_until_it_reads(sim, before, seed)
    home.kill(process)
    process.communicate()
    assert_nothing_wrong(home, sim)


def kill_a_worker(home: Home, sim: SimServer, seed: int) -> None:
    """Either the whole worker, whose work the next tick takes up, or the process in it that does the work."""
    before = sim.count("/blockbook")
    worker = home.run(Program("worker", WORKER))
    home.send("revenue.tasks.sync_revenue")
    wait_until_it_reads(sim, before, seed)
    if seed % 2:
        home.kill(worker)
        assert_nothing_wrong(home, sim)
        worker = home.run(Program("worker", WORKER))
        home.send("revenue.tasks.sync_revenue")
    else:
        for child in psutil.Process(worker.pid).children():
            child.kill()
    assert eventually(lambda: home.query(ENDED_WELL) != [(0,)]), home.log("worker")[-3000:]
    assert eventually(lambda: home.query(HELD) == [])
    home.kill(worker)
    assert_nothing_wrong(home, sim)
    assert rows(home.query) == truth(sim.world)


def test_a_killed_command_and_a_killed_worker_lose_nothing(home, history):
    """In a row; `test_kills_under_load` does more of it."""
    home.settings |= history.env()
    kill_a_command(home, history, 1)
    home.start_broker()
    kill_a_worker(home, history, SEED)
    finish(home, history)
