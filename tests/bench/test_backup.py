"""Backup and restore of 1,000,000 payments: time and peak memory, on SQLite and, where available, on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import engines
from tests.bench.engine import postgres
from tests.run import clean_environment
from tests.settings_names import ROOT

pytestmark = pytest.mark.bench

PAYMENTS = int(os.environ.get("BENCH_PAYMENTS", "1000000"))


def run(folder: Path, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.backup", str(PAYMENTS), database_url],
        cwd=ROOT,
        env=clean_environment(folder, {"DATABASE_URL": database_url})
        | {"DJANGO_SETTINGS_MODULE": "fluxtracker.settings"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout}")


def test_backups_on_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "", capsys)


@pytest.mark.skipif(bool(engines.missing()), reason="PostgreSQL or Redis does not answer")
def test_backups_on_postgresql(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with postgres() as address:
        run(tmp_path, address, capsys)
