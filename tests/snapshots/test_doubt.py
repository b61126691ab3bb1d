"""A day's snapshot rests on readings that are confirmed, and waits for what may come soon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from metrics.models import Reading
from ops.models import AuditEntry, TaskState
from snapshots.models import Refusal, Snapshot
from tests.metrics.conftest import network, web
from tests.metrics.network import Network, large
from tests.snapshots.network import DAY, at

__all__ = ["network", "web"]

pytestmark = pytest.mark.django_db

YESTERDAY = DAY - timedelta(days=1)
WHOLE = {"cumulus-enabled": 3378, "nimbus-enabled": 1582, "stratus-enabled": 1764}  # 6,724
LAGGING = {"cumulus-enabled": 1768, "nimbus-enabled": 828, "stratus-enabled": 924}  # 3,520
SMALLER = {"cumulus-enabled": 2700, "nimbus-enabled": 1260, "stratus-enabled": 1400}  # 5,360
COLLAPSED = {"cumulus-enabled": 900, "nimbus-enabled": 400, "stratus-enabled": 450}  # 1,750


class Night:
    """A network around midnight, and what is done with it at each time."""

    def __init__(self, network: Network, manage: Callable[..., Any], clock: Any) -> None:
        self.network, self.manage, self.clock = network, manage, clock
        large(network, 200)
        network.counts = WHOLE
        self.whole = network.rows

    def reads(self, time: str, counts: Any = WHOLE, rows: int = 200, day: Any = DAY) -> Any:
        """A collection at that time, when the upstreams tell this."""
        self.network.counts, self.network.rows = counts, self.whole[:rows]
        return self._run(time, day, "collect_metrics", "--json")

    def checks(self, time: str, *words: str, day: Any = DAY) -> Any:
        return self._run(time, day, *(words or ("check_snapshot",)), "--json")

    def _run(self, time: str, day: Any, *words: str) -> Any:
        self.clock.move_to(at(time, day))
        outcome = self.manage(*words)
        assert outcome.code == 0, outcome.err
        return outcome.report


@pytest.fixture
def night(network: Network, in_process: Any, clock: Any) -> Night:
    """The last reading before midnight was good."""
    night = Night(network, in_process, clock)
    night.reads("23:50", day=YESTERDAY)
    return night


def kept() -> tuple[Any, ...]:
    row = Snapshot.objects.get(day=DAY)
    return row.node_total, row.total_cpu_cores, row.total_apps


@pytest.mark.engine
@pytest.mark.parametrize(
    "words", [("check_snapshot",), ("take_snapshot",), ("take_snapshot", "--force")], ids=lambda words: words[-1]
)
def test_a_half_reading_does_not_become_the_days_snapshot(night, get, words):
    report = night.reads("00:10", LAGGING, rows=107)
    assert {name for name, outcome in report["sources"].items() if outcome == "stale"} == {"nodes", "cloud", "apps"}
    assert get("metrics/current")["nodes"]["total"] == 6724
    report = night.checks("00:11", *words)
    assert (report["created"], Snapshot.objects.exists()) == (False, False)
    assert report["reason"].startswith("waiting for doubted sources: ")
    assert "3520 instead of 6724" in report["reason"]
    night.reads("00:20")
    assert night.checks("00:21", *words) == {"date": "2026-11-20", "created": True, "reason": None}
    assert kept() == (6724, 800, 200)
    assert not Refusal.objects.exists()
    assert TaskState.objects.get(name=words[0]).consecutive_failures == 0


def test_one_source_in_doubt_is_waited_for_and_not_left_out(night):
    night.reads("00:10", LAGGING)
    assert not night.checks("00:11")["created"]
    night.reads("00:20")
    night.checks("00:21")
    assert kept() == (6724, 800, 200)


@pytest.mark.parametrize(("counts", "total", "rows"), [(SMALLER, 5360, 160), (LAGGING, 3520, 107)])
def test_a_real_fall_shows_after_two_readings(night, get, counts, total, rows):
    night.reads("00:10", counts, rows=rows)
    night.checks("00:11")
    night.reads("00:20", counts, rows=rows)
    assert get("metrics/current")["nodes"]["total"] == total
    assert night.checks("00:21")["created"]
    assert kept() == (total, 4 * rows, rows)


def test_a_collapse_takes_an_hour_and_the_snapshot_waits_for_it(night):
    for time in ("00:10", "00:40", "01:00"):
        night.reads(time, COLLAPSED)
        assert not night.checks(time)["created"]
    night.reads("01:10", COLLAPSED)
    assert night.checks("01:11") == {"date": "2026-11-20", "created": True, "reason": None}
    assert kept() == (1750, 800, 200)


def test_readings_that_come_and_go_never_get_in(night):
    night.reads("00:06", LAGGING)
    night.reads("00:16")
    night.reads("00:26", LAGGING)
    assert night.checks("00:27")["created"]  # of the reading of 00:16
    assert kept() == (6724, 800, 200)


@pytest.mark.engine
def test_by_force_todays_is_taken_of_the_last_confirmed_reading(night):
    night.reads("00:10")
    night.checks("00:11")
    night.reads("08:50")
    night.reads("09:00", LAGGING, rows=107)
    assert night.checks("09:01", "take_snapshot", "--force")["created"]
    row = Snapshot.objects.get(day=DAY)
    assert (row.read_at, row.node_total, row.total_apps) == (at("08:50"), 6724, 200)


def test_a_snapshot_that_exists_stays_while_what_would_replace_it_is_in_doubt(night):
    night.reads("00:10")
    night.checks("00:11")
    night.reads("09:00", LAGGING)
    assert not night.checks("09:01", "take_snapshot", "--force")["created"]
    assert kept() == (6724, 800, 200)


def test_the_first_reading_of_all_is_taken_as_it_is(network, in_process, clock):
    night = Night(network, in_process, clock)
    night.reads("00:10", LAGGING, rows=107)
    assert night.checks("00:11")["created"]
    assert kept() == (3520, 428, 107)


def test_after_an_outage_of_days_the_first_different_reading_waits(night):
    later = DAY + timedelta(days=2)
    night.reads("05:00", SMALLER, day=later)
    assert not night.checks("05:01", day=later)["created"]
    night.reads("05:10", SMALLER, day=later)
    assert night.checks("05:11", day=later) == {"date": "2026-11-22", "created": True, "reason": None}
    assert Snapshot.objects.get().node_total == 5360


def test_a_doubt_that_nothing_answers_is_waited_for_75_minutes(night):
    night.reads("00:10", LAGGING)
    night.network.broken["nodes"] = 503
    for time in ("00:40", "01:20"):
        night.reads(time)
        assert not night.checks("01:25" if time == "01:20" else time)["created"]
    report = night.checks("01:26")
    assert (report["created"], report["reason"].startswith("without node counts (daemon): ")) == (True, True)
    assert kept() == (None, 800, 200)


@pytest.mark.parametrize("source", ["nodes", "price"])
def test_a_source_that_failed_only_now_is_waited_for(night, source):
    night.network.broken[source] = 503
    night.reads("00:10")
    report = night.checks("00:11")
    assert (report["created"], report["reason"].startswith("waiting for sources that just failed: ")) == (False, True)
    night.network.broken.clear()
    night.reads("00:20")
    assert night.checks("00:41") == {"date": "2026-11-20", "created": True, "reason": None}
    row = Snapshot.objects.get()
    assert (row.node_total, row.flux_price_usd is not None) == (6724, True)


def test_a_source_that_stays_away_is_waited_for_75_minutes(night):
    night.network.broken["nodes"] = 503
    for time in ("00:10", "00:40", "01:05"):
        night.reads(time)
        assert not night.checks(time)["created"]
    night.checks("01:06")
    assert kept() == (None, 800, 200)


def test_a_source_that_is_away_since_yesterday_is_not_waited_for(night):
    night.network.broken["nodes"] = 503
    night.reads("22:00")
    later = DAY + timedelta(days=1)
    night.reads("00:10", day=later)
    assert night.checks("00:11", day=later)["created"]
    assert Snapshot.objects.get(day=later).node_total is None


def test_who_asks_for_a_snapshot_does_not_wait_for_a_source_that_failed(night):
    night.network.broken["nodes"] = 503
    night.reads("00:10")
    assert night.checks("00:11", "take_snapshot")["created"]
    assert kept() == (None, 800, 200)


def taken_of_half(night: Night) -> None:
    """A day whose snapshot was taken of a half reading, as releases before this one did it."""
    night.reads("00:10")
    night.checks("00:11")
    night.reads("00:20")
    half = {"node_total": 3520, "total_cpu_cores": 428, "total_apps": 107}
    Snapshot.objects.filter(day=DAY).update(**half, read_at=at("00:10"), counts={"gaming_palworld": 3})
    first = Reading.objects.get(at=at("00:10"))
    first.values |= half
    first.save()


NEXT = DAY + timedelta(days=1)


@pytest.mark.engine
def test_a_past_day_is_taken_again_of_its_first_confirmed_reading(night):
    taken_of_half(night)
    night.reads("00:30")
    before = Snapshot.objects.get(day=DAY)
    report = night.checks("09:00", "take_snapshot", "--day", "2026-11-20", day=NEXT)
    assert report == {"date": "2026-11-20", "created": True, "reason": None}
    row = Snapshot.objects.get(day=DAY)
    assert kept() == (6724, 800, 200)
    assert (row.read_at, row.made_at) == (at("00:20"), at("09:00", NEXT))
    assert (row.flux_price_usd, row.counts["gaming_palworld"]) == (before.flux_price_usd, 0)
    assert AuditEntry.objects.get(action="take_snapshot").detail == {"day": "2026-11-20"}


def retakes(night: Night, *words: str) -> Any:
    night.clock.move_to(at("09:00", NEXT))
    return night.manage("take_snapshot", *words)


@pytest.mark.engine
def test_a_past_day_without_a_confirmed_reading_stays(night):
    taken_of_half(night)
    Reading.objects.exclude(at=at("00:10")).delete()
    outcome = retakes(night, "--day", "2026-11-20")
    assert (outcome.code, outcome.reason) == (1, "that day has no stored, confirmed reading")
    assert kept() == (3520, 428, 107)


def test_only_a_taken_day_is_taken_again(night):
    taken_of_half(night)
    Snapshot.objects.update(source="import")
    assert retakes(night, "--day", "2026-11-20").code == 1
    assert kept() == (3520, 428, 107)


@pytest.mark.parametrize("day", ["2026-11-21", "2027-01-01", "20261120", "2026-11-31", "yesterday"])
def test_other_days_are_wrong_usage(night, day):
    outcome = retakes(night, "--day", day)
    assert outcome.code != 0
    assert "argument --day" in outcome.err
