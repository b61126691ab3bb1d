"""What the API says of apps, owners, kinds of messages and cohorts."""

from datetime import timedelta

import pytest
import time_machine

from deployments import jobs
from deployments.cohorts import Member, median_life
from deployments.customers import Concentration, concentration
from deployments.models import AppLife
from metrics.models import RunningApp, Source
from revenue.jobs import prune
from revenue.models import App, ChangedDay, Payment, PrunedPayment
from tests.deployments.messages import MONTH, OWNER, START, STRANGER, at, record
from tests.factories import NOON, digest, pay, settle

pytestmark = pytest.mark.django_db
ONE, TWO, THREE = digest("one"), digest("two"), digest("three")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def now():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def get(client):
    def read(path, status=200, **query):
        response = client.get(f"/api/{path}", query)
        assert response.status_code == status, response.content
        return response.json()

    return read


@pytest.fixture
def shop(registry, sync):
    """A shop that was paid for twice, and a stranger who wanted its name."""
    registry.tip = START + MONTH
    registry.records = [
        record(ONE), record(TWO, START + 600, _type="fluxappupdate"), record(THREE, START + 700, owner=STRANGER),
    ]  # fmt: skip
    for message, height, flux in ((ONE, START, "10"), (TWO, START + 600, "5"), (THREE, START + 700, "1")):
        txid = next(row["txid"] for row in registry.records if row["hash"] == message)
        pay(flux, app="Shop", message_hash=message, txid=txid, height=height, at=at(height))
    settle(tip=registry.tip)
    sync()


@pytest.mark.parametrize("name", ["Shop", "SHOP", "shop"])
def test_an_app_is_found_in_any_case(shop, get, name):
    answer = get(f"apps/{name}")
    assert (answer["name"], answer["owner"], answer["state"], answer["category"]) == ("Shop", OWNER, "running", "other")
    assert answer["registered"] == "2026-08-28T12:00:00Z"
    assert answer["end"]["height"] == START + 600 + MONTH
    assert answer["instances"] == {"ordered": 3, "running": None}
    assert answer["image"] == "acme/shop"
    assert {key: answer["payments"][key] for key in ("count", "flux", "flux_sat", "usdMissing")} == {
        "count": 3, "flux": 16, "flux_sat": 1_600_000_000, "usdMissing": 0,
    }  # fmt: skip
    assert [(row["kind"], row["flux"], row["applied"], row["end_height"]) for row in answer["life"]] == [
        ("new", 10, True, START + MONTH),
        ("renewal", 5, True, START + 600 + MONTH),
        ("ignored", 1, False, START + 600 + MONTH),
    ]
    assert answer["life"][0]["hash"] == ONE
    assert answer["coverage"]["messages"] == 3
    assert answer["asOf"] == "2026-11-20T12:00:00Z"


def test_payments_that_are_pruned_still_count(shop, get, registry):
    PrunedPayment.objects.create(
        txid=registry.records[0]["txid"], day=at(START).date(), paid_at=at(START) - DAY, height=START - 1, kind="app",
        message_hash=ONE, amount_sat=10**8, payments=1,
    )  # fmt: skip
    payments = get("apps/shop")["payments"]
    assert (payments["count"], payments["flux"], payments["usdMissing"], payments["first"]) == (
        4, 17, 1, "2026-08-27T12:00:00Z",
    )  # fmt: skip


def test_pruned_payments_without_a_message_are_in_the_apps_totals_and_what_nobody_kept_is_said(db, get, settings):
    """Three days: one was pruned before senders were kept, one with them, one is not pruned."""
    settings.RETENTION_DAYS = 30
    for back, flux in ((60, "5"), (50, "2"), (1, "3")):
        pay(flux, app="Ghost", from_address="t1Ghost", at=NOON - back * DAY)
    settle()
    jobs.update_economics(trigger="command")
    prune(trigger="command")
    PrunedPayment.objects.filter(day=(NOON - 60 * DAY).date()).delete()
    ChangedDay.mark([(NOON - 60 * DAY).date()])
    jobs.update_economics(trigger="command")
    ledger_says = "An earlier release pruned 1 payment of 1 day without keeping senders"
    answer = get("apps/ghost")
    assert (answer["payments"]["count"], answer["payments"]["flux"]) == (2, 5)
    assert answer["payments"]["first"] == "2026-11-19T12:00:00Z"  # a pruned day without a message tells no time
    assert answer["notes"]["payments"].startswith(ledger_says)
    payer = get("payers/t1Ghost")
    assert (payer["totals"]["flux"], payer["coverage"]["kept_percent"]) == (5, 50)
    assert payer["notes"]["totals"].startswith(ledger_says)
    assert ledger_says in get("payers/t1Nobody", 404)["error"]
    Payment.objects.all().delete()
    App.objects.update(payments=0)
    assert get("apps/GHOST")["payments"]["flux"] == 2


