"""A made-up past for the demo, through its command, from what a simulated network told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import requests
import time_machine
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from metrics.models import ImageCount, Reading, Source
from revenue.models import DailyPrice
from snapshots.models import ImageDay, Snapshot
from snapshots.simulate import Past, is_this_machine
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
TODAY = NOW.date()
HERE = "http://127.0.0.1:8900"
PRESENT = {
    "node_total": 1000,
    "node_cumulus": 500,
    "node_nimbus": 200,
    "node_stratus": 300,
    "total_cpu_cores": 9000.0,
    "used_cpu_cores": 2400.0,
    "total_ram_gb": 30_000.0,
    "used_ram_gb": 5000.5,
    "total_storage_gb": 400_000.0,
    "used_storage_gb": 50_000.0,
    "total_apps": 2500,
    "watchtower_count": 0,
    "gitapps_count": 200,
    "dockerapps_count": 2300,
    "gaming_apps_total": 140,
    "crypto_nodes_total": 90,
    "wordpress_count": 60,
    "flux_price_usd": 0.0731,
    "gaming_palworld": 50,
    "gaming_minecraft": 60,
    "gaming_rust": 7,
    "gaming_valheim": 0,
    "crypto_presearch": 40,
}
"""What was last read, by metric: 23 games and 50 crypto nodes are of kinds that are not tracked."""
TRACKED = [key for key in PRESENT if key.startswith(("gaming_", "crypto_")) and not key.endswith("_total")]
NODES = ("node_total", "node_cumulus", "node_nimbus", "node_stratus")


@pytest.fixture
def noon() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def here(settings: Any) -> None:
    settings.FLUX_API_URL = HERE


@pytest.fixture
def collected(db: None, here: None, noon: time_machine.Coordinates) -> None:
    collect()


@pytest.fixture
def few_readings(collected: None) -> None:
    """A real reading of 85 days ago: none of the 2,900 after it is made up."""
    Reading.objects.create(at=NOW - timedelta(days=85), values={})


def collect() -> None:
    """Leave the rows of a collection of a moment ago."""
    cloud = {key: value for key, value in PRESENT.items() if "_cpu_" in key or key.endswith("_gb")}
    nodes = {key: PRESENT[key] for key in NODES}
    apps = {key: value for key, value in PRESENT.items() if key not in cloud | nodes | {"flux_price_usd": 0}}
    for name, values in (("nodes", nodes), ("cloud", cloud), ("apps", apps)):
        Source.objects.create(name=name, values=values, tried_at=NOW, read_at=NOW)
    ImageCount.objects.bulk_create(
        [ImageCount(image=f"some/image{number}", category="", count=500 - number) for number in range(30)]
        + [ImageCount(image="thijsvanloef/palworld-server-docker", category="gaming", count=1000)]
    )


def simulate(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("simulate_history", "--json", *options, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def everything() -> list[list[Any]]:
    rows = Snapshot.objects.order_by("day").values("day", "node_total", "used_ram_gb", "counts", "flux_price_usd")
    images = ImageDay.objects.order_by("day", "image").values("day", "image", "count")
    return [list(rows), list(images), list(Reading.objects.order_by("at").values("at", "values"))]


# Where it works


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["https://api.runonflux.io", "http://127.0.0.1.example.org", "http://192.168.0.7:80"])
def test_it_refuses_a_network_that_is_not_on_this_machine(settings, url):
    settings.FLUX_API_URL = url
    with pytest.raises(CommandError, match="FLUX_API_URL") as refused:
        simulate()
    assert refused.value.returncode == 2
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:9", True),
        ("http://localhost:80/x", True),
        ("http://[::1]:9", True),
        ("http://localhost.a", False),
    ],
)
def test_only_addresses_of_this_machine_count(url, local):
    assert is_this_machine(url) is local


@pytest.mark.django_db
def test_without_a_collection_it_fails_and_names_the_command(here):
    out = StringIO()
    with pytest.raises(CommandError, match="run collect_metrics") as failed:
        call_command("simulate_history", "--json", stdout=out)
    assert failed.value.returncode == 1
    assert json.loads(out.getvalue().splitlines()[-1])["created"] == 0
    assert not Reading.objects.exists()


@pytest.mark.parametrize("options", [("--days", "0"), ("--days", "x"), ("--seed", "-1")])
def test_wrong_options_are_refused(options):
    with pytest.raises(CommandError):
        simulate(*options)


# The days


def test_the_last_month_is_that_of_the_network_s_own_history(db, settings):
    with SimServer(World(payments=50, nodes=1000, days=30, old_messages=0, frozen=True)) as sim:
        for name, value in sim.settings().items():
            setattr(settings, name, value)
        call_command("collect_metrics", "--json", stdout=StringIO())
        simulate()
        points = requests.get(f"{sim.url}/fluxhistorystats", timeout=AMPLE).json()["data"]
    days = {datetime.fromtimestamp(int(at) / 1000, UTC).date(): sum(tiers.values()) for at, tiers in points.items()}
    rows = Snapshot.objects.filter(day__in=days)
    assert len(rows) >= 29
    for row in rows:
        assert row.node_total == pytest.approx(days[row.day], rel=0.015), row.day


def test_what_is_not_known_today_was_not_known_then(collected):
    source = Source.objects.get(name="cloud")
    source.values = {key: value for key, value in source.values.items() if "storage" not in key}
    source.save()
    simulate("--days", "20")
    assert set(Snapshot.objects.values_list("total_storage_gb", "used_storage_gb")) == {(None, None)}
    assert not any("total_storage_gb" in reading.values for reading in Reading.objects.all())


def test_the_price_of_a_day_is_the_known_one(few_readings):
    day = TODAY - timedelta(days=3)
    DailyPrice.objects.create(day=day, price_usd="0.5")
    simulate("--days", "9")
    assert float(Snapshot.objects.get(day=day).flux_price_usd) == 0.5
    assert set(Snapshot.objects.exclude(day=day).values_list("flux_price_usd", flat=True)) == {None}


# Readings


def test_readings_stop_before_the_first_real_one(collected):
    real = Reading.objects.create(at=NOW - timedelta(days=2), values={"node_total": 7})
    simulate()
    assert Reading.objects.latest("at") == real
    assert Reading.objects.count() > 2000


# Again


def test_days_that_are_there_stay(few_readings):
    taken = Snapshot.objects.create(day=TODAY - timedelta(days=4), source="taken", made_at=NOW, node_total=3)
    report = simulate("--days", "9")
    assert (report["created"], report["skipped"]) == (8, 1)
    taken.refresh_from_db()
    assert (taken.source, taken.node_total) == ("taken", 3)
    assert not ImageDay.objects.filter(day=taken.day).exists()


def test_one_seed_makes_one_past_and_another_another(few_readings):
    made = []
    for seed in ("1", "1", "2"):
        for made_up in (Snapshot.objects.all(), ImageDay.objects.all(), Reading.objects.exclude(values={})):
            made_up.delete()
        simulate("--seed", seed, "--days", "40")
        made.append(everything())
    assert made[0] == made[1] != made[2]


# Laws


@given(
    seed=st.integers(0, 10**6),
    age=st.floats(0, 3650, allow_nan=False),
    days=st.integers(1, 3650),
    known=st.sets(st.sampled_from(sorted(PRESENT))),
)
def test_no_number_is_ever_impossible(seed, age, days, known):
    present = {key: PRESENT[key] for key in known}
    found = Past(present, TRACKED, seed, days).at(age)
    assert all(value is None or value >= 0 for value in found.values())
    for key in ("node_cumulus", "total_apps", "total_ram_gb", "flux_price_usd"):
        assert (found[key] is None) == (key not in known)
    for part in ("cpu", "ram", "storage"):
        share = found[f"{part}_utilization_percent"]
        assert share is None or share <= 95.1
    assert {key for key in TRACKED if key in found} <= known


@given(seed=st.integers(0, 10**6))
def test_the_present_is_what_it_is(seed):
    found = Past(PRESENT, TRACKED, seed, 365).at(0.0)
    assert {key: found[key] for key in PRESENT} == pytest.approx(PRESENT)
