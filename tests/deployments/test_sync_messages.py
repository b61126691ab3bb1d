"""How app messages come in: all at once, one by one, bad ones, and what the network ignored."""

from datetime import timedelta

import pytest
import time_machine

from deployments import jobs
from deployments.models import AppEvent, AppLife, ChangedApp, MessageFact, MessagesState
from fluxtracker.upstream.http.errors import BadAnswer
from metrics.models import TrackedApp
from revenue.jobs import backfill_app_names
from revenue.models import ChangedDay, Message
from tests.deployments.messages import MONTH, OWNER, START, STRANGER, at, record
from tests.factories import NOON, digest, pay, settle

pytestmark = pytest.mark.django_db
ONE, TWO, THREE = digest("one"), digest("two"), digest("three")


@pytest.fixture(autouse=True)
def now():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def kinds(key="shop"):
    return list(AppEvent.objects.filter(app=key).order_by("position").values_list("kind", flat=True))


def test_the_first_read_takes_all_messages_at_once(registry, sync):
    registry.records = [record(ONE), record(TWO, START + 500, _type="fluxappupdate"), record(THREE, name="Blog")]
    report = sync()
    assert (report["read"], report["added"], report["changed"], report["lives"]) == (3, 3, 0, 2)
    assert (registry.dumps, registry.asked) == (1, [])
    assert kinds() == ["new", "renewal"]
    row = AppLife.objects.get(app_key="shop")
    assert (row.name, row.owner, row.instances, row.image, row.category) == ("Shop", OWNER, 3, "acme/shop", "other")
    assert (row.registered_height, row.end_height) == (START, START + 500 + MONTH)
    assert not ChangedApp.objects.exists()


def test_a_second_run_finds_nothing_to_do(registry, sync):
    registry.records = [record(ONE)]
    sync()
    version = MessagesState.load().version
    report = sync()
    assert (report["read"], report["added"], report["lives"], registry.dumps) == (0, 0, 0, 1)
    assert MessagesState.load().version == version


def test_the_message_of_a_new_payment_is_asked_for_by_its_hash(registry, sync):
    registry.records = [record(ONE)]
    sync()
    registry.records.append(record(TWO, START + 600, _type="fluxappupdate"))
    pay(message_hash=TWO, txid=registry.records[1]["txid"], height=START + 600, at=NOON - timedelta(hours=1))
    settle()
    sync()
    assert (registry.dumps, registry.asked) == (1, [TWO])
    assert kinds() == ["new", "renewal"]
    event = AppEvent.objects.get(message_hash=TWO)
    assert (event.payments, event.revenue_sat, event.at) == (1, 2_593_000_000, NOON - timedelta(hours=1))
    assert ChangedDay.objects.filter(day=event.day).exists()


def test_a_payment_after_its_message_builds_the_life_once(registry, sync):
    registry.records = [record(ONE)]
    sync()
    pay(message_hash=ONE, txid=registry.records[0]["txid"], height=START, at=at(START))
    settle()
    report = jobs.update_economics(trigger="command")
    assert (report["days"], report["lives"], ChangedDay.objects.count()) == (1, 1, 0)
    assert AppEvent.objects.get().payments == 1


def test_a_message_that_names_another_payment_has_the_days_of_both_split_again(registry, sync):
    registry.records = [record(ONE)]
    days = [at(START).date(), (at(START) + timedelta(days=3)).date()]
    for back, txid in enumerate((registry.records[0]["txid"], digest("other"))):
        pay(message_hash=ONE, txid=txid, height=START + back, at=at(START) + timedelta(days=3 * back))
    settle()
    sync()
    jobs.update_economics(trigger="command")
    registry.records = [record(ONE, START + 1, _txid=digest("other"))]
    sync(full=True)
    assert sorted(ChangedDay.objects.values_list("day", flat=True)) == days


def test_a_free_change_is_found_by_the_specification_in_force(registry, sync):
    registry.records = [record(ONE)]
    sync()
    registry.records.append(record(TWO, START + 600, expire=MONTH - 600, _type="fluxappupdate", _valueSat=2_000_000))
    registry.running = [("Shop", TWO, START + 600)]
    sync()
    assert registry.asked == [TWO]
    assert kinds() == ["new", "change"]


