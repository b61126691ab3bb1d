"""Series of money by source, of accruals, of the fill and of censuses have the figures of their own API."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.test import Client

from deployments.jobs import update_economics
from deployments.models import DailyAccrual, FillDay, MessagesState
from metrics.models import CensusDay
from revenue.models import ChangedDay, Label
from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW, TODAY, nodes

pytestmark = [pytest.mark.django_db, pytest.mark.engine]
CARD, TEAM = "t1Card", "t1Team"
MONEY = ("organic", "card", "team", "accrued", "mrr", "deferred")
FIRST = TODAY - 9 * DAY
CENSUS = {
    "nodes": '{"by_payment_address": {"count": %d}}',
    "facts": '{"concentration": {"countries": {"count": %d}}}',
}


@pytest.fixture(autouse=True)
def network() -> Any:
    """Ten days: a card payment for an app of twenty days, the team's, a stranger's without a price."""
    with time_machine.travel(NOW, tick=False):
        for address, category in ((CARD, "card"), (TEAM, "team")):
            Label.objects.update_or_create(
                subject=address, kind="address", defaults={"category": category, "words": "x"}
            )
        pay("20", at=NOW - 8 * DAY, from_address=CARD)
        pay("3", at=NOW - 3 * DAY, from_address=TEAM)
        pay("1.5", at=NOW - 2 * DAY, from_address="t1Other", price_usd=None)
        settle(NOW)
        MessagesState.objects.update_or_create(id=1, defaults={"complete_at": NOW, "read_at": NOW})
        update_economics(trigger="command")
        DailyAccrual.objects.bulk_create(
            [DailyAccrual(day=FIRST + number * DAY, accrued_sat=10**8 + number, accrued_usd_micro=75_000)
             for number in range(2, 30)],
            update_conflicts=True, unique_fields=["day"], update_fields=["accrued_sat", "accrued_usd_micro"],
        )  # fmt: skip
        DailyAccrual.objects.filter(day=TODAY - 8 * DAY).update(unassigned_sat=0, unassigned_usd_micro=0)
        for number in range(3, 10):
            day = FIRST + number * DAY
            FillDay.objects.create(day=day, read_at=NOW, ordered=30, running=20 + number, expired_running=0)
            CensusDay.objects.create(day=day, **{key: text % (50 + number) for key, text in CENSUS.items()})
        yield


@pytest.fixture
def get(client: Client) -> Any:
    def read(path: str, **query: Any) -> Any:
        answer = client.get(f"/api/{path}", {"start": str(FIRST), "end": str(TODAY), **query})
        assert answer.status_code == 200, answer.content
        return answer.json()

    return read


@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_money_is_what_its_own_answers_say(get: Any, by: str) -> None:
    sources, accrual = (get(f"{path}", by=by)["data"] for path in ("revenue/sources", "economics/accrual"))
    for unit in ("flux", "usd"):
        answer = get("history/series", metrics=",".join(f"{name}_{unit}" for name in MONEY), bucket=by)
        points = {series["key"].removesuffix(f"_{unit}"): series["points"] for series in answer["series"]}
        for name in ("organic", "card", "team"):
            assert points[name] == [row[name][unit] for row in sources], name
        for name in ("accrued", "mrr", "deferred"):
            told = [row[f"{name}_{'sat' if unit == 'flux' else 'usd'}"] for row in accrual]
            scale = 10**8 if unit == "flux" else 1
            assert points[name] == [None if value is None else value / scale for value in told], name
    if by == "day":
        assert points["card"][1] == 1.5
        assert points["organic"][7] is None  # one payment, without a price
        by_key = {series["key"]: series for series in answer["series"]}
        assert by_key["organic_usd"]["partial"] == [str(TODAY - 2 * DAY), str(TODAY)][1:]
        assert points["mrr"][-1] is None


def test_sums_add_up_and_the_days_before_are_those_of_the_same_rows(get: Any) -> None:
    query = {"metrics": "card_flux,accrued_flux,deferred_flux", "start": str(TODAY - 4 * DAY)}
    card, accrued, deferred = get("history/series", cumulative=1, **query)["series"]
    assert card["points"] == [0] * 5
    assert accrued["points"][-1] == 5.00000035
    assert deferred["additive"] is False
    card, accrued, deferred = get("history/series", previous=1, **query)["series"]
    assert card["ghost"]["points"] == [None, 20, 0, 0, 0]  # before the first payment nothing is known
    assert accrued["ghost"]["points"][2] == 1.00000002
    whole = {series["key"]: series["points"] for series in get("history/series", metrics="deferred_flux")["series"]}
    assert deferred["ghost"]["points"][1:] == whole["deferred_flux"][1:5]


def test_states_are_the_last_of_each_bucket(get: Any, django_assert_max_num_queries: Any) -> None:
    nodes(FIRST, [60] * 9, source="simulated")
    keys = "fill_percent,operators,countries"
    by_day = {series["key"]: series for series in get("history/series", metrics=keys)["series"]}
    api = [row["operators"]["by_payment_address"] for row in get("network/decentralisation")["data"]]
    assert by_day["operators"]["points"] == [None] * 3 + [one["count"] for one in api]
    assert by_day["fill_percent"]["points"][-2:] == [93.33, 96.67]
    assert by_day["countries"]["marks"] == []
    weeks = {series["key"]: series["points"] for series in get("history/series", metrics=keys, bucket="week")["series"]}
    assert weeks == {"fill_percent": [80.0, 96.67], "operators": [54, 59], "countries": [54, 59]}
    with django_assert_max_num_queries(22):
        get("history/series", metrics=f"{keys},organic_flux,mrr_usd,deferred_flux,node_total,payments", previous=1)


def test_they_are_listed_and_without_messages_not_known(get: Any, client: Client) -> None:
    listed = {row["key"]: row for row in client.get("/api/history/metrics").json()["metrics"]}
    assert {f"{name}_{unit}" for name in MONEY for unit in ("flux", "usd")} | {
        "fill_percent", "operators", "countries",
    } <= listed.keys()  # fmt: skip
    assert [listed[key]["additive"] for key in ("team_flux", "accrued_usd", "mrr_flux")] == [True, True, False]
    MessagesState.objects.update(complete_at=None)
    ChangedDay.objects.bulk_create(ChangedDay(day=FIRST - number * DAY) for number in range(-9, 40))
    answer = get("history/series", metrics="accrued_flux,deferred_usd,mrr_flux,team_flux", start=str(FIRST - 60 * DAY))
    assert {tuple(series["points"]) for series in answer["series"][:3]} == {(None,) * 70}
    assert answer["series"][3]["points"][-1] is None


def test_the_stamp_changes_with_messages_and_censuses(client: Client) -> None:
    path = "/api/history/series?metrics=operators,mrr_flux"
    tag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    MessagesState.objects.update(version=99)
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 200
