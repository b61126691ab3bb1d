"""The speed of syncs against a simulated network in another process, on SQLite and, where available, on PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import engines
from tests.bench.test_endpoints import postgres
from tests.settings_names import ROOT
from tests.system.home import Home, Outcome, environment

pytestmark = pytest.mark.bench

PAYMENTS = 20_000


@contextmanager
def network(folder: Path) -> Iterator[dict[str, str]]:
    """A network with a past, in a process of its own; the settings that point to it."""
    options = ("--port", "0", "--payments", str(PAYMENTS), "--block-seconds", "3600", "--payments-per-block", "0")
    command = [sys.executable, "-m", "tests.simnet.serve", *options]
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


def lines(home: Home, url: str) -> Iterator[str]:
    """The table, as it is measured."""
    first = sync(home)
    report = first.report
    yield f"{report['added'] / report['ledgerSeconds']:10,.0f} payments/s  first sync, the ledger (5,000)"
    yield f"{report['added'] / report['seconds']:10,.0f} payments/s  first sync with names and USD"
    yield f"{report['requests']:10,} requests    first sync with names and USD (100)"
    yield f"{first.peak_mb:10,.0f} MB          first sync, peak (250)"
    yield _small("nothing new", sync(home).report, 1)
    mine(url, 20, 0)
    sync(home)  # the last payments of the past are confirmed now
    mine(url, 20, 0)
    yield _small("20 new blocks", sync(home).report, 5)
    mine(url, 20, 10)
    yield _small("20 new blocks with 10 payments, names and USD", sync(home).report)
    report = sync(home, "--full").report
    yield f"{report['fetched'] / report['ledgerSeconds']:10,.0f} payments/s  read again with --full"


def _small(what: str, report: dict[str, Any], most: int | None = None) -> str:
    target = f" ({most}, 0.3 s)" if most else ""
    return f"{report['seconds']:10.3f} s           {what}; requests: {report['requests']}{target}"


def measure(home: Home, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with network(folder) as settings:
        home.settings |= settings
        assert home.manage("migrate", "--verbosity", "0").code == 0
        with capsys.disabled():
            engine = "postgresql" if home.database_url else "sqlite"
            sys.stdout.write(f"\n{engine}, {PAYMENTS:,} payments: measured (target)\n")
            for line in lines(home, settings["FLUX_API_URL"]):
                sys.stdout.write(f"  {line}\n")


def test_syncs_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path, "")
    try:
        measure(home, tmp_path, capsys)
    finally:
        home.close()


@pytest.mark.skipif(bool(engines.missing()), reason="PostgreSQL or Redis does not answer")
def test_syncs_on_postgresql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with postgres() as address:
        home = Home(tmp_path, address)
        try:
            measure(home, tmp_path, capsys)
        finally:
            home.end_programs()
