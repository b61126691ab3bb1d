"""The speed of the endpoints at 20,000 and 1,000,000 payments, on SQLite and, where available, on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests import engines
from tests.run import clean_environment
from tests.settings_names import ROOT

pytestmark = pytest.mark.bench

NAME = "bench_endpoints"


@contextmanager
def postgres() -> Iterator[str]:
    """The address of an empty database that is gone afterwards."""
    server, _, _ = engines.production()["DATABASE_URL"].rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {NAME}")
        connection.execute(f"CREATE DATABASE {NAME}")
        yield f"{server}/{NAME}"
        connection.execute(f"DROP DATABASE {NAME}")


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
