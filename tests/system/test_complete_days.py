"""A day is given out as complete by the chain's time, whichever source tells it and wherever it is given out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from fluxtracker.simnet import records
from fluxtracker.simnet.history import FLUX
from revenue.models import LedgerState
from snapshots.models import Snapshot
from tests.marks import only_in_full
from tests.system.ledger import assert_true, read_tip

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY_BEFORE = "2026-11-20"


@pytest.fixture
def moment():
    """Six and a half minutes past midnight, until it is moved."""
    with time_machine.travel(MIDNIGHT + 6.5 * MINUTE, tick=False) as traveller:
        yield traveller


@pytest.fixture(params=["blockbook", "daemon"])
def sim(request, build, moment):
    """A chain with blocks two minutes apart whose last one, of 23:58, holds a payment."""
    made = build(payments=0, now=MIDNIGHT - 13.5 * MINUTE, block_seconds=120)
    made.world.mine(5)
    made.world.mine(1, [made.world.payment(sat=5 * FLUX)])
    assert -2 * MINUTE < records.utc(made.world.chain.time(made.world.tip_height)) - MIDNIGHT < -MINUTE
    if request.param == "daemon":
        made.faults.add("http500", "^/blockbook")
    Snapshot.objects.create(day=DAY_BEFORE, source="taken", made_at=MIDNIGHT, read_at=MIDNIGHT)
    return made


def sync(in_process):
    outcome = in_process("sync_revenue")
    assert outcome.code == 0, outcome.err


def given_out(client):
    """What page and API say about the day before midnight: its revenue, and whether that is all."""
    daily = {row["date"]: row for row in client.get("/api/revenue/daily?days=3").json()["data"]}[DAY_BEFORE]
    shown = client.get("/api/history/snapshots").json()["data"][0]
    full = client.get("/api/history/snapshots/full").json()["data"][0]
    ranged = client.get(f"/api/history/range?start={DAY_BEFORE}&end={DAY_BEFORE}").json()["data"][0]
    alone = client.get(f"/api/history/snapshot/{DAY_BEFORE}").json()
    window = f"start={DAY_BEFORE}&end={DAY_BEFORE}&metrics=revenue_flux"
    series = client.get(f"/api/history/series?{window}").json()["series"][0]
    table = b"".join(client.get(f"/export/chart.csv?{window}").streaming_content).decode()
    health = client.get("/api/health").json()["sync"]["completeThrough"] == DAY_BEFORE
    complete = {
        daily["complete"], shown["complete"], full["complete"], ranged["complete"], alone["complete"],
        series["partial"] == [], "partial" not in table, health,
    }  # fmt: skip
    assert len(complete) == 1, complete
    assert daily["daily_revenue"] == shown["revenue"] == full["daily_revenue"] == series["points"][0]
    return daily["daily_revenue"], complete.pop()


def test_four_blocks_after_midnight_do_not_complete_the_day(sim, in_process, client, moment):
    sync(in_process)
    sim.world.mine(4)
    sync(in_process)
    assert given_out(client) == (0.0, False)
    for _ in range(12):
        moment.shift(2 * MINUTE)
        sim.world.mine(1)
        sync(in_process)
        since = records.utc(sim.world.chain.time(read_tip() - 7)) - MIDNIGHT
        revenue, complete = given_out(client)
        assert complete is (since >= timedelta())
        assert revenue == 5.0 or not complete
        if complete:
            break
    assert (revenue, complete) == (5.0, True)
    assert_true(sim.world, tip=read_tip())


@pytest.mark.slow
def test_an_index_that_stands_before_midnight_does_not_complete_the_day(sim, in_process, client, moment):
    for later in (0, 600):
        moment.move_to(MIDNIGHT + (6 + later) * MINUTE)
        sync(in_process)
        assert given_out(client)[1] is False
    sim.world.mine(20)
    sync(in_process)
    assert given_out(client) == (5.0, True)


def test_after_an_upgrade_the_next_sync_tells_though_nothing_is_new(sim, in_process, client, moment):
    sim.world.mine(20)
    moment.shift(60 * MINUTE)
    sync(in_process)
    LedgerState.objects.update(settled_height=None, settled_hash="", settled_at=None)
    assert given_out(client) == (5.0, False)
    sync(in_process)
    assert given_out(client) == (5.0, True)


def test_what_was_kept_of_an_incomplete_day_is_not_confirmed(sim, in_process, client, moment):
    sync(in_process)
    paths = ("/api/revenue/daily?days=3", f"/api/history/snapshot/{DAY_BEFORE}", "/api/history/snapshots")
    known = {path: client.get(path).headers["ETag"] for path in paths}
    sim.world.mine(20)
    moment.shift(40 * MINUTE)
    sync(in_process)
    for path, etag in known.items():
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("kind", ["http500", "empty_success", *only_in_full("malformed", "html200")])
def test_a_block_that_cannot_be_read_leaves_the_day_open_and_the_payments_in(sim, in_process, client, moment, kind):
    sim.faults.add(kind, "/(block|getblock)/")
    sim.world.mine(20)
    moment.shift(60 * MINUTE)
    sync(in_process)
    assert given_out(client) == (5.0, False)
    assert_true(sim.world, tip=read_tip())
    sim.faults.clear()
    sim.world.mine(1)
    sync(in_process)
    assert given_out(client) == (5.0, True)
