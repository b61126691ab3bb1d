"""Payments that are not deep enough: read apart from the ledger, replaced as a whole, never counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import override_settings

from fluxtracker.simnet.records import MAIN, TRACKED
from fluxtracker.upstream.http.errors import UpstreamError
from ops.models import TaskState
from revenue import jobs
from revenue.models import DailyTotal, LedgerState, Message, Payment, PendingPayments, Quarantined
from tests.factories import AppFactory
from tests.simnet.control import Kind
from tests.simnet.server import SimServer
from tests.simnet.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

PATH = "/api/revenue/pending"
REQUIRED = 8


@pytest.fixture
def sim(settings: Any) -> Iterator[SimServer]:
    settings.MIN_CONFIRMATIONS = REQUIRED
    with SimServer(World(payments=40, days=30, nodes=5, frozen=True)) as server, override_settings(**server.settings()):
        yield server


@pytest.fixture
def synced(sim: SimServer) -> SimServer:
    call_command("sync_revenue")
    return sim


def read() -> dict[str, Any]:
    return jobs.read_pending(trigger="test")


@pytest.fixture
def ask(client: Any) -> Callable[[], dict[str, Any]]:
    def answer() -> dict[str, Any]:
        response = client.get(PATH)
        assert response.status_code == 200
        found: dict[str, Any] = response.json()
        return found

    return answer


def depths(answer: dict[str, Any]) -> dict[str, int]:
    return {row["txid"]: row["confirmations"] for row in answer["transactions"]}


def rows_of_the_ledger() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Payment, DailyTotal, Quarantined)]


def test_before_the_first_sync_nothing_is_asked_and_nothing_is_claimed(sim, ask):
    assert read() == {"pending": None}
    assert list(sim.requests) == []
    assert ask() == {
        "state": "never", "readAt": None, "minConfirmations": REQUIRED, "truncated": False, "unreadable": 0,
        "transactions": None,
    }  # fmt: skip


def test_a_payment_is_seen_from_the_mempool_to_its_last_confirmation_and_then_counted(synced, ask):
    world, before = synced.world, rows_of_the_ledger()
    assert read() == {"pending": 0}
    assert (ask()["state"], ask()["transactions"]) == ("ok", [])
    tx = world.broadcast(world.payment(app="waiting"))
    for blocks, confirmations in ((0, 0), (1, 1), (2, 3), (4, 7)):
        for _ in range(blocks):
            world.mine()
        read()
        assert depths(ask()) == {tx.txid: confirmations}
    assert rows_of_the_ledger() == before
    world.mine(3)
    read()
    assert depths(ask()) == {tx.txid: 10}, "until a sync has counted it"
    call_command("sync_revenue")
    assert Payment.objects.filter(txid=tx.txid).exists()
    assert ask()["transactions"] == [], "also before the next reading"
    read()
    assert (ask()["state"], ask()["transactions"]) == ("ok", [])


def test_a_row_says_what_the_ledger_will_say(synced, ask):
    world = synced.world
    tx = world.payment(app="waiting")
    world.mine(3, [tx])
    read()
    (row,) = ask()["transactions"]
    world.mine(8)
    call_command("sync_revenue")
    stored = Payment.objects.get(txid=tx.txid)
    assert (row["vout"], row["address"], row["from_address"], row["amount_sat"], row["kind"], row["message_hash"]) == (
        stored.vout, stored.address, stored.from_address, stored.amount_sat, stored.kind, stored.message_hash
    )  # fmt: skip
    assert (row["block_height"], row["timestamp"]) == (stored.height, int(stored.paid_at.timestamp()))
    assert (row["app_name"], row["app_type"]) == (None, "unknown")


def test_its_app_is_named_where_its_message_is_known(synced, ask):
    tx = synced.world.broadcast(synced.world.payment(app="waiting"))
    read()
    (row,) = ask()["transactions"]
    Message.objects.create(hash=row["message_hash"], app=AppFactory(name="waiting"), app_type="git")
    LedgerState.objects.update(version=7)
    (row,) = ask()["transactions"]
    assert (row["txid"], row["app_name"], row["app_type"]) == (tx.txid, "waiting", "git")


def test_change_is_no_pending_payment(synced, ask):
    synced.world.broadcast(synced.world.payment(sender=MAIN))
    assert (read(), ask()["unreadable"]) == ({"pending": 0}, 0)


def test_one_whose_sender_is_not_told_may_be_change_and_is_said_to_be_unreadable(synced, ask):
    synced.world.broadcast(synced.world.payment(told=False))
    assert (read(), ask()["unreadable"]) == ({"pending": 0}, 1)


def test_one_small_request_for_each_address(synced):
    synced.requests.clear()
    read()
    asked = [(request.path, request.query) for request in synced.requests]
    assert len(asked) == len(TRACKED)
    assert all(query["details"] == "txs" and query["pageSize"] == "50" and "to" not in query for _, query in asked)


def test_more_than_a_page_says_so(synced, ask):
    world = synced.world
    world.mine(1, [world.payment() for _ in range(70)])
    read()
    answer = ask()
    assert (len(answer["transactions"]), answer["truncated"]) == (50, True)


def test_what_a_reorganisation_takes_away_vanishes(synced, ask):
    world = synced.world
    gone, stays = world.payment(app="gone"), world.payment(app="stays")
    world.mine(2, [gone, stays])
    read()
    assert set(depths(ask())) == {gone.txid, stays.txid}
    world.reorg(2, drop=[gone.txid])
    read()
    assert set(depths(ask())) == {stays.txid}


def test_a_reading_that_fails_leaves_the_last_one_until_that_is_old(synced, ask):
    world = synced.world
    tx = world.broadcast(world.payment())
    read()
    read_at = PendingPayments.objects.get().read_at
    synced.faults.add(Kind.HTTP_500, "^/blockbook")
    with pytest.raises(UpstreamError):
        read()
    assert TaskState.objects.get(name="read_pending").consecutive_failures == 1
    with time_machine.travel(read_at + timedelta(minutes=5), tick=False):
        assert list(depths(ask())) == [tx.txid]
    with time_machine.travel(read_at + timedelta(minutes=5, seconds=1), tick=False):
        answer = ask()
        assert (answer["state"], answer["transactions"]) == ("stale", None)
        assert answer["readAt"].startswith(f"{read_at:%Y-%m-%dT%H:%M:%S}")


@pytest.mark.parametrize("kind", [Kind.STATUS_ERROR_200, Kind.HTML_200, Kind.MALFORMED])
def test_an_error_that_calls_itself_a_success_is_none(synced, ask, kind):
    synced.faults.add(kind, "^/blockbook/")
    synced.world.broadcast(synced.world.payment())
    assert read() == {"pending": 1}, "the second Blockbook answers"
    synced.faults.add(kind, "^/blockbook2/")
    with pytest.raises(UpstreamError):
        read()
    assert len(ask()["transactions"]) == 1


def test_an_address_that_is_not_tracked_any_more_is_left_out(synced, ask, settings):
    synced.world.broadcast(synced.world.payment())
    read()
    assert [row["address"] for row in ask()["transactions"]] == [MAIN]
    settings.REVENUE_ADDRESSES = [row for row in settings.REVENUE_ADDRESSES if row.address != MAIN]
    LedgerState.objects.update(version=9)
    assert ask()["transactions"] == []