def test_a_hash_without_a_message_is_asked_for_again_with_growing_pauses(registry, sync, now):
    registry.records = [record(ONE)]
    sync()
    registry.running = [("Shop", TWO, START + 600)]
    asked = []
    for minutes in (0, 10, 31, 50, 100):
        now.move_to(NOON + timedelta(minutes=minutes))
        report = sync()
        asked.append(report["notFound"])
    assert asked == [1, 0, 1, 0, 1]
    assert Message.objects.get(hash=TWO).attempts == 3


def test_a_payment_is_named_as_soon_as_a_read_of_all_messages_knows_its_hash(registry, sync, now, client):
    registry.records = [record(ONE)]
    sync()
    late = record(TWO, START + 600, _type="fluxappupdate")
    pay("10", message_hash=TWO, txid=late["txid"], height=START + 600, at=NOON - timedelta(days=2))
    settle()
    for _ in range(4):
        assert backfill_app_names(trigger="command")["notFound"] == 1
        now.shift(timedelta(hours=5))
    backfill_app_names(trigger="command")
    registry.records.append(late)
    now.shift(timedelta(minutes=1))
    assert backfill_app_names(trigger="command")["updated"] == 0
    sync(full=True)
    assert backfill_app_names(trigger="command")["updated"] == 1
    assert client.get("/api/apps/shop").json()["payments"]["count"] == 1


def test_more_than_fifty_unknown_hashes_take_all_messages_once(registry, sync):
    registry.records = [record(ONE)]
    sync()
    registry.running = [(f"app{n}", digest("running", n), START) for n in range(51)]
    registry.records += [record(hash_, name=name) for name, hash_, _ in registry.running[:40]]
    report = sync()
    assert (registry.dumps, registry.asked) == (2, [])
    assert (report["added"], report["notFound"]) == (40, 11)
    sync()
    assert (registry.dumps, registry.asked) == (2, [])


def test_apps_in_force_that_the_network_does_not_list_are_counted(registry, sync):
    """An underpaid registration is one of these; so is an app that a node has not heard of yet."""
    registry.records = [record(ONE), record(TWO, name="Small")]
    registry.running = [("shop", ONE, START)]
    sync()
    assert MessagesState.load().coverage["notListed"] == 1


def test_all_messages_are_read_again_each_week_and_on_request(registry, sync, now):
    registry.records = [record(ONE)]
    sync()
    now.shift(timedelta(days=6, hours=23))
    sync()
    assert registry.dumps == 1
    now.shift(timedelta(hours=1))
    sync()
    assert registry.dumps == 2
    assert sync(full=True)["read"] == 1
    assert registry.dumps == 3


def test_a_weekly_read_that_fails_leaves_new_messages_to_be_asked_for(registry, sync, now):
    registry.records = [record(ONE)]
    sync()
    now.shift(timedelta(days=8))
    registry.records.append(record(TWO, START + 600, _type="fluxappupdate"))
    registry.running, registry.fails_after = [("Shop", TWO, START + 600)], 0
    assert (sync()["added"], registry.asked) == (1, [TWO])
    assert MessagesState.load().complete_at == NOON


def test_a_first_read_that_fails_keeps_what_came(registry, sync):
    registry.records, registry.fails_after = [record(ONE)], 0
    with pytest.raises(BadAnswer):
        sync()
    assert MessagesState.load().complete_at is None
    registry.fails_after = None
    assert sync()["added"] == 1


def test_an_app_marked_before_a_kill_is_built_by_the_next_run(registry, sync):
    registry.records = [record(ONE)]
    sync()
    AppLife.objects.all().delete()
    ChangedApp.objects.create(app_key="shop")
    assert sync()["lives"] == 1
    assert kinds() == ["new"]


def test_a_message_that_stands_elsewhere_after_a_reorganisation_is_replaced(registry, sync):
    registry.records = [record(ONE)]
    sync()
    registry.records = [record(ONE, START + 3)]
    report = sync(full=True)
    assert (report["added"], report["changed"]) == (0, 1)
    assert AppLife.objects.get().registered_height == START + 3


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_messages_with_one_hash_the_first_in_the_chain_counts(registry, sync, turn):
    registry.records = [record(ONE), record(ONE, START + 5, name="Copy")][::turn]
    sync()
    assert MessageFact.objects.get().name == "Shop"
    assert MessagesState.load().coverage["repeated"] == 1
    assert sync(full=True)["changed"] == 0


