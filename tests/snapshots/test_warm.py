"""Comparisons made ahead: what they cost, when they are made again, and that they show their real age."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from fluxtracker import __version__
from metrics.models import TrackedApp
from ops.registry import changed
from revenue.models import LedgerState, Payment
from snapshots.comparison import cache
from snapshots.comparison.cache import keep_warm
from snapshots.models import Snapshot, WarmComparison
from tests.factories import pay, settle
from tests.snapshots.comparing import NOW, SPANS, ask, read, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.warm]
PATH = "/api/analytics/comparison"


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def network(clock):
    """Readings, snapshots and payments for all five."""
    read()
    for days in SPANS.values():
        snapshot(NOW.date() - timedelta(days=days), node_total=days)
        pay(str(days), at=NOW - timedelta(days=days, hours=1))
    settle(completed_at=NOW - timedelta(minutes=1))


def statements(queries):
    """Without BEGIN, COMMIT, savepoints and settings of a transaction."""
    words = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ")
    return [query["sql"] for query in queries if not query["sql"].startswith(words)]


def made():
    return dict(WarmComparison.objects.values_list("period", "made_at"))


# What it costs


@pytest.mark.engine
def test_a_warm_comparison_costs_two_small_queries(client):
    keep_warm()
    for period in SPANS:
        with CaptureQueriesContext(connection) as queries:
            response = client.get(PATH, {"period": period})
        assert len(queries) == 2
        assert response.json()["period"] == period
        assert not any("payment" in query["sql"] or "dailytotal" in query["sql"] for query in queries)
        with CaptureQueriesContext(connection) as queries:
            again = client.get(PATH, {"period": period}, headers={"if-none-match": response["ETag"]})
        assert (again.status_code, again.content, len(queries)) == (304, b"", 2)


@pytest.mark.engine
def test_a_cold_one_is_made_by_the_same_plan_for_every_period(client):
    plans = set()
    for period in SPANS:
        with CaptureQueriesContext(connection) as queries:
            ask(client, period)
        tables = tuple(re.search(r'FROM "(\w+)"', sql)[1] for sql in statements(queries))
        assert len(tables) == 11, tables
        plans.add(tables)
    assert len(plans) == 1


@pytest.mark.engine
def test_all_five_are_made_from_the_same_few_queries(client):
    with CaptureQueriesContext(connection) as queries:
        keep_warm()
    assert len(statements(queries)) == 11, statements(queries)
    assert set(made()) == set(SPANS)


@pytest.mark.engine
def test_missing_snapshots_cost_one_query_more(client):
    Snapshot.objects.filter(node_total__in=[1, 30, 365]).delete()
    with CaptureQueriesContext(connection) as queries:
        keep_warm()
    assert len(statements(queries)) == 12
    assert [ask(client, period)["nearestDate"] for period in "DMY"] == ["2026-11-13", "2026-11-13", "2026-08-22"]


@pytest.mark.engine
def test_nothing_changed_is_two_queries_and_no_row(clock):
    keep_warm()
    clock.shift(timedelta(minutes=5))
    with CaptureQueriesContext(connection) as queries:
        keep_warm()
    assert len(statements(queries)) == 2
    assert set(made().values()) == {NOW}


@pytest.mark.engine
def test_no_query_reads_more_payments_than_those_of_the_days_of_the_cuts():
    """By the plan of the engine: rows are found by an index, never by going through them all."""
    Payment.objects.all().delete()
    days = [NOW - timedelta(hours=back) for back in range(3, 9_000, 3)]
    for instant in days:
        pay("1", at=instant)
    settle(completed_at=NOW)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        keep_warm()
    (sql,) = [sql for sql in statements(queries) if 'FROM "revenue_payment"' in sql]
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "payment_day" in plan or "payment_newest" in plan, plan
    assert not re.search(r"SCAN revenue_payment|Seq Scan", plan), plan


# When it is made again


CHANGES = {
    "payment": lambda: (pay("5", at=NOW - timedelta(hours=2)), settle(completed_at=NOW)),
    "sync": lambda: settle(completed_at=NOW),
    "price": lambda: settle(completed_at=NOW, change=lambda: Payment.objects.update(price_usd=None, usd_micro=None)),
    "reading": lambda: read(NOW, age=timedelta(0), nodes={"node_total": 3}),
    "snapshot": lambda: snapshot(NOW.date()),
    "gone": lambda: Snapshot.objects.filter(node_total=7).delete(),
    "retaken": lambda: Snapshot.objects.filter(node_total=7).update(node_total=8, made_at=NOW),
    "tracked": lambda: TrackedApp.objects.create(name="Doom", key="doom", category="gaming"),
    "untracked": lambda: TrackedApp.objects.filter(key="palworld").delete(),
    "release": lambda: None,
}


@pytest.mark.engine
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_answer_is_seen_at_once_and_made_anew_by_the_next_keeper(
    client, clock, monkeypatch, change
):
    keep_warm()
    before = client.get(PATH, {"period": "W"})
    clock.shift(timedelta(seconds=20))
    CHANGES[change]()
    if change == "release":
        monkeypatch.setattr("snapshots.comparison.cache.__version__", __version__ + ".1")
    cold = client.get(PATH, {"period": "W"}, headers={"if-none-match": before["ETag"]})
    assert cold.status_code == 200
    assert (before["Age"], cold["Age"]) == ("0", "0")
    assert set(made().values()) == {NOW}  # a GET writes nothing
    keep_warm()
    assert set(made().values()) == {NOW + timedelta(seconds=20)}
    with CaptureQueriesContext(connection) as queries:
        assert ask(client, "W") == cold.json()
    assert len(queries) == 2


def test_clearing_the_ledger_is_a_change_though_its_version_begins_anew(client):
    LedgerState.objects.update(version=1)
    keep_warm()
    settle(completed_at=None, change=lambda: Payment.objects.all().delete())
    LedgerState.objects.update(version=1)
    assert ask(client, "W")["revenue"]["asOf"] is None


def test_five_minutes_later_to_date_has_gone_on(client, clock):
    keep_warm()
    clock.shift(timedelta(minutes=5))
    answer, response = ask(client, "W"), client.get(PATH, {"period": "W"})
    assert (response["Age"], response["Cache-Control"]) == ("300", "public, max-age=5")
    assert answer["madeAt"] == answer["revenue"]["toDate"]["current"]["end"] == "2026-11-20T22:00:00Z"
    clock.shift(timedelta(seconds=1))
    answer, response = ask(client, "W"), client.get(PATH, {"period": "W"})
    assert answer["madeAt"] == answer["revenue"]["toDate"]["current"]["end"] == "2026-11-20T22:05:01Z"
    assert response["Age"] == "0"
    keep_warm()
    assert set(made().values()) == {NOW + timedelta(minutes=5, seconds=1)}


def test_midnight_is_a_change(client, clock):
    keep_warm()
    clock.move_to(NOW.replace(hour=23, minute=59, second=59))
    keep_warm()
    clock.shift(timedelta(seconds=1))
    answer = ask(client, "D")
    assert (answer["currentDate"], answer["comparisonDate"]) == ("2026-11-21", "2026-11-20")
    assert answer["revenue"]["current"]["start"] == "2026-11-21"


# It never claims to be fresh because it is kept


def test_readings_and_ledger_grow_old_in_a_warm_answer(client, clock):
    read(age=timedelta(minutes=119))
    settle(completed_at=NOW - timedelta(minutes=29))
    keep_warm()
    fresh = client.get(PATH, {"period": "W"})
    assert (fresh.json()["stale"], fresh.json()["revenue"]["stale"]) == (False, False)
    clock.shift(timedelta(minutes=1, seconds=1))
    old = client.get(PATH, {"period": "W"}, headers={"if-none-match": fresh["ETag"]})
    assert (old.status_code, old["Age"]) == (200, "61")
    assert (old.json()["stale"], old.json()["revenue"]["stale"]) == (True, True)
    assert old.json()["asOf"] == fresh.json()["asOf"]
    assert set(made().values()) == {NOW}


# Anywhere, and beside itself


@pytest.mark.engine
def test_it_runs_inside_a_transaction_too():
    with transaction.atomic():
        keep_warm()
    assert set(made()) == set(SPANS)


def test_a_database_that_fails_is_no_trouble_for_the_work_that_is_done(monkeypatch):
    def locked(*args, **kwargs):
        raise OperationalError("database is locked")

    monkeypatch.setattr(cache, "_store", locked)
    changed()
    assert made() == {}


@pytest.mark.engine
def test_an_older_answer_written_last_is_not_used(client, clock):
    keep_warm()
    late = list(WarmComparison.objects.all())
    clock.shift(timedelta(seconds=30))
    read(NOW, age=timedelta(0), nodes={"node_total": 3})
    keep_warm()
    for row in late:
        row.save()
    assert ask(client, "W")["nodes"]["total"]["current"] == 3
