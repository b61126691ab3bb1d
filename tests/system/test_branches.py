"""One source on a branch of its own: what it tells of settled blocks is proved by a second one, or changes nothing."""

import pytest
from django.db import connection
from django.utils import timezone

from fluxtracker.simnet.records import MIDDLE, OLDEST
from ops.alerts import services
from tests.marks import only_in_full_of, some_in_full
from tests.system.kept import begin
from tests.system.ledger import assert_sums_hold, assert_true, here, read_tip, rows, truth

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

BUSY = 150  # blocks
PRICED = "SELECT txid, vout, price_usd, usd_micro, app_id FROM revenue_payment"
FATES = {
    "payments vanish": {"drop": 1.0},
    "payments move": {"move": 1.0},
    "payments come": {"keep": None},
    "all of it": {"drop": 0.4, "move": 0.3},
}
AWAY = {"the daemon": "^/daemon", "the other Blockbook": "^/blockbook2", "both": "^/(blockbook2|daemon)"}


@pytest.fixture
def busy(build, in_process):
    """A ledger, named and priced, that knows a chain whose last blocks hold a payment each."""
    sim = begin("busy", build, in_process, ("sync_revenue", "backfill_usd"), pay_in_each_block, payments=40)
    assert_true(sim.world)
    return sim


def pay_in_each_block(world):
    for number in range(BUSY):
        address = (None, MIDDLE, OLDEST)[number % 3] if number % 5 == 0 else None
        world.mine(1, [world.payment(app=f"app{number % 7}", **({"address": address} if address else {}))])


def grow(sim, blocks=12):
    """Both the chain and the branches get new blocks with a payment each."""
    for world in (sim.world, *sim.sides.values()):
        for _ in range(blocks):
            world.mine(1, [world.payment(app="new")])


def leave(sim, *sources, depth, blocks=None, **fates):
    """Let sources leave the chain, with payments of their own in the first block of the branch."""
    side = sim.branch(*sources, depth=depth, blocks=blocks, **fates)
    side.add(side.payment(), side.tip_height - (depth if blocks is None else blocks) + 1)
    return side


def sync(in_process):
    return in_process("sync_revenue", "--json")


def health(client):
    return client.get("/api/health").json()["sync"]


def alerts():
    return {problem.key for problem in services.problems(timezone.now())}


@pytest.mark.parametrize(
    ("depth", "fates"),
    [
        *((34, FATES["all of it"]), (120, FATES["payments come"]), (3000, FATES["all of it"])),
        *only_in_full_of((34, FATES["payments vanish"]), (120, FATES["payments move"]), (3000, FATES["payments come"])),
    ],
)
def test_a_source_that_the_others_contradict_is_refused_before_anything_is_written(
    busy, in_process, client, depth, fates
):
    before = set(here(PRICED))
    leave(busy, "blockbook", depth=depth, **fates)
    grow(busy)
    for _ in range(3):
        done = sync(in_process)
        assert done.code == 0, done.err
        assert (done.report["removed"], done.report["changed"], len(done.report["failedSources"])) == (0, 0, 1)
        assert before <= set(here(PRICED))
        assert_true(busy.world)
        assert (health(client)["healthy"], health(client)["unprovedSince"]) == (True, None)
        grow(busy, 1)


@pytest.mark.parametrize("away", ["the daemon", "the other Blockbook"])
def test_one_other_source_is_enough_to_refuse_it(busy, in_process, client, away):
    before = set(here(PRICED))
    leave(busy, "blockbook", depth=120, drop=0.4, move=0.3)
    grow(busy)
    busy.faults.add("http500", AWAY[away])
    done = sync(in_process)
    assert (done.code, done.report["removed"], done.report["changed"]) == (0, 0, 0), done.err
    assert any("is on another branch than" in failed for failed in done.report["failedSources"])
    assert before <= set(here(PRICED))
    assert rows() <= truth(busy.world)
    assert "followed another branch" in client.get("/").content.decode()


@pytest.mark.slow
@pytest.mark.parametrize("fates", some_in_full(FATES, "all of it"))
@pytest.mark.parametrize("blocks", [100, 120, 400], ids=["shorter", "as long", "longer"])
def test_without_a_witness_rows_stay_and_everything_says_so(busy, in_process, client, fates, blocks):
    before = set(here(PRICED))
    completed = health(client)["lastCompleted"]
    first = busy.world.tip_height - 119
    leave(busy, "blockbook", depth=120, blocks=blocks, **fates)
    grow(busy)
    busy.faults.add("http500", AWAY["both"])
    for command in (["sync_revenue"], ["sync_revenue", "--full"], ["audit_revenue"], ["audit_revenue", "--fix"]):
        done = in_process(*command, "--json")
        assert done.code == 1
        assert "no second source confirms or denies it" in done.reason
        assert "\n" not in done.reason
        assert set(here(PRICED)) == before
    told = health(client)
    assert (told["healthy"], told["unprovedSince"], told["lastCompleted"]) == (False, first, completed)
    assert told["unprovedAt"] >= completed
    assert f"from block {first:,} on a source contradicts the ledger" in told["reason"]
    status = client.get("/api/admin/revenue-status").json()
    assert (status["isHealthy"], status["unprovedSince"]) == (False, first)
    assert client.get("/api/health").json()["status"] == "degraded"
    assert "unproved" in alerts()
    assert "ledger-differs" not in alerts()
    page = client.get("/").content.decode()
    assert "contradicts the ledger" in page
    assert f"Payments up to block {first - 1:,} are complete" in page


