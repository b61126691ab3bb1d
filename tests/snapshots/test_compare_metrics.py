"""GET /api/analytics/comparison: the latest reading against the snapshot of so many days ago."""

from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.money import Pair
from metrics.models import Source, TrackedApp
from tests.snapshots.comparing import APPS, CLOUD, NOW, SPANS, ask, leaves, read, snapshot

pytestmark = [pytest.mark.django_db]
TODAY = NOW.date()


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def ago(days):
    return TODAY - timedelta(days=days)


@pytest.mark.engine
def test_the_worked_example_of_the_contract(client):
    read()
    snapshot(ago(7), node_cumulus=10_200)
    assert ask(client, "W")["nodes"]["cumulus"] == {
        "current": 10_500, "previous": 10_200, "change": 300, "percentage": 2.94, "trend": "up",
    }  # fmt: skip


@pytest.mark.parametrize(("period", "days"), SPANS.items())
@pytest.mark.parametrize("written", [str.upper, str.lower])
def test_each_period_takes_the_snapshot_of_exactly_so_many_days_ago(client, period, days, written):
    read()
    for back in (days - 1, days, days + 1):
        snapshot(ago(back), node_total=back)
    answer = ask(client, written(period))
    assert (answer["period"], answer["days"]) == (period, days)
    assert (answer["currentDate"], answer["comparisonDate"]) == ("2026-11-20", str(ago(days)))
    assert answer["nodes"]["total"]["previous"] == days
    assert (answer["partialData"], answer["message"], answer["nearestDate"]) == (False, None, None)
    assert answer["comparisonSource"] == "taken"


def test_a_year_across_a_leap_day_is_365_days(client, clock):
    now = NOW.replace(year=2028, month=3, day=1)
    clock.move_to(now)
    read(now)
    snapshot(now.date().replace(year=2027, day=2), node_total=7)
    answer = ask(client, "Y")
    assert answer["comparisonDate"] == "2027-03-02"
    assert answer["nodes"]["total"]["previous"] == 7


def test_every_group_of_the_contract_is_there(client):
    read()
    answer = ask(client)
    assert set(answer["nodes"]) == {"total", "cumulus", "nimbus", "stratus"}
    assert set(answer["cloud"]) == {"cpu", "ram", "storage"}
    for resource in answer["cloud"].values():
        assert set(resource) == {"total", "used", "utilization"}
        assert "points" in resource["utilization"]
    assert set(answer["apps"]) == {"total", "watchtower", "gitapps", "dockerapps"}
    assert set(answer["wordpress"]) == {"count"}
    tracked = set(TrackedApp.objects.filter(category="gaming").values_list("key", flat=True))
    assert set(answer["gaming"]) == {"total", *tracked}
    assert {"total", "presearch", "kaspa", "timpi_geocore"} < set(answer["crypto"])


def test_tracked_apps_are_compared_by_their_key(client):
    read()
    snapshot(ago(7), gaming_apps_total=1_000, counts={"gaming_palworld": 400, "crypto_kaspa": 10})
    answer = ask(client)
    assert answer["gaming"]["total"]["change"] == -100
    assert answer["gaming"]["palworld"] == {
        "current": 300, "previous": 400, "change": -100, "percentage": -25.0, "trend": "down",
    }  # fmt: skip
    assert answer["crypto"]["kaspa"]["trend"] == "neutral"
    assert answer["gaming"]["valheim"]["current"] is answer["gaming"]["valheim"]["previous"] is None


def test_an_app_that_is_no_longer_tracked_is_left_out(client):
    read()
    TrackedApp.objects.filter(key="palworld").update(active=False)
    assert "palworld" not in ask(client)["gaming"]


def test_utilisation_has_points_beside_the_percentage(client):
    read()
    snapshot(ago(7), total_cpu_cores=80_000, used_cpu_cores=19_040)
    assert ask(client)["cloud"]["cpu"]["utilization"] == {
        "current": 25.0, "previous": 23.8, "change": 1.2, "percentage": 5.04, "trend": "up", "points": 1.2,
    }  # fmt: skip


def test_sums_of_fractions_show_no_noise(client):
    read(cloud=CLOUD | {"used_ram_gb": 0.1 + 0.2, "total_ram_gb": 0.3})
    snapshot(ago(7), used_ram_gb=0.3, total_ram_gb=0.1)
    ram = ask(client)["cloud"]["ram"]
    assert (ram["used"]["change"], ram["used"]["percentage"], ram["used"]["trend"]) == (0.0, 0.0, "neutral")
    assert ram["total"]["change"] == 0.2


def test_against_nothing_there_is_a_change_but_no_percentage(client):
    read()
    snapshot(ago(7), wordpress_count=0, used_storage_gb=0.0)
    answer = ask(client)
    assert answer["wordpress"]["count"] == {
        "current": 40, "previous": 0, "change": 40, "percentage": None, "trend": "up",
    }  # fmt: skip
    assert answer["cloud"]["storage"]["used"]["trend"] == "neutral"


