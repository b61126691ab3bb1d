"""Wrong answers of upstreams: the data stays right, the problem is reported once and shown, and ends without help."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from ops.models import TaskState
from tests.marks import only_in_full, some_in_full
from tests.simnet.control import OF_ROWS, Kind
from tests.simnet.server import SimServer
from tests.system.conftest import Build, Warned
from tests.system.home import Outcome
from tests.system.kept import begin
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, here, read_tip, rows, truth

pytestmark = pytest.mark.django_db

Manage = Callable[..., Outcome]
PLACE = re.compile(r"127\.0\.0\.1:\d+ /?\w+")  # host and path, as an operator needs them
FIRST, BOTH, CHAIN = "^/blockbook/", "^/blockbook", "^/(blockbook|daemon)"
NAMES, PRICES = "^/apps/", "^/(coingecko|binance|explorer|cryptocompare)"
EMPTY = (Kind.EMPTY_SUCCESS, Kind.EMPTY_WITH_TOTAL)
HANGS = (Kind.TIMEOUT, Kind.DRIP)
ALL_BUT_WRONG = (Kind.REPEAT_PAGE, Kind.SLOW)  # the answer before, once true; the right answer, late
LISTS = "^/(blockbook.*/address/|daemon/getaddress)"

WRONG: dict[str, dict[str, Any]] = {
    **{kind.value: {"kind": kind} for kind in Kind if kind not in (*ALL_BUT_WRONG, *OF_ROWS)},
    "height_backwards": {"kind": Kind.HEIGHT_BACKWARDS, "blocks": 40},
    "http429 with a short pause": {"kind": Kind.HTTP_429, "retry_after": "2"},
    "http429 with a long pause": {"kind": Kind.HTTP_429, "retry_after": "3600"},
}
SLOW_SEEDS = only_in_full(1, 2, 3)
WITHOUT_HEIGHT = {name: wrong for name, wrong in WRONG.items() if wrong["kind"] != Kind.HEIGHT_BACKWARDS}
UNLIKE = (Kind.HTTP_500, Kind.STATUS_ERROR_200, Kind.EMPTY_SUCCESS, Kind.TRUNCATED, Kind.TIMEOUT)
DECIDING = (Kind.HTTP_500, Kind.EMPTY_SUCCESS, Kind.HEIGHT_BACKWARDS)  # refused, empty, old: all others are refused
OF_ALL = some_in_full(WRONG, *UNLIKE, Kind.HEIGHT_BACKWARDS)
OF_LISTS = some_in_full(WITHOUT_HEIGHT, Kind.EMPTY_SUCCESS, Kind.TRUNCATED)
of_all_in_full = pytest.mark.parametrize("wrong", OF_ALL)
without_height = pytest.mark.parametrize(
    "wrong", some_in_full(WITHOUT_HEIGHT, Kind.HTTP_500, Kind.EMPTY_SUCCESS, Kind.TRUNCATED)
)


@pytest.fixture
def grown(build: Build, in_process: Manage, warned: Warned) -> SimServer:
    """A ledger that was right a moment ago, and a chain with something new since."""
    sim: SimServer = begin("grown", build, in_process)
    assert_true(sim.world)
    sim.world.mine(12, [sim.world.payment(app="new"), sim.world.payment(told=False)])
    warned.forget()
    return sim


def go_wrong(sim: SimServer, settings: Any, wrong: dict[str, Any], path: str) -> None:
    if wrong["kind"] in HANGS:
        settings.HANGING_PATHS = path
    sim.faults.add(path=path, **wrong)


def get_well(sim: SimServer, settings: Any) -> None:
    settings.UPSTREAM_TIMEOUT, settings.HANGING_PATHS = 30, None
    sim.faults.clear()


def assert_heals(sim: SimServer, settings: Any, in_process: Manage, client: Any) -> None:
    get_well(sim, settings)
    outcome = in_process("sync_revenue")
    assert outcome.code == 0, outcome.err
    assert_true(sim.world)
    assert client.get("/api/health").json()["sync"]["consecutiveFailures"] == 0


@of_all_in_full
def test_another_blockbook_steps_in_for_the_first(grown, settings, in_process, warned, client, wrong):
    go_wrong(grown, settings, wrong, FIRST)
    assert in_process("sync_revenue").code == 0
    assert_true(grown.world)
    (warning,) = warned()
    assert (warning["event"], bool(PLACE.search(warning["error"]))) == ("source_failed", True), warning
    assert_heals(grown, settings, in_process, client)


@pytest.mark.parametrize("wrong", some_in_full(WRONG, *DECIDING))
def test_the_daemon_steps_in_for_both_blockbooks(grown, settings, in_process, warned, client, wrong):
    go_wrong(grown, settings, wrong, BOTH)
    assert in_process("sync_revenue").code == 0
    assert_true(grown.world, tip=read_tip())
    assert len(rows()) > len(truth(grown.world, tip=grown.world.tip_height - 12))
    assert [(warning["event"], bool(PLACE.search(warning["error"]))) for warning in warned()] == [
        ("source_failed", True),
        ("source_failed", True),
    ]
    assert_heals(grown, settings, in_process, client)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        *[pytest.param(CHAIN, *one.values, id=f"everything-{one.id}", marks=one.marks) for one in OF_ALL],
        *[pytest.param(LISTS, *one.values, id=f"lists-{one.id}", marks=one.marks) for one in OF_LISTS],
    ],
)
def test_without_any_good_source_nothing_changes(grown, settings, in_process, warned, client, wrong, path):
    before, known_tip = rows(), read_tip()
    go_wrong(grown, settings, wrong, path)
    outcome = in_process("sync_revenue")
    assert outcome.code == 1
    assert PLACE.search(outcome.reason)
    assert (rows(), read_tip()) == (before, known_tip)
    (warning,) = warned()
    assert (warning["event"], warning["task"]) == ("task_failed", "sync_revenue")
    assert PLACE.search(warning["error"])
    assert client.get("/api/health").json()["sync"]["consecutiveFailures"] == 1
    assert PLACE.search(TaskState.objects.get(name="sync_revenue").last_error)
    assert_heals(grown, settings, in_process, client)


@pytest.mark.parametrize("wrong", some_in_full(WRONG, *DECIDING))
def test_a_first_sync_that_fails_leaves_nothing_wrong_behind(sim, settings, in_process, client, wrong):
    go_wrong(sim, settings, wrong, LISTS)
    outcome = in_process("sync_revenue")
    believable = wrong["kind"] in (Kind.HEIGHT_BACKWARDS, *EMPTY)  # lists of a moment ago; an address without payments
    assert outcome.code == (0 if believable else 1)
    assert rows() <= truth(sim.world)
    assert_sums_hold()
    if wrong["kind"] == Kind.HEIGHT_BACKWARDS:  # the lists were those of ten blocks before
        sim.world.mine(1)
    assert_heals(sim, settings, in_process, client)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("path", ["^/blockbook/.*/address/", "^/blockbook.*/address/"], ids=["first", "both"])
def test_a_first_sync_does_not_believe_that_there_is_nothing(sim, in_process, kind, path):
    sim.faults.add(kind, path)
    assert in_process("sync_revenue").code == 0
    assert_true(sim.world, tip=read_tip())
    assert rows()
    sim.faults.clear()
    sim.world.mine(1)
    assert in_process("sync_revenue").code == 0
    assert_true(sim.world)


@pytest.mark.parametrize("path", [FIRST, CHAIN, "address", *only_in_full(BOTH, "/tx/")])
def test_a_repeated_answer_never_makes_the_ledger_wrong_and_is_over_when_it_is_over(grown, in_process, path):
    before = rows()
    grown.faults.add(Kind.REPEAT_PAGE, path)
    in_process("sync_revenue")
    assert before <= rows() <= truth(grown.world)
    grown.faults.clear()
    for _ in range(2):
        grown.world.mine(1, [grown.world.payment()])
        assert in_process("sync_revenue").code == 0
    assert_true(grown.world, tip=grown.world.tip_height)


@pytest.mark.slow
def test_a_first_sync_through_pages_that_repeat_is_never_wrong(build: Build, in_process):
    sim = build(payments=3000)
    sim.faults.add(Kind.REPEAT_PAGE, "^/blockbook/.*/address/")
    assert in_process("sync_revenue").code == 0
    assert_true(sim.world)


@pytest.mark.slow
@without_height
@pytest.mark.parametrize("payments", [20, 120], ids=["one by one", "all at once"])
def test_names_that_cannot_be_had_come_later(build, settings, in_process, warned, client, wrong, payments):
    sim = build(payments=payments)
    unheard = wrong["kind"] in EMPTY and payments == 20  # "nobody knows this message (yet)" is an answer
    go_wrong(sim, settings, wrong, NAMES)
    outcome = in_process("sync_revenue", "--json")
    assert outcome.code == 0, outcome.err
    assert_true(sim.world)
    assert not here("SELECT id FROM revenue_app")
    if not unheard:
        (warning,) = warned()
        assert (warning["event"], warning["task"]) == ("task_failed", "backfill_app_names")
        assert PLACE.search(warning["error"])
        service = client.get("/api/health").json()["services"]["backfill_app_names"]
        assert (service["status"], service["consecutiveFailures"]) == ("failing", 1)
        assert PLACE.search(service["error"])
    get_well(sim, settings)
    with time_machine.travel(timezone.now() + timedelta(minutes=31 * unheard)):
        assert in_process("backfill_app_names", "--all").code == 0
    assert_named(sim.world)
    assert client.get("/api/health").json()["services"]["backfill_app_names"]["status"] == "ok"


@without_height
def test_prices_that_cannot_be_had_come_later(sim, settings, in_process, warned, client, wrong):
    go_wrong(sim, settings, wrong, PRICES)
    outcome = in_process("sync_revenue", "--json")
    assert (outcome.code, outcome.report["priced"]) == (0, None), outcome.err
    assert_true(sim.world)
    assert here("SELECT COUNT(*) FROM revenue_payment WHERE usd_micro IS NOT NULL") == [(0,)]
    (warning,) = warned()
    assert (warning["event"], warning["task"]) == ("task_failed", "backfill_usd")
    assert PLACE.search(warning["error"])
    assert client.get("/api/health").json()["services"]["backfill_usd"]["consecutiveFailures"] == 1
    get_well(sim, settings)
    assert in_process("sync_revenue", "--json").code == 0
    assert in_process("backfill_usd", "--json").report["remaining"] == 0
    assert_sums_hold()


@pytest.mark.parametrize("kind", [Kind.HTTP_500, Kind.HTTP_429, Kind.DROP_CONNECTION])
def test_what_passes_by_itself_is_not_even_worth_a_warning(grown, in_process, warned, kind):
    fault = grown.faults.add(kind, FIRST, times=1)
    assert in_process("sync_revenue").code == 0
    assert_true(grown.world)
    assert (fault.hits, warned()) == (1, [])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.engine), *SLOW_SEEDS])
@pytest.mark.parametrize("path", ["", "^/blockbook"], ids=["everywhere", "blockbooks"])
def test_syncs_converge_through_random_faults(build, settings, in_process, seed, path):
    settings.UPSTREAM_TIMEOUT = 0.3
    sim = build(payments=150, seed=seed)
    for number, kind in enumerate(Kind):
        if kind not in (Kind.HEIGHT_BACKWARDS, Kind.FLOOD, Kind.SLOW, *OF_ROWS):
            sim.faults.add(kind, path, probability=(0.01, 0.015)[number % 2])
    for number in range(12):
        in_process("sync_revenue")
        assert rows() <= truth(sim.world)
        assert_sums_hold()
        sim.world.mine(3, [sim.world.payment(app=f"app{number}")])
    get_well(sim, settings)
    assert in_process("sync_revenue").code == 0
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        sim.world.mine(1)
        assert in_process("sync_revenue").code == 0
    assert_true(sim.world)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *SLOW_SEEDS])
def test_reorganisations_amid_random_faults_are_right_in_the_end(build, settings, in_process, seed):
    settings.UPSTREAM_TIMEOUT = 0.3
    sim = build(payments=100, seed=seed)
    for kind in (Kind.HTTP_500, Kind.TRUNCATED, Kind.EMPTY_SUCCESS, Kind.EMPTY_WITH_TOTAL, Kind.REPEAT_PAGE):
        sim.faults.add(kind, "^/(blockbook|daemon)", probability=0.04)
    for number in range(15):
        in_process("sync_revenue")
        assert_sums_hold()
        sim.world.mine(3, [sim.world.payment(app=f"app{number}") for _ in range(2)])
        if number % 3 == 2:
            sim.world.reorg(4 + number * 2, drop=0.3, move=0.3, payments=[sim.world.payment()])
            sim.world.mine(2)
    get_well(sim, settings)
    for _ in range(2):
        sim.world.mine(1)
        assert in_process("sync_revenue").code == 0
    assert_true(sim.world)


def test_three_failures_in_a_row_are_an_alert_and_the_recovery_is_told(grown, in_process, caplog, client):
    grown.faults.add(Kind.HTTP_500, CHAIN)
    for _ in range(4):
        assert in_process("sync_revenue").code == 1
    errors = [record.msg["event"] for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["task_keeps_failing"]
    health = client.get("/api/health").json()
    assert (health["status"], health["sync"]["healthy"]) == ("degraded", False)
    assert "4 times in a row" in health["sync"]["reason"]
    grown.faults.clear()
    assert in_process("sync_revenue").code == 0
    assert [record.msg["event"] for record in caplog.records].count("task_recovered") == 1
    assert client.get("/api/health").json()["sync"]["healthy"] is True


@pytest.mark.slow
def test_a_long_history_is_read_through_the_daemon_alone_some_of_it_each_time(build, in_process):
    sim = build(payments=1200)
    sim.faults.add(Kind.HTTP_500, BOTH)
    reached = [0]
    while in_process("sync_revenue").code == 1:
        assert rows() <= truth(sim.world)
        reached.append(len(rows()))
        assert reached[-1] > reached[-2], reached
    assert_true(sim.world, tip=read_tip())
    assert len(reached) < 6
