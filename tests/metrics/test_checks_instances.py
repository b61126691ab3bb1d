"""Service checks of games and crypto nodes: what runs now against the last week's readings."""

from datetime import timedelta
from statistics import fmean

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from metrics.models import Reading, Source, TrackedApp
from metrics.service_checks import check_instances, judge_instances
from ops import check_results, health
from ops.check_results import Finding
from ops.models import ServiceCheck, ServiceState
from ops.status import words
from tests.system.conftest import build, in_process, sim

__all__ = ["build", "in_process", "sim"]

pytestmark = pytest.mark.django_db

KEY = "gaming_palworld"


@pytest.fixture
def now():
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def network(now):
    """What ran at some hours before now, and what runs now."""

    def make(running, *, minutes=5, **hours_ago):
        values = {} if running is None else {KEY: running}
        Source.objects.create(name=Source.Name.APPS, values=values, read_at=now - timedelta(minutes=minutes))
        for hours, count in hours_ago.items():
            Reading.objects.create(at=now - timedelta(hours=float(hours[1:])), values={KEY: count})

    return make


def palworld(now):
    (found,) = [row for row in check_instances(now) if row.name == "Palworld"]
    return found


@pytest.mark.parametrize(
    ("running", "week", "status", "words"),
    [
        (10, {"h24": 10, "h48": 10}, "ok", "10 running, 10.0 ran on average"),
        (5, {"h24": 10, "h48": 10}, "ok", "5 running"),
        (4, {"h24": 10, "h48": 10}, "degraded", "4 running, 10.0 ran on average"),
        (0, {"h24": 10, "h48": 0}, "missing", "none is left, 5.0 ran"),
        (0, {"h24": 0, "h48": 0}, "ok", "none running, none last week"),
        (3, {"h24": 0}, "ok", "3 running, none ran last week"),
        (7, {}, "ok", "no readings from last week"),
        (0, {}, "ok", "no readings from last week"),
        (4, {"h0": 100, "h24": 4}, "ok", "4.0 ran on average"),  # the last hour does not count
        (4, {"h24": 4, "h169": 1000}, "ok", "4.0 ran on average"),  # nor what is older than a week
        (4, {"h24": None, "h48": 4}, "ok", "4.0 ran on average"),  # unknown is not 0
    ],
)
def test_what_runs_is_held_against_its_own_last_week(network, now, running, week, status, words):
    network(running, **week)
    found = palworld(now)
    assert (found.status, found.latency_ms) == (status, None)
    assert words in found.detail


@pytest.mark.parametrize(("minutes", "status"), [(120, "missing"), (121, "unknown")])
def test_counts_of_more_than_two_hours_ago_say_nothing(network, now, minutes, status):
    network(0, minutes=minutes, h24=10)
    assert palworld(now).status == status


def test_what_was_never_counted_is_unknown(network, now):
    assert palworld(now).status == "unknown"
    network(None, h24=10)
    assert palworld(now).status == "unknown"


def test_every_active_game_and_crypto_node_is_checked_for_four_queries(network, now, django_assert_num_queries):
    network(3, h24=3)
    TrackedApp.objects.filter(name="Kaspa").update(active=False)
    with django_assert_num_queries(4):
        found = check_instances(now)
    assert {row.kind for row in found} == {"gaming", "crypto"}
    wanted = TrackedApp.objects.filter(active=True, category__in=["gaming", "crypto"])
    assert {row.name for row in found} == set(wanted.values_list("name", flat=True)) > {"Palworld"}


@given(running=st.integers(0, 5000), week=st.lists(st.integers(0, 5000), max_size=50))
def test_the_laws_of_fewer(running, week):
    status, _, _ = judge_instances(running, fmean(week) if week else None)
    if any(week) and not running:
        assert status == "missing"
    elif week and 2 * running * len(week) < sum(week):
        assert status == "degraded"
    else:
        assert status == "ok"


def test_missing_three_times_is_an_alert_and_unknown_neither_counts_nor_ends(network, now, caplog):
    def check(status):
        check_results.record([Finding("gaming", "Palworld", status, None, "none is left")], now)
        return ServiceState.objects.get(name="Palworld").consecutive_failures

    rows = [check(status) for status in ("missing", "missing", "unknown", "missing", "unknown", "missing", "ok")]
    assert rows == [1, 2, 2, 3, 3, 4, 0]
    told = [record.msg["event"] for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert told == ["service_keeps_failing", "service_recovered"]


def test_what_is_no_longer_checked_has_no_state_but_its_past(network, now):
    check_results.record([Finding("gaming", "Palworld", "ok"), Finding("crypto", "Kaspa", "ok")], now)
    check_results.record([Finding("crypto", "Kaspa", "ok")], now)
    assert list(ServiceState.objects.values_list("name", flat=True)) == ["Kaspa"]
    assert ServiceCheck.objects.count() == 3


def test_problems_tell_who_failed_three_times_and_when_last(now):
    ServiceState.objects.create(kind="api", name="fine", status="ok", checked_at=now)
    ServiceState.objects.create(
        kind="api", name="stats", status="failed", checked_at=now - timedelta(minutes=7), consecutive_failures=4,
        detail="HTTP 500",
    )  # fmt: skip
    ServiceState.objects.create(
        kind="api", name="twice", status="failed", checked_at=now, consecutive_failures=2, detail="HTTP 500"
    )
    found = [words(problem, now) for problem in health.checks_part().problems]
    assert found == ["stats failed 4 checks in a row, the last one 7 min ago: HTTP 500."]


def test_prune_deletes_checks_of_more_than_ninety_days_ago(sim, in_process, now):
    for days in (0, 89, 91, 400):
        ServiceCheck.objects.create(kind="api", name="stats", status="ok", at=now - timedelta(days=days))
    assert in_process("prune", "--json").report["checks"] == 2
    assert ServiceCheck.objects.count() == 2
