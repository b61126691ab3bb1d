"""Measure syncs against a simulated network in another process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.bench.figures import PER_SECOND, Figure
from tests.settings_names import ROOT
from tests.system.home import Home, Outcome, environment

PAYMENTS = 20_000
STARTS = 5
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}


@contextmanager
def network(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """A network with a past, in a process of its own; the settings that point to it."""
    command = [sys.executable, "-m", "tests.simnet.serve", "--port", "0", "--block-seconds", "3600", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(folder, ""), stdout=subprocess.PIPE, text=True)
    try:
        yield settings_said(process)
    finally:
        process.terminate()
        process.wait(10)


def settings_said(process: subprocess.Popen[str]) -> dict[str, str]:
    """What it prints: NAME=value, the rate last."""
    assert process.stdout
    found: dict[str, str] = {}
    for line in process.stdout:
        name, equals, value = line.strip().partition("=")
        if equals and name.isupper():
            found[name] = value
        if name == "UPSTREAM_RATE":
            return found
    raise AssertionError("the network did not start")


def mine(url: str, blocks: int, payments: int) -> None:
    wishes = {"blocks": blocks, "payments": [{"app": f"app{number}"} for number in range(payments)]}
    requests.post(f"{url}/_sim/mine", data=json.dumps(wishes), timeout=30).raise_for_status()


def sync(home: Home, *options: str) -> Outcome:
    done = home.measure("sync_revenue", "--json", *options, timeout=300)
    assert done.code == 0, done.err
    return done


def figures(folder: Path, database_url: str) -> Iterator[Figure]:
    """The first sync into an empty database, then syncs with little to do, then all of it again."""
    home = Home(folder, database_url)
    try:
        with network(folder, "--payments", str(PAYMENTS), "--payments-per-block", "0") as settings:
            home.settings |= settings | COMPILED
            assert home.manage("migrate", "--verbosity", "0").code == 0
            yield from _measured(home, settings["FLUX_API_URL"])
    finally:
        home.end_programs()


def _measured(home: Home, url: str) -> Iterator[Figure]:
    first = sync(home)
    report = first.report
    yield Figure(f"first sync of {PAYMENTS:,}, names and USD", report["added"] / report["seconds"], PER_SECOND, 5_000)
    yield Figure("first sync, the ledger alone", report["added"] / report["ledgerSeconds"], PER_SECOND)
    yield Figure("first sync: requests upstream", report["requests"], "", 100)
    yield Figure("first sync: peak memory", first.peak_mb, "MB", 150)
    mine(url, 20, 0)
    sync(home)  # the last payments of the past are confirmed now
    yield Figure("sync_revenue with nothing new, start included", _start(home), "s", 0.6)
    mine(url, 20, 10)
    yield Figure("sync of 20 new blocks, 10 payments", sync(home).report["seconds"], "s")
    report = sync(home, "--full").report
    yield Figure("read again with --full", report["fetched"] / report["ledgerSeconds"], PER_SECOND)


def _start(home: Home) -> float:
    """The median of the seconds that the command takes as an operator types it."""
    seconds = []
    for _ in range(STARTS):
        began = time.monotonic()
        command = [sys.executable, "manage.py", "sync_revenue"]
        subprocess.run(command, cwd=ROOT, env=home.environment(), check=True, capture_output=True, timeout=60)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)