def test_bad_records_are_counted_and_told_once(registry, sync):
    registry.records = [record(ONE), None, record(TWO, _type="fluxappfoo"), record(THREE, expire="soon", owner="me")]
    assert sync()["leftOut"] == {"noObject": 1, "unknownType": 1}
    coverage = MessagesState.load().coverage
    assert coverage["leftOut"] == {"noObject": 1, "unknownType": 1}
    assert (coverage["messages"], coverage["termUnknown"], coverage["ownerUnknown"]) == (2, 1, 1)
    sync()
    assert MessagesState.load().coverage == coverage


def test_a_message_beyond_the_tip_waits_until_the_chain_is_there(registry, sync):
    registry.records = [record(ONE), record(TWO, START + 5000, _type="fluxappupdate")]
    sync()
    assert kinds() == ["new"]
    assert MessagesState.load().coverage["waiting"] == 1
    registry.tip = START + 5000
    sync()
    assert kinds() == ["new", "renewal"]


def test_an_app_is_lost_when_the_chain_has_gone_on_for_a_week(registry, sync):
    registry.records = [record(ONE)]
    sync()
    registry.tip = START + MONTH + 7 * 2880 - 1
    sync()
    assert kinds() == ["new"]
    registry.tip += 1
    sync()
    assert kinds() == ["new", "lost"]


def test_names_in_another_case_are_one_app(registry, sync):
    registry.records = [record(ONE), record(TWO, START + 10, name="SHOP", owner=STRANGER)]
    sync()
    assert kinds() == ["new", "ignored"]
    assert AppLife.objects.get().name == "Shop"


def test_a_message_that_the_network_ignored_does_not_count(registry, sync):
    registry.records = [record(ONE), record(TWO, START + 100, expire=1, _type="fluxappupdate")]
    registry.running = [("Shop", ONE, START)]
    sync()
    assert kinds() == ["new", "ignored"]
    assert not MessageFact.objects.get(hash=TWO).applied
    registry.running = [("Shop", TWO, START + 100)]  # it was the list that was wrong
    sync()
    assert kinds() == ["new", "cancelled"]


def test_a_list_that_may_be_older_than_a_message_proves_nothing(registry, sync):
    registry.records = [record(ONE), record(TWO, registry.tip - 119, _type="fluxappupdate")]
    registry.running = [("Shop", ONE, START)]
    sync()
    assert kinds() == ["new", "renewal"]


def test_an_underpaid_message_does_not_count(registry, sync):
    registry.records = [record(ONE), record(TWO, START + 10, _type="fluxappupdate", _valueSat=999_999)]
    sync()
    assert kinds() == ["new", "ignored"]


def test_a_changed_catalogue_changes_categories_and_the_days_of_their_payments(registry, sync):
    registry.records = [record(ONE)]
    pay(message_hash=ONE, txid=registry.records[0]["txid"], height=START, at=at(START))
    settle()
    sync()
    ChangedDay.objects.all().delete()
    TrackedApp.objects.create(name="Shop", key="shop", category="gaming", image_patterns=["acme/shop"])
    sync()
    assert MessageFact.objects.get().category == AppLife.objects.get().category == "gaming"
    assert list(ChangedDay.objects.values_list("day", flat=True)) == [at(START).date()]


def test_the_marketplace_and_the_newest_version_are_read_once_a_day(registry, sync, now):
    registry.records = [record(ONE)]
    registry.version = 9
    sync()
    state = MessagesState.load()
    assert (state.templates, state.latest_version) == ({"palworld": "gaming", "n8n": "productivity"}, 9)
    registry.version = 10
    sync()
    assert MessagesState.load().latest_version == 9
    now.shift(timedelta(days=1))
    sync()
    assert MessagesState.load().latest_version == 10


def test_health_says_how_far_messages_are_read_and_the_newest_version(registry, sync, client):
    registry.records = [record(ONE), None]
    nothing = client.get("/api/health").json()["messages"]
    assert nothing == {"readAt": None, "completeAt": None, "latestVersion": None, "leftOut": {}}
    sync()
    assert client.get("/api/health").json()["messages"] == {
        "readAt": "2026-11-20T12:00:00Z",
        "completeAt": "2026-11-20T12:00:00Z",
        "latestVersion": 8,
        "leftOut": {"noObject": 1},
    }
