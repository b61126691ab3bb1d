"""The year that is made up for the demo, made once: its tests only read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from metrics.models import Reading
from snapshots.models import ImageDay, Snapshot
from tests.snapshots.test_simulate import HERE, NOW, PRESENT, TODAY, TRACKED, collect, everything, simulate

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("year")]


@dataclass(frozen=True)
class Year:
    report: dict[str, Any]
    statements: tuple[Any, ...]


@pytest.fixture(scope="module")
def year(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Year]:
    """Tests of this module work on savepoints within the transaction that holds it."""
    frozen, here = time_machine.travel(NOW, tick=False), override_settings(FLUX_API_URL=HERE)
    with django_db_blocker.unblock(), transaction.atomic(), frozen, here:
        collect()
        with CaptureQueriesContext(connection) as captured:
            report = simulate()
        yield Year(report, tuple(captured.captured_queries))
        transaction.set_rollback(True)


def test_a_year_is_made_with_a_gap_of_two_days_and_marked(year):
    assert year.report == {
        "created": 363,
        "skipped": 0,
        "readings": Reading.objects.count(),
        "from": "2025-11-20",
        "to": "2026-11-19",
    }
    days = list(Snapshot.objects.order_by("day").values_list("day", flat=True))
    assert (days[0], days[-1]) == (date(2025, 11, 20), date(2026, 11, 19))
    [gap] = [(one, other) for one, other in pairwise(days) if other - one > timedelta(days=1)]
    assert gap[1] - gap[0] == timedelta(days=3)
    assert 120 < (TODAY - gap[0]).days < 240
    assert set(Snapshot.objects.values_list("source", flat=True)) == {"simulated"}


def test_it_ends_at_what_is_now_and_grew_towards_it():
    rows = {(TODAY - row.day).days: row for row in Snapshot.objects.all()}
    assert rows[1].node_total == pytest.approx(1000, rel=0.01)
    assert rows[1].total_apps == pytest.approx(2500, rel=0.03)
    assert rows[1].used_ram_gb == pytest.approx(5000.5, rel=0.04)
    for key in ("node_total", "total_apps", "total_cpu_cores", "used_storage_gb", "gitapps_count"):
        assert 0.2 < getattr(rows[365], key) / PRESENT[key] < 0.95, key
    for one, other in pairwise(sorted(rows)):
        steps = other - one
        assert rows[one].total_apps == pytest.approx(rows[other].total_apps, rel=0.03 * steps)


def test_sums_and_shares_hold_on_every_day():
    rows = list(Snapshot.objects.exclude(total_cpu_cores=None))
    assert len(rows) > 300
    for row in rows:
        assert row.node_total == row.node_cumulus + row.node_nimbus + row.node_stratus
        assert row.total_apps == row.gitapps_count + row.dockerapps_count
        assert 0 < row.used_cpu_cores < row.total_cpu_cores
        assert 0 < row.used_ram_gb < row.total_ram_gb
        assert 0 < row.used_storage_gb < row.total_storage_gb
        games = sum(count for key, count in row.counts.items() if key.startswith("gaming_"))
        assert games < row.gaming_apps_total


def test_some_games_came_in_the_last_months_and_have_no_count_before():
    rows = list(Snapshot.objects.order_by("day"))
    new = [key for key in TRACKED if key not in rows[0].counts]
    assert new
    assert all(key.startswith("gaming_") for key in new)
    for key in new:
        with_it = [key in row.counts for row in rows]
        assert with_it == sorted(with_it)
        assert 40 < sum(with_it) < 160
        assert min(row.counts[key] for row in rows if key in row.counts) >= 1
    assert all(row.counts["gaming_valheim"] == 0 for row in rows)


def test_one_day_has_a_source_that_failed():
    [row] = Snapshot.objects.filter(total_cpu_cores=None)
    assert (row.used_ram_gb, row.total_storage_gb) == (None, None)
    assert row.node_total
    assert row.total_apps
    assert row.counts


def test_images_go_the_way_of_their_app():
    counted = ImageDay.objects.filter(day=TODAY - timedelta(days=1))
    assert counted.count() == 25
    assert counted.get(image__contains="palworld").category == "gaming"
    for row in Snapshot.objects.order_by("day")[::60]:
        found = ImageDay.objects.filter(day=row.day, image__contains="palworld").values_list("count", flat=True)
        expected = row.counts.get("gaming_palworld")
        assert [pytest.approx(count / 20, abs=1) for count in found] == ([] if expected is None else [expected])


def test_readings_are_as_dense_as_real_ones():
    moments = list(Reading.objects.order_by("at").values_list("at", flat=True))
    assert timedelta(days=89.9) < NOW - moments[0] <= timedelta(days=90)
    assert moments[-1] == NOW.replace(second=0)
    steps = {at: (other - at) for at, other in pairwise(moments)}
    assert {step for at, step in steps.items() if at >= NOW - timedelta(days=7)} == {timedelta(minutes=10)}
    assert {step for at, step in steps.items() if at < NOW - timedelta(days=7)} == {timedelta(hours=1)}
    last = Reading.objects.get(at=moments[-1]).values
    assert last["node_total"] == 1000
    assert last["cpu_utilization_percent"] == pytest.approx(26.67, abs=0.05)


def test_readings_and_days_tell_the_same_story():
    row = Snapshot.objects.get(day=TODAY - timedelta(days=20))
    reading = Reading.objects.get(at=datetime(2026, 10, 31, 0, tzinfo=UTC)).values
    assert reading["total_apps"] == pytest.approx(row.total_apps, rel=0.005)
    assert reading["used_cpu_cores"] == pytest.approx(row.used_cpu_cores, rel=0.005)


def test_a_second_run_makes_nothing():
    before = everything()
    report = simulate()
    assert (report["created"], report["skipped"], report["readings"]) == (0, 363, 0)
    assert everything() == before


@pytest.mark.engine
def test_all_is_made_in_few_statements(year):
    assert 0 < len(year.statements) <= 120
    assert Snapshot.objects.count() == 363
