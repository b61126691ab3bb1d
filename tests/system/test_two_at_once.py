"""Two at the same work: the lease lets one after the other in, and says who is in the way."""

from __future__ import annotations

import os
import socket

import psutil
import pytest

from fluxtracker.supervisor.processes import mark
from ops import leases
from ops.leases import make_holder
from ops.models import Lease
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.ledger import assert_named, assert_true

COMMANDS = {
    "sync_revenue": "sync_revenue",
    "backfill_app_names": "backfill_app_names",
    "backfill_app_types": "backfill_app_types",
    "backfill_usd": "backfill_usd",
    "reset_revenue_sync": "sync_revenue",
    "clear_revenue_data --yes": "sync_revenue",
    "audit_revenue": "audit_revenue",
    "audit_revenue --fix": "sync_revenue",
    "prune": "prune",
}


@pytest.mark.engine
def test_two_syncs_at_the_same_time_do_the_work_of_one(home):
    with SimServer(World(payments=3_000, days=300, nodes=5, frozen=True)) as sim:
        home.settings |= sim.env()
        together = [home.start("sync_revenue", "--json") for _ in range(2)]
        done = [home.finish(process) for process in together]
        assert [outcome.code for outcome in done] == [0, 0], done
        assert sorted(outcome.report["added"] for outcome in done)[0] == 0
        assert_true(sim.world, home.query)
        assert home.manage("backfill_app_names", "--all").code == 0
        assert_named(sim.world, home.query)


@pytest.fixture
def somebody_else(transactional_db, monkeypatch):
    """Holds any lease, from a living process of this host: our parent."""
    monkeypatch.setattr("ops.base_commands.LEASE_WAIT_S", 0.1)
    parent = psutil.Process(os.getppid())
    host = make_holder().split(":")[0]
    return f"{host}:{parent.pid}:{parent.create_time():.2f}:{mark(parent.pid)}.abcd"


def take(name: str, holder: str) -> None:
    assert leases.try_take(name, holder) is None


@pytest.mark.parametrize(("words", "lease"), COMMANDS.items())
def test_a_command_that_meets_a_living_holder_ends_with_1_and_names_it(sim, in_process, somebody_else, words, lease):
    take(lease, somebody_else)
    outcome = in_process(*words.split())
    assert outcome.code == 1
    assert f"pid {os.getppid()} on {socket.gethostname()}" in outcome.reason
    assert lease in outcome.reason
    assert Lease.objects.get(name=lease).holder == somebody_else


@pytest.mark.engine
@pytest.mark.parametrize("pid", ["gone", "given to another"])
def test_a_dead_holder_is_replaced_at_once(sim, in_process, somebody_else, pid):
    host, number, started, token = somebody_else.split(":")
    place = token.rpartition("-")[0]  # empty where start times are the clock's
    earlier = f"{place}-1.abcd" if place else "1000.00.abcd"
    dead = ":".join([host, "4194303" if pid == "gone" else number, started, token if pid == "gone" else earlier])
    take("sync_revenue", dead)
    assert in_process("sync_revenue").code == 0
    assert_true(sim.world)
    assert Lease.objects.get(name="sync_revenue").holder == ""
