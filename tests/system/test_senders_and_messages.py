"""Who paid and what for, as both sources tell it on HTTP: the first input and the last output with a script."""

from __future__ import annotations

import pytest

from fluxtracker.simnet.history import FLUX
from fluxtracker.simnet.records import DEVELOPMENT, MAIN, TEAM, Output
from revenue import ledger
from revenue.models import App, Message, Payment, Quarantined
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, read_tip

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

CHANGE = Output(TEAM, 7 * FLUX)
ODD = Output(None, 1_000)
OTHER_WORDS = Output(None, 0, b"something else")
EMPTY = Output(None, 1_000, script="")


@pytest.fixture(params=["blockbook", "daemon", "a daemon without a spent index"])
def sim(request, build):
    """A network of which only one source answers."""
    made = build(payments=0)
    made.spent_index = request.param != "a daemon without a spent index"
    if request.param != "blockbook":
        made.faults.add("http500", "^/blockbook")
    return made


def sync(sim, in_process):
    """Read everything; a source of which the tip is taken lower has nothing above that."""
    sim.world.mine(12)
    for _ in range(2):
        outcome = in_process("sync_revenue")
        assert outcome.code == 0, outcome.err
    return read_tip()


def row_of(tx):
    return Payment.objects.get(txid=tx.txid, address=MAIN)


def test_a_message_that_is_not_in_the_last_output_names_no_app(sim, in_process):
    world = sim.world
    owner = world.payment(app="game")
    foreign = [
        world.payment(data=owner.message_hash.encode(), after=after)
        for after in ([CHANGE], [ODD], [OTHER_WORDS], [EMPTY, CHANGE])
    ]
    world.mine(1, [owner, *foreign])
    tip = sync(sim, in_process)
    assert row_of(owner).app.name == "game"
    for row in map(row_of, foreign):
        assert (row.app, row.app_type, row.kind, row.message_hash) == (None, "unknown", "plain", "")
    assert (App.objects.get().payments, App.objects.get().revenue_sat) == (1, 10 * FLUX)
    assert in_process("backfill_app_names", "--all", "--json").report["remaining"] == 0
    assert [row_of(tx).app for tx in foreign] == [None] * len(foreign)
    assert_true(world, tip=tip)
    assert_named(world)


def test_a_message_in_the_last_output_with_a_script_names_its_app(sim, in_process):
    """However the script pushes it, and before an empty script as well."""
    world, paid = sim.world, {}
    for push in ("6a40", "6a4c40", "6a4d4000"):
        for name, after in (("last", []), ("before", [EMPTY])):
            tx = paid[f"{name}{push}"] = world.payment(app=f"{name}{push}", after=after)
            place = next(n for n, output in enumerate(tx.outputs) if output.data)
            scripted = tx.outputs[place]._replace(script=push + tx.message_hash.encode().hex())
            tx.outputs = (*tx.outputs[:place], scripted, *tx.outputs[place + 1 :])
    world.mine(1, list(paid.values()))
    tip = sync(sim, in_process)
    assert {name: (row_of(tx).app.name, row_of(tx).app_type) for name, tx in paid.items()} == {
        name: (name, "docker") for name in paid
    }
    assert_true(world, tip=tip)


def test_of_two_messages_the_last_names_the_app_and_none_does_in_another_version(sim, in_process):
    world = sim.world
    first, last, versioned = (world.payment(app=app) for app in ("first", "last", "game"))
    both = world.payment(data=first.message_hash.encode(), after=[Output(None, 0, last.message_hash.encode())])
    versioned.version = 5
    world.mine(1, [first, last, both, versioned])
    tip = sync(sim, in_process)
    assert row_of(both).app.name == "last"
    assert (row_of(versioned).app, row_of(versioned).kind) == (None, "plain")
    assert_true(world, tip=tip)


def without_owner(world):
    """A payment whose first input spends an output that belongs to no address."""
    tx = world.payment(sat=5 * FLUX, told=False, more_senders=[MAIN])
    tx.inputs = (tx.inputs[0]._replace(address=None), *tx.inputs[1:])
    return tx


DECIDED = (
    ({"sender": TEAM, "more_senders": [MAIN]}, [TEAM]),
    ({"sender": MAIN, "more_senders": [TEAM]}, []),
    ({"sender": DEVELOPMENT, "sat": 2_000_000, "more_senders": [TEAM]}, []),
    ({"sender": DEVELOPMENT, "sat": 2_000_001, "more_senders": [TEAM]}, [DEVELOPMENT]),
    ({"sender": TEAM, "sat": 2_000_000, "more_senders": [DEVELOPMENT]}, [TEAM]),
    ({"sender": TEAM, "more_senders": [MAIN, MAIN]}, [TEAM]),
)


