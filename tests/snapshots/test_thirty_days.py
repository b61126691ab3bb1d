"""Thirty days in fast-forward against the simulated network, with faults on a third of them: one snapshot a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from snapshots.models import ImageDay, Refusal, Snapshot
from tests.simnet.control import Kind
from tests.simnet.server import SimServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.slow]

DAYS = 30
MENDED = "01:20"


def steps(collected: tuple[str, ...], checked: tuple[str, ...]) -> list[tuple[str, str]]:
    """A day's work by time; the source is mended in between."""
    work = {"collect_metrics": collected, "check_snapshot": checked, "sync_revenue": ("00:20",), "": (MENDED,)}
    return sorted((time, command) for command, times in work.items() for time in times)


QUIET = steps(("00:02", "00:12", "23:52"), ("00:00", "00:30", "18:30"))
FAILING = steps(
    ("00:02", "00:12", "00:42", "01:12", "01:42", "23:52"), ("00:00", "00:30", "01:00", "01:30", "02:00", "18:30")
)
FAULTS = {  # by day: what fails until MENDED
    1: (Kind.HTTP_500, "fluxinfo"),
    4: (Kind.EMPTY_SUCCESS, "fluxinfo"),
    7: (Kind.MALFORMED, "getfluxnodecount"),
    10: (Kind.ZERO_ROWS, "fluxinfo"),
    13: (Kind.STATUS_ERROR_200, "fluxinfo"),
    16: (Kind.DROP_CONNECTION, "fluxinfo"),
    19: (Kind.EMPTY_SUCCESS, "getfluxnodecount"),
    22: (Kind.HTML_200, ""),
    25: (Kind.TRUNCATED, "fluxinfo"),
    28: (Kind.HTTP_503_HTML, ""),
}


def lived(sim: SimServer, in_process, day: int, midnight: datetime) -> list[bool]:
    """Let a day pass with its schedule. Whether each check made a snapshot."""
    created = []
    if day in FAULTS:
        sim.faults.add(*FAULTS[day])
    for time, work in FAILING if day in FAULTS else QUIET:
        moment = datetime.fromisoformat(f"{midnight.date()}T{time}+00:00")
        sim.world.advance(moment.timestamp() - sim.world.now())
        with time_machine.travel(moment, tick=False):
            if work:
                outcome = in_process(work, "--json")
            else:
                sim.faults.clear()
        if work == "check_snapshot":
            created.append(outcome.code == 0 and outcome.report["created"])
    return created


def test_each_day_gets_exactly_one_snapshot_whatever_goes_wrong(build, in_process):
    sim = build(payments=100, nodes=24)
    start = datetime.fromtimestamp(sim.world.now(), UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    start = start.replace(microsecond=0)
    for day in range(DAYS):
        created = lived(sim, in_process, day, start + timedelta(days=day))
        assert created.count(True) == 1, (day, created)
    rows = {row.day: row for row in Snapshot.objects.all()}
    assert sorted(rows) == [(start + timedelta(days=day)).date() for day in range(DAYS)]
    for day in range(DAYS):
        row = rows[(start + timedelta(days=day)).date()]
        kind, path = FAULTS.get(day, (None, None))
        assert (row.source, row.total_apps is not None, row.total_cpu_cores is not None) == ("taken", True, True)
        assert (row.node_total is None) == (path == "getfluxnodecount"), (day, kind)
        late = row.made_at >= datetime.fromisoformat(f"{row.day}T{MENDED}+00:00")
        assert late == (kind is not None), (day, kind, row.made_at)
        assert ImageDay.objects.filter(day=row.day).exists()
    assert not Refusal.objects.exists()