def test_running_instances_are_those_of_the_census(shop, get):
    Source.objects.create(name=Source.Census.LOCATIONS, read_at=NOON)
    assert get("apps/shop")["instances"]["running"] == 0
    RunningApp.objects.create(app_key="shop", name="Shop", instances=2, hashes={})
    assert get("apps/shop")["instances"]["running"] == 2


def test_an_app_that_nobody_names_is_not_found_and_those_like_it_are_told(shop, get):
    assert "Shop" in get("apps/shap", 404)["error"]
    assert "closest" not in get("apps/zzz", 404)["error"]


def test_an_app_that_only_payments_name_is_unknown_but_there(db, get):
    pay("3", app="Ghost")
    settle()
    answer = get("apps/ghost")
    assert (answer["name"], answer["state"], answer["payments"]["flux"], answer["life"]) == ("Ghost", "unknown", 3, [])
    assert "life" in answer["notes"]


@pytest.mark.parametrize(
    ("update", "tip", "state"),
    [
        ({}, START + 600 + MONTH, "running"),  # alive in its end block
        ({}, START + 601 + MONTH, "expired"),
        ({"expire": 1}, START + 700, "cancelled"),
        ({"expire": "soon"}, START + 700, "unknown"),
    ],
)
def test_an_app_stands_by_its_last_message_that_counts(registry, sync, get, update, tip, state):
    registry.tip = tip
    registry.records = [record(ONE), record(TWO, START + 600, _type="fluxappupdate", **update)]
    sync()
    answer = get("apps/shop")
    assert answer["state"] == state
    assert ("end" in answer["notes"]) == (state == "unknown")


def test_an_owner_has_its_apps_and_what_was_paid_for_them(shop, get):
    answer = get(f"owners/{OWNER}")
    assert [(row["name"], row["payments"], row["flux"]) for row in answer["apps"]] == [("Shop", 2, 15)]
    assert (answer["totals"]["payments"], answer["totals"]["flux"], answer["total"]) == (2, 15, 1)
    assert (answer["first"], answer["last"]) == ("2026-08-28T12:00:00Z", "2026-08-28T17:00:00Z")
    assert get(f"owners/{STRANGER}")["totals"]["flux"] == 1
    assert get(f"owners/{OWNER}", page=2)["apps"] == []
    get("owners/nobody", 404)
    get(f"owners/{OWNER}", 400, wrong=1)


def test_kinds_are_counted_by_day_with_what_was_paid(shop, get):
    answer = get("economics/kinds", start="2026-08-27", end="2026-08-28")
    before, day = answer["data"]
    assert (before["date"], before["new"]["count"], before["new"]["flux"], before["new"]["usd"]) == (
        "2026-08-27",
        0,
        0,
        0,
    )
    assert (day["new"]["count"], day["new"]["flux"], day["renewal"]["flux"], day["change"]["count"]) == (1, 10, 5, 0)
    assert day["lost"] == {"count": 0}
    assert "ignored" not in day
    [month] = get("economics/kinds", start="2026-08-01", end="2026-08-31", by="month")["data"]
    assert (month["date"], month["new"]["count"], month["renewal"]["count"]) == ("2026-08-01", 1, 1)


def lost(get, **query):
    return [row["lost"]["count"] for row in get("economics/kinds", **query)["data"]]


def test_losses_are_unknown_until_a_day_is_a_week_old(shop, get, now):
    """It is noon: of the 13th the losses before noon are decided."""
    query = {"start": "2026-11-12", "end": "2026-11-15"}
    assert lost(get, **query) == [0, 0, None, None]
    assert lost(get, **query, by="month") == lost(get, start="2026-11-13", end="2026-11-13") == [0]
    answer = get("economics/kinds", **query)
    assert (answer["data"][3]["new"]["count"], list(answer["notes"])) == (0, ["lost"])
    assert "2026-11-13" in answer["notes"]["lost"]
    assert list(get("economics/kinds", start="2026-11-13", end="2026-11-13")["notes"]) == ["lost"]
    assert get("economics/kinds", start="2026-11-11", end="2026-11-12")["notes"] == {}
    now.move_to(NOON + 10 * DAY)  # no sync looks meanwhile
    assert lost(get, **query) == [0, 0, None, None]