@pytest.mark.parametrize("end", ["it rejoins the chain", "the others are back"])
def test_a_proof_closes_the_alert(busy, in_process, client, end):
    leave(busy, "blockbook", depth=120, drop=0.5)
    busy.faults.add("http500", AWAY["both"])
    assert sync(in_process).code == 1
    assert "unproved" in alerts()
    if end == "it rejoins the chain":
        busy.sides.clear()
    else:
        busy.faults.clear()
    grow(busy)
    done = sync(in_process)
    assert done.code == 0, done.err
    assert_true(busy.world)
    told = health(client)
    assert (told["healthy"], told["unprovedSince"], told["unprovedAt"]) == (True, None, None)
    assert "unproved" not in alerts()


@pytest.mark.parametrize("name", ["blockbook2", "daemon"])
def test_a_stand_in_on_a_branch_is_refused_too(busy, in_process, name):
    leave(busy, name, depth=120, drop=0.5)
    grow(busy)
    busy.faults.add("http500", "^/blockbook/")
    done = sync(in_process)
    assert done.code == 0, done.err
    assert_true(busy.world, tip=read_tip())
    busy.faults.add("http500", AWAY["the daemon" if name == "blockbook2" else "the other Blockbook"])
    before = rows()
    assert sync(in_process).code == 1
    assert rows() == before


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        *(("blockbook2", 80), ("daemon", 120), ("blockbook2", 300)),
        *only_in_full_of(("daemon", 80), ("blockbook2", 120), ("daemon", 300)),
    ],
)
def test_a_deep_reorganisation_that_two_sources_tell_is_followed_and_prices_stay(busy, in_process, name, blocks):
    before = {row[:2]: row[2:] for row in here(PRICED)}
    side = leave(busy, "blockbook", name, depth=120, blocks=blocks, drop=0.3, move=0.4)
    done = sync(in_process)
    assert (done.code, done.report["failedSources"]) == (0, []), done.err
    assert_true(side)
    after = {row[:2]: row[2:] for row in here(PRICED)}
    both = before.keys() & after.keys()
    assert len(both) > 100
    assert {key: before[key] for key in both} == {key: after[key] for key in both}
    grow(busy)
    assert sync(in_process).code == 0
    assert_true(side)


def test_what_a_reorganisation_takes_comes_back_with_its_price_and_name(busy, in_process):
    world, before = busy.world, {row[:2]: row[2:] for row in here(PRICED)}
    taken = [
        world.chain.by_txid[txid] for txid, _ in before if world.chain.by_txid[txid].height > world.tip_height - 60
    ]
    world.reorg(60, drop=1.0)
    assert sync(in_process).code == 0
    assert len(here(PRICED)) == len(before) - len(taken)
    world.mine(1)
    world.mine(10, taken)
    assert sync(in_process).code == 0
    assert_true(world)
    after = {row[:2]: row[2:] for row in here(PRICED)}
    assert {key: after[key] for key in before} == before
    assert here("SELECT COUNT(*) FROM revenue_removedpayment") == [(0,)]
    assert_sums_hold()


def test_an_audit_by_the_next_source_is_told_nothing_by_the_first(busy, in_process):
    """The lost row is found and mended by those that agree."""
    lost = here("SELECT MIN(id) FROM revenue_payment")[0][0]
    here_no_rows(f"DELETE FROM revenue_payment WHERE id = {lost}")
    leave(busy, "blockbook", depth=120, drop=0.5)
    for fix, numbers in (([], (1, 0, 0)), (["--fix"], (1, 0, 0)), ([], (0, 0, 0))):
        report = in_process("audit_revenue", "--blocks", "100000000", *fix, "--json").report
        assert (report["missing"], report["extra"], report["different"]) == numbers
    assert_true(busy.world)


def here_no_rows(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_witness_is_asked_only_where_settled_rows_would_change(busy, in_process):
    busy.requests.clear()
    for depth in (3, 20, 33):
        busy.world.reorg(depth, drop=0.2, move=0.3)
        busy.world.mine(1)
        assert sync(in_process).code == 0
        assert_true(busy.world)
    assert busy.count("/blockbook2") == 0
    busy.world.reorg(60, drop=0.2, move=0.3)
    busy.world.mine(1)
    assert sync(in_process).code == 0
    assert busy.count("/blockbook2") == 1