def test_the_owner_of_the_first_input_decides_also_where_it_is_not_told(sim, in_process):
    """One without an owner is paid by no address, and counts."""
    world = sim.world
    made = [world.payment(**({"sat": 5 * FLUX} | options), told=False) for options, _ in DECIDED]
    made.append(without_owner(world))
    world.mine(1, made)
    tip = sync(sim, in_process)
    senders = Payment.objects.filter(vout=0).values_list("from_address", flat=True)
    assert [list(senders.filter(txid=tx.txid)) for tx in made] == [*(counted for _, counted in DECIDED), [None]]
    assert not Quarantined.objects.exists()
    assert_true(world, tip=tip)


def test_a_first_input_of_an_unknown_owner_waits_whatever_the_others_tell(sim, in_process):
    world = sim.world
    tx = world.payment(told=False, found=False, more_senders=[TEAM])
    world.mine(1, [tx])
    tip = sync(sim, in_process)
    assert not Payment.objects.filter(txid=tx.txid).exists()
    assert [(row.txid, row.reason) for row in Quarantined.objects.all()] == [(tx.txid, "sender")]
    assert_true(world, tip=tip)


# What an earlier release stored


@pytest.fixture
def stored_the_old_way(build, in_process):
    """Rows as they were stored by the first OP_RETURN and the first sender that was told, deep in the chain."""
    sim = build(payments=40)
    world = sim.world
    owner = world.payment(app="game")
    foreign = world.payment(data=owner.message_hash.encode(), after=[CHANGE])
    only_foreign = world.payment(data=b"ab" * 32, after=[ODD])
    lost = world.payment(sat=5 * FLUX, told=False, sender=TEAM, more_senders=[MAIN])
    wrong = world.payment(sat=6 * FLUX, told=False, sender=MAIN, more_senders=[TEAM], change=0)
    ownerless = without_owner(world)
    world.mine(1, [owner, foreign, only_foreign, lost, wrong, ownerless])
    world.mine(9_000)
    sync(sim, in_process)
    assert_true(world)
    with ledger.writing():
        game, other = App.objects.get(name="game"), App.objects.create(name="never paid for")
        Message.objects.create(hash="ab" * 32, app=other, app_type="git")
        Payment.objects.filter(txid=foreign.txid).update(
            kind="app", message_hash=owner.message_hash, app=game, app_type="docker"
        )
        Payment.objects.filter(txid=only_foreign.txid).update(
            kind="app", message_hash="ab" * 32, app=other, app_type="git"
        )
        counted = Payment.objects.filter(txid=foreign.txid).get()
        Payment.objects.filter(txid__in=[lost.txid, ownerless.txid]).delete()
        Payment.objects.create(
            txid=wrong.txid, vout=0, address=MAIN, from_address=TEAM, amount_sat=6 * FLUX, height=wrong.height,
            block_hash=counted.block_hash, paid_at=counted.paid_at, day=counted.day,
        )  # fmt: skip
        ledger.recompute_days({(counted.day, MAIN)})
        ledger.recompute_apps(App.objects.values_list("id", flat=True))
    assert_sums_hold()
    assert App.objects.get(name="game").payments == 2
    return sim


@pytest.mark.parametrize(
    "command",
    [("audit_revenue", "--fix", "--blocks", "100000000"), ("sync_revenue", "--full")],
    ids=lambda command: command[0],
)
def test_rows_that_were_decided_wrongly_are_mended(stored_the_old_way, in_process, command):
    world = stored_the_old_way.world
    outcome = in_process(*command, "--json")
    assert outcome.code == 0, outcome.err
    assert_true(world)
    assert_named(world)
    assert App.objects.get(name="game").payments == 1
    assert App.objects.get(name="never paid for").payments == 0
    assert not Payment.objects.exclude(kind="app").exclude(app=None).exists()
    assert in_process("audit_revenue", "--blocks", "100000000", "--json").report["different"] == 0


def test_the_usual_audit_leaves_what_lies_deeper(stored_the_old_way, in_process):
    report = in_process("audit_revenue", "--fix", "--json").report
    assert (report["missing"], report["extra"], report["different"]) == (0, 0, 0)


def test_an_audit_of_the_chain_tells_what_it_found(stored_the_old_way, in_process):
    report = in_process("audit_revenue", "--blocks", "100000000", "--json").report
    assert (report["missing"], report["extra"], report["different"], report["fixed"]) == (2, 1, 2, 0)
