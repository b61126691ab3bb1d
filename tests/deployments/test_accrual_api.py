from datetime import timedelta

import pytest
import time_machine

from deployments.accrual import apply_difference, balance, is_assigned, recompute_cash
from deployments.app_lives import Event, Kind
from deployments.models import AppEvent, AppLife, DailyAccrual, MessagesState
from deployments.price_and_volume import Missing, Parts
from deployments.rebuild_lives import added_s
from deployments.run_rate import price_volume
from fluxtracker.periods import Span
from revenue.models import ChangedDay, DailyTotal
from tests.factories import NOON, digest, pay, settle

pytestmark = [pytest.mark.django_db, pytest.mark.engine]
DAY = timedelta(days=1)
TODAY = NOON.date()
FLUX = 10**8


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False):
        yield


def read(client, path, **query):
    response = client.get(f"/api/economics/{path}", query)
    assert response.status_code == 200, response.content
    return response.json()


def event(kind, at, end, flux, *, life=1, instances=3, previous_end=None, usd=0.1):
    """One that was paid for with so many FLUX, each worth ten cents."""
    sat, usd_micro = int(flux * FLUX), int(flux * usd * 10**6)
    paid = int(bool(flux))
    return Event(
        Kind(kind), life, digest(kind, at), digest("tx", kind, at), "owner", instances, 1, at, None, end, previous_end,
        paid, sat, usd_micro, paid,
    )  # fmt: skip


def app(name, *events):
    """Write the life of an app as a rebuild does, and the payments that its events carry."""
    left, last = balance(events), events[-1]
    row = AppLife.objects.create(
        app_key=name,
        name=name,
        category="other",
        registered_at=events[0].at,
        end_at=last.end_at,
        **({"balance_sat": left.sat, "balance_usd_micro": left.usd_micro, "balance_at": left.at} if left else {}),
    )
    for position, one in enumerate(events, 1):
        columns = {name: getattr(one, name) for name in Event.__slots__} | {"added_s": added_s(one)}
        AppEvent.objects.create(app=row, position=position, day=one.at.date(), **columns)
        if one.payments:
            pay(str(one.revenue_sat / FLUX), at=one.at, price_usd="0.1", usd_micro=one.usd_micro)
    apply_difference([], [events])


def synced(now=NOON):
    """Say that all is read up to now."""
    settle(now)
    recompute_cash(set(DailyTotal.objects.values_list("day", flat=True)))
    ChangedDay.objects.all().delete()
    MessagesState.objects.update_or_create(id=1, defaults={"complete_at": now, "version": 1})


def assert_adds_up(answer):
    check = answer["check"]
    parts = ("accrued_sat", "breakage_sat", "deferred_sat", "unassigned_sat")
    assert check["cash_sat"] == sum(check[part] for part in parts)


def test_each_day_has_its_cash_what_it_earned_and_what_is_left_at_its_end(client):
    app("a", event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4))
    pay("1", at=NOON - DAY)
    synced()

    answer = read(client, "accrual", start=str(TODAY - 3 * DAY), end=str(TODAY))

    columns = ("date", "cash_sat", "accrued_sat", "breakage_sat", "unassigned_sat", "deferred_sat")
    assert [[row[name] for name in columns] for row in answer["data"]] == [
        ["2026-11-17", 0, 0, 0, 0, 0],
        ["2026-11-18", 4 * FLUX, FLUX // 2, 0, 0, 350_000_000],
        ["2026-11-19", FLUX, FLUX, 0, FLUX, 250_000_000],
        ["2026-11-20", 0, FLUX, 0, 0, 150_000_000],
    ]
    assert answer["data"][1]["cash_usd"] == 0.4
    assert answer["data"][1]["accrued_usd"] == 0.05
    assert answer["data"][1]["deferred_usd"] == 0.35
    assert answer["check"] == {
        "cash_sat": 5 * FLUX,
        "accrued_sat": 250_000_000,
        "breakage_sat": 0,
        "deferred_sat": 150_000_000,
        "unassigned_sat": FLUX,
    }
    assert answer["coverage"]["assigned_percent"] == 80.0
    assert answer["asOf"] == "2026-11-20T12:00:00Z"
    assert set(answer["notes"]) == {"data.mrr"}
    assert [row["mrr_sat"] for row in answer["data"]] == [0, 1_521_875_000, 3_043_750_000, None]


def test_longer_rows_add_up_flows_and_end_with_what_is_left(client):
    app("a", event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4))
    synced()

    (row,) = read(client, "accrual", start=str(TODAY - 4 * DAY), end=str(TODAY), by="week")["data"]

    assert row["date"] == "2026-11-16"
    assert (row["cash_sat"], row["accrued_sat"], row["deferred_sat"]) == (4 * FLUX, 250_000_000, 150_000_000)


