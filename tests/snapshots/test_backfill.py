"""`backfill_snapshots`: days without a snapshot, from the ledger and the history of node counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.stats import NodePoint
from ops.models import TaskState
from revenue.models import DailyPrice
from snapshots.backfill import by_day
from snapshots.models import Snapshot
from snapshots.take import opening
from tests.factories import pay, settle
from tests.snapshots.network import DAY, at, backfilled, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

URL = "https://stats.runonflux.io/fluxhistorystats"
SAMPLE = Path(__file__).parent.parent / "payloads" / "stats" / "fluxhistorystats.json"


def days_ago(n):
    return DAY - timedelta(days=n)


@pytest.fixture
def stats():
    """The statistics service answers node counts for these instants, and no other source is asked."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:

        def tell(*points, status=200):
            data = {
                str(int(moment.timestamp() * 1000)): {"cumulus": n, "nimbus": 20, "stratus": 10} for moment, n in points
            }
            mocked.remove(responses.GET, URL)
            mocked.get(URL, json={"status": "success", "data": data}, status=status)

        tell((at("00:07", days_ago(2)), 3000))
        yield tell


@pytest.fixture
def fill(in_process, stats):
    """Runs backfill_snapshots; answers its report."""

    def run(*words):
        outcome = in_process("backfill_snapshots", "--json", *words)
        assert outcome.code == 0, outcome.err
        return outcome.report

    return run


def earned(*days):
    for n in days:
        pay("10", at=at("12:00", days_ago(n)), height=1000 + n)
    settle(completed_at=at("00:08"))


@pytest.mark.engine
def test_it_makes_the_days_that_the_ledger_knows(fill):
    earned(5)
    report = fill("--days", "10")
    assert report == {
        "created": 5, "updated": 0, "skipped": 0, "unknown": 5, "from": "2026-11-10", "to": "2026-11-19",
    }  # fmt: skip
    assert list(Snapshot.objects.values_list("day", flat=True)) == [days_ago(n) for n in range(1, 6)]
    assert set(Snapshot.objects.values_list("source", flat=True)) == {"backfilled"}


def test_what_nobody_measured_stays_null(fill):
    earned(1)
    fill()
    row = Snapshot.objects.get(day=days_ago(1))
    unknown = ("node_total", "total_apps", "total_cpu_cores", "gaming_apps_total", "flux_price_usd", "read_at")
    assert [getattr(row, name) for name in unknown] == [None] * len(unknown)
    assert row.counts == {}


def test_node_counts_make_days_that_the_ledger_does_not_know(fill):
    assert fill("--days", "3")["created"] == 1
    row = Snapshot.objects.get()
    assert (row.day, row.node_cumulus, row.node_nimbus, row.node_stratus, row.node_total) == (
        days_ago(2), 3000, 20, 10, 3030,
    )  # fmt: skip
    assert row.read_at == at("00:07", days_ago(2))


def test_the_price_is_that_of_the_day(fill):
    earned(2)
    DailyPrice.objects.create(day=days_ago(2), price_usd=Decimal("0.08"))
    DailyPrice.objects.create(day=days_ago(1), price_usd=None)
    fill()
    prices = dict(Snapshot.objects.values_list("day", "flux_price_usd"))
    assert prices == {days_ago(2): Decimal("0.08"), days_ago(1): None}


def test_today_is_left_to_the_check(fill, stats):
    stats((at("00:07"), 3000))
    earned(1)
    fill()
    assert not Snapshot.objects.filter(day=DAY).exists()


def test_days_after_the_last_completed_sync_are_unknown(fill):
    pay("10", at=at("12:00", days_ago(6)))
    settle(completed_at=at("12:30", days_ago(4)))
    assert (fill("--days", "6")["created"], Snapshot.objects.filter(day=days_ago(3)).exists()) == (4, False)


@pytest.mark.engine
def test_again_it_changes_nothing(fill):
    earned(5)
    fill()
    before = list(Snapshot.objects.values())
    assert fill("--days", "5") == {
        "created": 0, "updated": 0, "skipped": 5, "unknown": 0, "from": "2026-11-15", "to": "2026-11-19",
    }  # fmt: skip
    assert list(Snapshot.objects.values()) == before


def test_a_backfilled_day_gets_what_was_not_known_before(fill):
    backfilled(days_ago(2))
    backfilled(days_ago(3))
    DailyPrice.objects.create(day=days_ago(3), price_usd=Decimal("0.08"))
    report = fill("--days", "3")
    assert [report[key] for key in ("created", "updated", "skipped")] == [0, 2, 0]
    assert Snapshot.objects.get(day=days_ago(2)).node_total == 3030
    assert Snapshot.objects.get(day=days_ago(3)).flux_price_usd == Decimal("0.08")
    assert set(Snapshot.objects.values_list("made_at", flat=True)) == {at("00:10")}


@pytest.mark.engine
def test_by_force_backfilled_days_are_made_anew_with_fresh_values(fill, stats):
    earned(2)
    fill("--days", "2")
    stats((at("00:07", days_ago(2)), 4000))
    DailyPrice.objects.create(day=days_ago(2), price_usd=Decimal("0.09"))
    report = fill("--days", "2", "--force")
    assert (report["created"], report["skipped"]) == (2, 0)
    row = Snapshot.objects.get(day=days_ago(2))
    assert (row.node_total, row.flux_price_usd) == (4030, Decimal("0.09"))


