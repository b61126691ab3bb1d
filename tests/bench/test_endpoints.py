"""The speed of the endpoints at 20,000 and 1,000,000 payments, on SQLite and, where available, on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import engines
from tests.bench.engine import postgres
from tests.run import clean_environment
from tests.settings_names import ROOT

pytestmark = pytest.mark.bench


def run(size: int, folder: Path, settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.endpoints", str(size)],
        cwd=ROOT,
        env=clean_environment(folder, settings) | {"DJANGO_SETTINGS_MODULE": "fluxtracker.settings"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{done.stdout}")


@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_endpoints_on_sqlite(size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(size, tmp_path, {}, capsys)


@pytest.mark.skipif(bool(engines.missing()), reason="PostgreSQL or Redis does not answer")
@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_endpoints_on_postgresql(size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with postgres() as address:
        run(size, tmp_path, {"DATABASE_URL": address}, capsys)
