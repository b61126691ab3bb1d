"""An answer with all app messages that lacks many is refused: what came is kept, and nothing counts as read whole."""

from datetime import timedelta

import pytest
import time_machine

from deployments.models import MessageFact, MessagesState
from fluxtracker.upstream.http.errors import UpstreamError
from ops.models import TaskRun, TaskState
from tests.deployments.messages import START, record
from tests.factories import NOON, digest, pay, settle
from tests.upstream.payloads import payload

pytestmark = pytest.mark.django_db
BEFORE = START - 2_000


@pytest.fixture(autouse=True)
def now():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def records(count, start=0):
    return [record(digest("short", n), BEFORE + n, name=f"App{n}") for n in range(start, count)]


def paid(rows, age=timedelta(days=2)):
    for n, row in enumerate(rows):
        pay(n, message_hash=row["hash"], txid=row["txid"], height=row["height"], at=NOON - age)
    settle()


def complete_at():
    return MessagesState.load().complete_at


def refused(sync, words, **options):
    with pytest.raises(UpstreamError, match=words) as caught:
        sync(**options)
    return caught.value


def test_an_answer_without_a_usable_message_is_refused(registry, sync, get):
    registry.records = [[]] * 100
    error = refused(sync, "/apps/permanentmessages: none of 100 rows is usable")
    assert (error.code, complete_at(), MessageFact.objects.count()) == ("short", None, 0)
    assert TaskState.objects.get(name="sync_messages").last_error == str(error)
    answer = get("economics/accrual")
    assert (answer["mrr"]["flux"], "mrr" in answer["notes"]) == (None, True)


def test_a_first_answer_with_few_of_the_paid_messages_is_refused(registry, sync, get):
    registry.records, registry.index = records(7), []
    paid(records(30))
    refused(sync, "messages of only 7 of 30 paid hashes")
    assert (complete_at(), MessageFact.objects.count()) == (None, 7)
    forecast = get("economics/forecast")
    assert (forecast["data"], forecast["deferred"]["flux"]) == ([], None)
    assert forecast["notes"].keys() == {"data", "deferred", "endingToday"}
    registry.records = records(30)
    assert (sync()["added"], complete_at()) == (23, NOON)


@pytest.mark.parametrize(
    ("count", "known", "age"),
    [(30, 8, 48), (20, 1, 48), (30, 1, 23)],
    ids=["enough are there", "too few to tell", "not old enough"],
)
def test_paid_hashes_without_a_message_prove_little(registry, sync, count, known, age):
    registry.records = records(known)
    paid(records(count), timedelta(hours=age))
    sync()
    assert complete_at() == NOON


def test_an_answer_with_fewer_messages_than_stored_is_refused(registry, sync, now):
    registry.records = records(60)
    sync()
    now.shift(timedelta(hours=1))
    registry.records = [*records(38), *records(61, 60)]
    refused(sync, "only 39 of 61 known messages", full=True)
    assert (complete_at(), MessageFact.objects.count()) == (NOON, 61)


def test_a_reorganisation_may_take_a_handful(registry, sync, now):
    registry.records = records(60)
    sync()
    now.shift(timedelta(hours=1))
    registry.records = records(40)
    sync(full=True)
    assert complete_at() == NOON + timedelta(hours=1)


def test_an_answer_that_lacks_messages_of_the_index_is_refused(registry, sync):
    """Free changes are in no ledger: the index alone knows them."""
    registry.index = [{"hash": row["hash"], "message": True} for row in records(60)]
    registry.records = records(39)
    refused(sync, "21 of 60 messages in the index of hashes are missing")
    assert (complete_at(), MessageFact.objects.count()) == (None, 39)


def test_hashes_without_a_message_are_not_missing(registry, sync):
    registry.records = records(1)
    registry.index = payload("apps_hashes")["data"] + [{"hash": row["hash"], "message": False} for row in records(60)]
    sync()
    assert complete_at() == NOON


@pytest.mark.parametrize("index", [[], [None, 1, {"message": True}, {"hash": "x", "message": True}]])
def test_an_index_that_cannot_be_read_proves_nothing(registry, sync, index):
    registry.records, registry.index = records(3), index
    sync()
    assert complete_at() == NOON


def test_a_weekly_read_that_is_refused_fails_after_new_messages_were_asked_for(registry, sync, now):
    registry.records = records(60)
    sync()
    now.shift(timedelta(days=8))
    registry.records = records(61, 30)
    registry.running = [("App60", digest("short", 60), BEFORE + 60), ("App1", digest("one more"), START)]
    error = refused(sync, "only 31 of 61 known messages")
    assert (error.report["added"], error.report["notFound"]) == (1, 1)
    assert digest("one more") in registry.asked
    assert complete_at() == NOON
    assert MessagesState.load().read_at == NOON + timedelta(days=8)
    assert not TaskRun.objects.filter(name="sync_messages").latest("id").ok
    registry.records = records(61)
    sync()
    assert complete_at() == NOON + timedelta(days=8)
