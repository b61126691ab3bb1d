"""How full the network is, is recorded once for each reading of the running instances."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deployments import jobs
from deployments.models import AppLife, FillDay
from metrics.models import RunningApp, Source
from ops import registry
from tests.reports import rows
from tests.reports.conftest import NOW, clock

__all__ = ["clock"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def life(name: str, instances: int, days: int) -> None:
    end = NOW + timedelta(days=days)
    AppLife.objects.create(app_key=name, name=name, category="other", instances=instances, end_at=end)


@pytest.fixture(autouse=True)
def network() -> None:
    """Of 8 instances of apps in force 5 run, and 2 of an app that ended three days ago."""
    rows.messages_read()
    read(NOW)
    life("full", 3, days=9)
    life("short", 5, days=9)
    life("gone", 3, days=-3)
    for name, instances in {"full": 4, "short": 2, "gone": 2}.items():
        RunningApp.objects.create(app_key=name, name=name, instances=instances, hashes={})


def read(at: object) -> None:
    Source.objects.update_or_create(name=Source.Census.LOCATIONS, defaults={"read_at": at, "tried_at": at})


def recorded() -> list[tuple[int, int, int]]:
    return list(FillDay.objects.values_list("ordered", "running", "expired_running"))


def test_a_reading_is_compared_with_what_is_ordered() -> None:
    jobs.record_fill()
    assert recorded() == [(8, 5, 2)]


def test_the_last_reading_of_a_day_stays() -> None:
    jobs.record_fill()
    RunningApp.objects.filter(app_key="short").update(instances=5)
    jobs.record_fill()
    assert recorded() == [(8, 5, 2)]
    read(NOW + timedelta(hours=1))
    jobs.record_fill()
    assert recorded() == [(8, 8, 2)]


def test_without_a_reading_nothing_is_recorded() -> None:
    Source.objects.update(read_at=None)
    jobs.record_fill()
    assert recorded() == []


@pytest.mark.warm
def test_it_is_recorded_after_a_census_or_messages_and_looked_for_after_nothing_else() -> None:
    for job in ("collect-metrics", "sync-revenue", ""):
        assert jobs.record_fill not in registry.on_change.of(job)
    registry.changed("take-census")
    assert recorded() == [(8, 5, 2)]
    assert jobs.record_fill in registry.on_change.of("sync-messages")