def test_what_was_left_before_the_range_is_in_its_first_row(client):
    app("a", event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4))
    synced()

    (row,) = read(client, "accrual", start=str(TODAY), end=str(TODAY))["data"]

    assert (row["cash_sat"], row["deferred_sat"]) == (0, 150_000_000)


def test_the_run_rate_is_a_month_of_the_last_complete_day(client):
    app("a", event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4))
    synced()

    mrr = read(client, "accrual")["mrr"]

    assert mrr == {"flux": 30.4375, "flux_sat": 3_043_750_000, "usd": 3.04375}


def test_a_cancelled_app_leaves_something_over(client):
    app(
        "a",
        event("new", NOON - 3 * DAY, NOON + DAY, 4),
        event("cancelled", NOON - DAY, NOON - DAY + timedelta(hours=1), 0.01),
    )
    synced()

    answer = read(client, "accrual")

    assert answer["check"]["breakage_sat"] == 2 * FLUX + FLUX // 100
    assert answer["check"]["deferred_sat"] == 0
    assert_adds_up(answer)


def test_an_app_whose_end_is_not_known_keeps_its_payments_unassigned(client):
    app("a", event("new", NOON - DAY, None, 4))
    synced()

    answer = read(client, "accrual")

    assert answer["check"]["unassigned_sat"] == 4 * FLUX
    assert answer["coverage"] == {
        "assigned_percent": 0.0,
        "unknownTerm_sat": 4 * FLUX,
        "endsUnknown": 1,
        "waitingDays": 0,
    }


def test_payments_that_wait_for_the_next_update_count_as_unassigned_meanwhile(client):
    app("a", event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4))
    synced()
    pay("7", at=NOON - DAY)
    settle(NOON)
    ChangedDay.mark([TODAY - DAY])

    answer = read(client, "accrual")

    assert answer["check"]["unassigned_sat"] == 7 * FLUX
    assert set(answer["notes"]) == {"unassigned", "data.mrr"}
    assert_adds_up(answer)


def test_before_the_messages_are_read_nothing_is_known_to_be_earned(client):
    pay("7", at=NOON - DAY)
    settle(NOON)
    recompute_cash([TODAY - DAY])

    answer = read(client, "accrual")

    row = answer["data"][-2]
    assert (row["cash_sat"], row["accrued_sat"], row["deferred_sat"]) == (7 * FLUX, None, None)
    assert answer["mrr"] == {"flux": None, "flux_sat": None, "usd": None}
    assert set(answer["notes"]) == {"accrued", "breakage", "deferred", "unassigned", "mrr"}
    assert_adds_up(answer)


def test_an_empty_ledger_knows_no_cash_and_no_run_rate(client):
    MessagesState.objects.create(id=1, complete_at=NOON)

    answer = read(client, "accrual")

    assert {row["cash_sat"] for row in answer["data"]} == {None}
    assert set(answer["notes"]) == {"cash", "mrr", "data.mrr"}
    assert answer["coverage"]["assigned_percent"] is None
    assert set(answer["check"].values()) == {0}


def test_without_prices_there_are_no_dollars(client):
    events = event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4, usd=0)
    app("a", events)
    DailyTotal.objects.all().delete()
    synced()

    answer = read(client, "accrual")

    assert answer["mrr"]["usd"] is None
    assert "usd" in answer["notes"]


@pytest.mark.parametrize("query", [{"by": "hour"}, {"start": "2026-11-21"}, {"days": "3"}])
def test_a_wrong_query_is_refused(client, query):
    assert client.get("/api/economics/accrual", query).status_code == 400


def test_an_answer_that_did_not_change_is_not_sent_again(client):
    synced()
    etag = client.get("/api/economics/accrual")["ETag"]

    assert client.get("/api/economics/accrual", headers={"If-None-Match": etag}).status_code == 304
    MessagesState.objects.update(version=2)
    assert client.get("/api/economics/accrual", headers={"If-None-Match": etag}).status_code == 200


