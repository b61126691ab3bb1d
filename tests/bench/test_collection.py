"""The cost of one collection of 8,000 nodes and 14,000 containers: requests, CPU, memory."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
import requests

from tests.bench.syncs import network
from tests.system.home import Home

pytestmark = pytest.mark.bench

NODES, CONTAINERS = 8_000, 14_000


OPTIONS = ("--payments", "2000", "--nodes", str(NODES), "--containers", str(CONTAINERS), "--gzip")


def test_a_collection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path, "")
    try:
        with network(tmp_path, *OPTIONS) as settings:
            home.settings |= settings
            assert home.manage("migrate", "--verbosity", "0").code == 0
            requests.get(f"{settings['FLUX_STATS_URL']}/fluxinfo?projection=tier", timeout=60)  # builds its rows
            lines = [measured(home, what) for what in ("first", "second")]
        with capsys.disabled():
            sys.stdout.write(f"\none collection, {NODES:,} nodes, {CONTAINERS:,} containers: measured (target)\n")
            sys.stdout.write("".join(lines))
    finally:
        home.close()


def measured(home: Home, what: str) -> str:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = home.measure("collect_metrics", "--json", timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.code == 0, done.err
    assert set(done.report["sources"].values()) == {"ok"}, done.report
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return (
        f"  {what:<8}{done.report['requests']:4} requests (8) {cpu:6.2f} s CPU, start included (3) "
        f"{done.peak_mb:6.0f} MB (300) {done.report['seconds']:6.2f} s\n"
    )