def test_what_the_snapshot_does_not_know_stays_unknown_and_is_listed(client):
    read()
    snapshot(ago(7), source="backfilled", node_total=13_000)
    answer = ask(client)
    assert (answer["partialData"], answer["message"], answer["comparisonSource"]) == (False, None, "backfilled")
    assert answer["nodes"]["total"]["change"] == 500
    assert answer["missing"] == ["cloud", "apps", "gaming", "crypto", "wordpress"]
    assert answer["apps"]["total"] == {
        "current": 14_000, "previous": None, "change": None, "percentage": None, "trend": None,
    }  # fmt: skip
    assert answer["cloud"]["cpu"]["utilization"]["points"] is None


def test_one_known_number_is_enough_for_a_group_not_to_be_missing(client):
    read()
    snapshot(ago(7), used_ram_gb=1.0, counts={"gaming_palworld": 1})
    assert ask(client)["missing"] == ["nodes", "apps", "crypto", "wordpress"]


@pytest.mark.engine
def test_without_the_snapshot_the_nearest_day_is_named_and_nothing_is_compared(client):
    read()
    for back in (3, 5, 9, 12, 400):
        snapshot(ago(back), node_total=1)
    answer = ask(client)
    assert answer["partialData"] is True
    assert answer["message"] == (
        "There is no snapshot of 2026-11-13; the nearest day that has one is 2026-11-11."  # of two, the earlier
    )
    assert (answer["nearestDate"], answer["comparisonSource"]) == ("2026-11-11", None)
    assert answer["missing"] == ["nodes", "cloud", "apps", "gaming", "crypto", "wordpress"]
    for leaf in leaves(answer):
        assert (leaf["previous"], leaf["change"], leaf["percentage"], leaf["trend"]) == (None, None, None, None)
    assert answer["nodes"]["total"]["current"] == 13_500


@pytest.mark.engine
def test_an_empty_database_knows_nothing_and_says_so(client):
    answer = ask(client)
    assert answer["partialData"] is True
    assert answer["message"] == "There is no snapshot of 2026-11-13, and none of any other day yet."
    assert answer["nearestDate"] is None
    assert (answer["asOf"], answer["stale"]) == (None, True)
    assert all(leaf["current"] is None for leaf in leaves(answer))
    revenue = answer["revenue"]
    for block in (revenue, revenue["toDate"]):
        assert block["flux"] == {"amount": None, "previous": None, "change": None, "trend": None}
        assert block["payments"]["count"] is block["payments"]["previous"] is None


@pytest.mark.parametrize(("age", "stale"), [(119, False), (120, False), (121, True)])
def test_an_old_reading_is_used_and_said_to_be_old(client, age, stale):
    read()
    read_at = NOW - timedelta(minutes=age)
    Source.objects.filter(name="apps").update(read_at=read_at)
    answer = ask(client)
    assert answer["stale"] is stale
    assert answer["asOf"] == read_at.isoformat().replace("+00:00", "Z")
    assert answer["apps"]["total"]["current"] == 14_000


def test_a_source_that_never_answered_makes_the_whole_stale(client):
    read()
    Source.objects.filter(name="cloud").delete()
    answer = ask(client)
    assert (answer["asOf"], answer["stale"]) == (None, True)
    assert answer["cloud"]["cpu"]["total"]["current"] is None
    assert answer["apps"]["total"]["current"] == APPS["total_apps"]


@pytest.mark.parametrize("query", ["", "?period=", "?period=X", "?period=weekly", "?period=DW", "?other=W"])
def test_other_periods_are_refused_with_what_is_allowed(client, query):
    response = client.get(f"/api/analytics/comparison{query}")
    assert response.status_code == 400
    for word in ("D, W, M, Q or Y", "period"):
        assert word in response.json()["error"]


# The arithmetic of a pair

numbers = st.one_of(st.integers(0, 10**9), st.floats(0, 10**9).map(lambda number: round(number, 3)))


@given(current=numbers, previous=numbers)
def test_change_percentage_and_trend_agree(current, previous):
    pair = Pair(current, previous)
    assert Decimal(str(pair.change)) == Decimal(str(current)) - Decimal(str(previous))
    assert pair.trend == ("neutral" if not pair.change else "up" if pair.change > 0 else "down")
    if previous:
        assert pair.percentage == pytest.approx((current - previous) / previous * 100, abs=0.0051, rel=1e-9)
    else:
        assert pair.percentage is None


@given(current=numbers)
def test_nothing_follows_from_an_unknown_side(current):
    for pair in (Pair(current, None), Pair(None, current)):
        assert pair.change is pair.percentage is pair.trend is pair.points is None


def test_a_tiny_loss_is_not_minus_zero():
    assert str(Pair(999_999_999, 1_000_000_000).percentage) == "0.0"