def test_the_forecast_is_what_is_already_paid_and_when_it_ends(client):
    app("a", event("new", NOON - 2 * DAY, NOON + 2 * DAY, 4))
    app("b", event("new", NOON, NOON + 2 * DAY, 2))
    app("gone", event("new", NOON - 9 * DAY, NOON - 2 * DAY, 2))
    synced()

    answer = read(client, "forecast")

    assert [(row["date"], row["accrued"], row["ending"]) for row in answer["data"]] == [
        ("2026-11-21", 2.0, {"apps": 0, "flux": 0.0, "flux_sat": 0, "usd": 0.0}),
        ("2026-11-22", 1.0, {"apps": 2, "flux": 4.0, "flux_sat": 4 * FLUX, "usd": 0.4}),
    ]
    assert answer["deferred"] == {"flux": 3.0, "flux_sat": 3 * FLUX, "usd": 0.3}
    assert read(client, "accrual")["check"]["deferred_sat"] == sum(row["accrued_sat"] for row in answer["data"])


def test_apps_that_end_later_today_are_told_apart(client):
    app("a", event("new", NOON - DAY, NOON + DAY / 4, 5))
    synced()

    answer = read(client, "forecast")

    assert answer["data"] == []
    assert answer["endingToday"]["apps"] == 1
    assert answer["endingToday"]["flux"] == 1.0


def test_what_lies_beyond_the_last_row_is_counted(client):
    app("a", event("new", NOON, NOON + 4_000 * DAY, 4_000))
    synced()

    answer = read(client, "forecast")

    assert len(answer["data"]) == 3_660
    assert answer["coverage"]["laterApps"] == 1
    shown = sum(row["accrued_sat"] for row in answer["data"])
    assert shown + answer["coverage"]["later_sat"] == answer["deferred"]["flux_sat"]


def test_nothing_paid_is_an_empty_forecast(client):
    answer = read(client, "forecast")

    assert answer["data"] == []
    assert answer["deferred"]["flux_sat"] is None
    assert set(answer["notes"]) == {"data", "deferred", "endingToday"}


def spans():
    return Span(TODAY, TODAY), Span(TODAY - 2 * DAY, TODAY - DAY)


MONTH = timedelta(days=365.25 / 12)


def test_a_change_of_revenue_is_split_into_its_causes():
    app("a", event("new", NOON - DAY, NOON - DAY + MONTH, 4))
    app("b", event("new", NOON, NOON + 2 * MONTH, 8))
    pay("1", at=NOON)
    synced()

    found = price_volume(*spans())

    assert found.change_sat == 5 * FLUX
    assert found.parts == Parts(0, 4 * FLUX, 0)
    assert found.uncovered_sat == FLUX
    assert (found.instance_months, found.instance_months_before) == (6.0, 3.0)
    assert found.usd_per_instance_month == pytest.approx(0.4 / 3)
    assert found.covered_percent == 92.31


def test_a_renewal_sells_only_the_time_that_it_adds():
    first = event("new", NOON - DAY, NOON + MONTH, 4)
    app("a", first, event("renewal", NOON, NOON + 2 * MONTH, 4, previous_end=NOON + MONTH))
    synced()

    assert price_volume(*spans()).instance_months == 3.0


def test_what_has_no_price_no_instances_or_no_term_is_not_covered():
    app("a", event("new", NOON, NOON + MONTH, 4, instances=None))
    app("b", event("new", NOON, None, 4))
    synced()

    found = price_volume(*spans())

    assert (found.parts, found.missing) == (None, Missing.REVENUE)
    assert found.uncovered_sat == found.change_sat == 8 * FLUX
    assert found.covered_percent == 0.0


def test_the_cause_of_an_unknown_change_is_unknown():
    found = price_volume(*spans())

    assert (found.change_sat, found.parts, found.uncovered_sat, found.covered_percent) == (None, None, None, None)


def test_only_payments_for_a_known_term_are_assigned():
    assert is_assigned(event("new", NOON, NOON, 1))
    assert not is_assigned(event("ignored", NOON, NOON, 1))
    assert not is_assigned(event("new", NOON, None, 1))
    assert not DailyAccrual.objects.exists()