def test_days_to_come_are_unknown(shop, get):
    query = {"start": "2026-11-20", "end": "2026-12-02"}
    answer = get("economics/kinds", **query)
    nothing = {"count": None, "flux": None, "flux_sat": None, "usd": None, "usdMissing": 0}
    today, tomorrow = answer["data"][:2]
    assert (today["new"]["count"], today["new"]["flux"], today["lost"]) == (0, 0, {"count": None})
    assert tomorrow == {"date": "2026-11-21"} | dict.fromkeys(
        ("new", "reregistered", "won_back", "renewal", "change", "shortened", "cancelled"), nothing
    ) | {"lost": {"count": None}}
    assert sorted(answer["notes"]) == ["data", "lost"]
    november, december = get("economics/kinds", **query, by="month")["data"]
    assert (november["new"]["count"], december["new"]["count"]) == (0, None)


def test_before_messages_are_read_nothing_is_known(db, get):
    answer = get("economics/kinds")
    assert (answer["data"][0]["new"]["count"], list(answer["notes"])) == (None, ["data"])
    answer = get("economics/cohorts")
    assert (answer["cohorts"], answer["medianLifeDays"], answer["asOf"]) == ([], None, None)
    assert "cohorts" in answer["notes"]


@pytest.mark.parametrize("between", [[], [record(TWO, START + 60_000, _type="fluxappupdate", _valueSat=500_000)]])
def test_who_comes_back_after_a_loss_did_not_renew(registry, sync, get, between):
    """Also where a message that is ignored lies between: it paid too little."""
    registry.tip = START + 3 * MONTH
    back = record(THREE, START + 80_000, _type="fluxappupdate", expire=20_000)
    registry.records = [record(ONE, expire=20_000), *between, back]
    sync()
    assert [event["kind"] for event in get("apps/shop")["life"] if event["applied"]] == [
        "new", "lost", "won_back", "lost"
    ]  # fmt: skip
    (cohort,) = get("economics/cohorts")["cohorts"]
    assert (cohort["renewed"], cohort["lost"], cohort["renewal_rate"]) == (0, 2, 0)


def test_cohorts_tell_who_stays_and_who_renews(registry, sync, get):
    registry.tip = START + 3 * MONTH
    registry.records = [
        record(ONE), record(TWO, START + MONTH - 10, _type="fluxappupdate", expire=3 * MONTH),
        record(THREE, name="Week", expire=20_160),
    ]  # fmt: skip
    sync()
    answer = get("economics/cohorts")
    [cohort] = answer["cohorts"]
    assert (cohort["month"], cohort["apps"], cohort["renewed"], cohort["lost"]) == ("2026-08", 2, 1, 1)
    assert cohort["renewal_rate"] == 50
    assert cohort["survived"] == {"d30": 50, "d90": None, "d180": None, "d365": None}
    assert answer["medianLifeDays"] == 7
    [weekly] = get("economics/cohorts", plan="weekly")["cohorts"]
    assert (weekly["apps"], weekly["survived"]["d30"], weekly["renewal_rate"]) == (1, 0, 0)
    longer = get("economics/cohorts", plan="longer")
    assert (longer["cohorts"][0]["apps"], longer["medianLifeDays"]) == (1, None)
    assert "medianLifeDays" in longer["notes"]
    get("economics/cohorts", 400, plan="daily")


def test_owners_who_pay_are_new_or_returning(registry, sync, get, now):
    registry.tip = START + 4000
    registry.records = [record(ONE), record(TWO, START + 3900, _type="fluxappupdate")]
    registry.records.append(record(THREE, START + 3950, name="B", owner=STRANGER))
    for row, ago in zip(registry.records, (40 * DAY, 2 * DAY, DAY), strict=True):
        pay("10", message_hash=row["hash"], txid=row["txid"], height=row["height"], at=NOON - ago)
    settle(tip=registry.tip)
    sync()
    answer = get("economics/cohorts")
    assert answer["owners"] == {"paying": 2, "new": 1, "returning": 1}
    assert answer["concentration"] == {"top10_percent": 100, "apps_for_80_percent": 2}
    assert answer["netRetention"] > 100
    assert AppLife.objects.count() == 2


def member(days, gone=True):
    return Member(False, NOON, NOON + days * DAY, gone)


def test_the_median_life_counts_those_who_are_still_there_as_long_as_they_were_seen():
    assert median_life([member(10), member(20), member(30)]) == 20
    assert median_life([member(10), member(20, gone=False), member(30), member(40)]) == 30
    assert median_life([member(10), member(20, gone=False), member(30, gone=False)]) is None
    assert median_life([]) is None


def test_concentration_counts_the_largest():
    assert concentration([1] * 20) == Concentration(50, 16, 20)
    assert concentration([80, 10, 10]) == Concentration(100, 1, 100)
    assert concentration([]) == Concentration(None, None)