def test_force_loses_no_node_counts_that_the_history_has_forgotten(fill):
    backfilled(days_ago(5), node_total=77, node_cumulus=70, node_nimbus=5, node_stratus=2)
    fill("--force")
    assert Snapshot.objects.get(day=days_ago(5)).node_total == 77


@pytest.mark.parametrize("source", ["taken", "import", "simulated"])
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["plain", "force"])
def test_days_of_other_sources_are_never_touched(fill, source, force):
    snapshot(days_ago(2), source=source, node_total=None)
    before = list(Snapshot.objects.values())
    assert fill("--days", "2", *force)["skipped"] == 1
    assert list(Snapshot.objects.values()) == before


def test_without_node_counts_the_ledgers_days_are_made_all_the_same_and_it_fails(in_process, stats):
    earned(3)
    stats(status=500)
    outcome = in_process("backfill_snapshots", "--json")
    assert outcome.code == 1
    assert "stats.runonflux.io" in outcome.reason
    assert Snapshot.objects.count() == 3
    assert TaskState.objects.get(name="backfill_snapshots").consecutive_failures == 1


@pytest.mark.parametrize("days", ["0", "3651", "x", "-1"])
def test_days_out_of_range_are_wrong_usage(in_process, days):
    assert in_process("backfill_snapshots", f"--days={days}").code != 0
    assert Snapshot.objects.count() == 0


@pytest.mark.engine
def test_ten_years_are_one_transaction_of_bulk_inserts(fill, stats, django_assert_max_num_queries):
    earned(3650)
    with django_assert_max_num_queries(130):  # SQLite takes 39 rows a statement
        assert fill("--days", "3650")["created"] == 3650


@pytest.mark.warm
def test_comparisons_are_told_when_something_was_made(fill, monkeypatch):
    told = []
    monkeypatch.setattr("ops.registry.on_change.functions", [lambda: told.append(Snapshot.objects.count())])
    earned(2)
    fill()
    fill()
    assert told == [2]


def test_a_real_answer_of_the_service_is_read(fill, stats, clock):
    answer = json.loads(SAMPLE.read_text())
    clock.move_to(datetime(2026, 10, 1, 12, tzinfo=UTC))
    with responses.RequestsMock() as mocked:
        mocked.get(URL, json=answer)
        fill("--days", "40")
    totals = dict(Snapshot.objects.values_list("day", "node_total"))
    found = {str(day): total for day, total in totals.items()}
    assert found == {"2026-08-31": 6461, "2026-09-01": 6439, "2026-09-30": 6729}


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ({"23:52": 3000, "00:07": 1500, "00:22": 3010, "00:36": 3000}, 3010),  # a half point between two whole ones
        ({"23:52": 3000, "00:07": 3005, "00:22": 1500}, 3005),  # confirmed by the one before
        ({"23:52": 3000, "00:07": 1500, "00:22": 1510}, 1500),  # a real fall
        ({"23:52": 3000, "00:07": 6200, "00:22": 3010, "00:36": 3000}, 3010),
        ({"00:02": 3000, "00:07": 1500, "00:22": 800}, 1500),  # none is confirmed
        ({"00:07": 1500}, 1500),
    ],
)
def test_a_point_that_no_neighbour_confirms_is_not_the_days(fill, stats, points, expected):
    day, before = days_ago(2), days_ago(3)
    stats(*((at(time, before if time > "12" else day), count) for time, count in points.items()))
    fill("--days", "2")
    assert Snapshot.objects.get(day=day).node_cumulus == expected


def every_quarter(day, odd, spoil):
    """A day's 96 points; `odd` of them, counted from 00:00, are spoiled."""
    whole = (3378, 1582, 1764)
    times = [at("00:00", day) + timedelta(minutes=15 * n) for n in range(96)]
    return [NodePoint(time, *(spoil(*whole) if n in odd else whole)) for n, time in enumerate(times)]


@pytest.mark.parametrize(
    "spoil",
    [lambda *found: (*found[:2], 0), lambda *found: [n // 3 for n in found], lambda *found: [n * 2 for n in found]],
)
@pytest.mark.parametrize(("odd", "minutes"), [(range(4), 60), (range(1, 4), 60), (range(40), 600), (range(8, 40), 15)])
def test_points_that_the_others_of_the_day_contradict_are_not_the_days(odd, spoil, minutes):
    """They confirm one another, and the other 90 of the day do not."""
    day = days_ago(2)
    chosen = by_day(every_quarter(day, odd, spoil))[day]
    assert (chosen.at, chosen.total) == (at("00:00", day) + timedelta(minutes=minutes), 6724)


moments = st.datetimes(datetime(2026, 10, 1), datetime(2026, 10, 4), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(moments, unique=True))
def test_a_days_point_is_the_first_after_five_past_midnight_or_else_the_first(times):
    points = [NodePoint(time, n, 0, 0) for n, time in enumerate(sorted(times), start=1000)]
    chosen = by_day(points)
    assert set(chosen) == {point.at.date() for point in points}
    for day, point in chosen.items():
        same = [other for other in points if other.at.date() == day]
        late = [other for other in same if other.at >= opening(day)]
        assert point == (late or same)[0]
