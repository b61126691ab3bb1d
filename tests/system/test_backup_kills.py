"""Backup, restore and import while others write and under `kill -9`: whole or not at all, on either engine."""

from __future__ import annotations

import gzip
import json
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.factories import MAIN
from tests.marks import share
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.snapshots import original
from tests.system.home import DATABASE, Home
from tests.system.ledger import assert_sums_hold, assert_true
from tests.waiting import AMPLE

pytestmark = pytest.mark.engine

KILLS = share(6)
CAUGHT = 0.3 * len(KILLS)  # at least so many of them before the command was over
MOST_MORE = 20
STATE = (
    "SELECT txid, vout, amount_sat, height FROM revenue_payment ORDER BY txid, vout",
    "SELECT day, address, revenue_sat, payments FROM revenue_dailytotal ORDER BY day, address",
    "SELECT name, payments, revenue_sat FROM revenue_app ORDER BY name",
    "SELECT day, source, node_total, total_ram_gb FROM snapshots_snapshot ORDER BY day",
    "SELECT day, image, count FROM snapshots_imageday ORDER BY day, image",
    "SELECT day, price_usd FROM revenue_dailyprice ORDER BY day",
    "SELECT username FROM auth_user ORDER BY username",
)
HELD = "SELECT name FROM ops_lease WHERE holder <> ''"
FIRST = date(2026, 5, 1)
ROWS = 6_000


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the replaced tracker with some months in it."""
    days = [FIRST + timedelta(days=number) for number in range(150)]
    return original.write(
        tmp_path_factory.mktemp("old") / "flux-performance.db",
        snapshots=[original.snapshot(day) for day in days],
        transactions=[
            original.transaction(number, timestamp=original.at_five_past(days[number % 150]) + number)
            for number in range(ROWS)
        ],
        prices=map(original.price, days),
        images=[original.image(day, f"maker/image{number}", number) for day in days for number in range(20)],
    )


@pytest.fixture
def full(home: Home, old: Path) -> Home:
    assert home.manage("import_original", str(old)).code == 0
    return home


def state(home: Home) -> list[list[tuple[Any, ...]]]:
    return [[tuple(map(str, row)) for row in home.query(statement)] for statement in STATE]


class Kills:
    """Kills of a command at random instants of about its length, until enough of them came before its end."""

    def __init__(self, home: Home, longest: float, *words: str) -> None:
        self.home, self.longest, self.words = home, longest, words
        self.caught = 0

    def __iter__(self) -> Iterator[int]:
        yield from KILLS
        for seed in range(1000, 1000 + MOST_MORE):
            if self.caught < CAUGHT:
                yield seed
        assert self.caught >= CAUGHT

    def kill(self, seed: int) -> None:
        started = time.monotonic()
        process = self.home.start(*self.words)
        with suppress(subprocess.TimeoutExpired):
            process.wait(random.Random(seed).uniform(0.3, 1) * self.longest)
        if process.poll() is None:
            self.caught += 1
        else:  # quicker than when its length was measured
            self.longest = min(self.longest, time.monotonic() - started)
        self.home.kill(process)
        process.communicate()


def rows_of(path: Path, table: str) -> list[Any]:
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    start = lines.index({"table": table}) + 1
    end = next(place for place in range(start, len(lines)) if isinstance(lines[place], dict))
    return lines[start:end]


@pytest.mark.slow
def test_killed_backups_leave_the_last_one_whole(full: Home, tmp_path: Path):
    path = tmp_path / "all.gz"
    kills = Kills(full, full.manage("backup", str(path)).seconds, "backup", str(path))
    before = state(full)
    for seed in kills:
        kills.kill(seed)
        assert len(rows_of(path, "revenue_payment")) == ROWS
    assert full.manage("backup", str(path)).code == 0
    assert [found.name for found in tmp_path.iterdir() if found.suffix != ""] == ["all.gz"]
    assert state(full) == before


@pytest.mark.slow
def test_killed_restores_leave_what_was_there_or_all_of_the_file(full: Home, tmp_path: Path):
    path = tmp_path / "all.gz"
    assert full.manage("backup", str(path)).code == 0
    whole = state(full)
    kills = Kills(full, full.manage("restore", str(path), "--yes").seconds, "restore", str(path), "--yes")
    full.execute("DELETE FROM revenue_payment WHERE id % 3 = 0")
    full.execute("UPDATE snapshots_snapshot SET node_total = 1")
    ruined = state(full)
    for seed in kills:
        kills.kill(seed)
        assert state(full) in (ruined, whole)
    assert full.manage("restore", str(path), "--yes").code == 0
    assert state(full) == whole
    assert full.query(HELD) == []
    assert_sums_hold(full.query)


@pytest.mark.slow
def test_killed_imports_leave_no_half_of_a_kind_and_the_next_one_completes_it(home: Home, old: Path):
    kills = Kills(home, home.manage("import_original", str(old)).seconds, "import_original", str(old))
    whole = state(home)
    for seed in kills:
        home.execute("DELETE FROM revenue_payment")
        home.execute("DELETE FROM revenue_dailytotal")
        home.execute("DELETE FROM revenue_app")
        home.execute("DELETE FROM snapshots_snapshot")
        home.execute("DELETE FROM snapshots_imageday")
        home.execute("DELETE FROM revenue_dailyprice")
        empty = state(home)
        kills.kill(seed)
        for found, nothing, everything in zip(state(home), empty, whole, strict=True):
            assert found in (nothing, everything)
        assert_sums_hold(home.query)
        assert home.manage("import_original", str(old)).code == 0
        assert state(home) == whole


@pytest.fixture
def pairs(full: Home) -> Iterator[Callable[[], None]]:
    """Somebody who writes two rows into two tables at a time, over and over."""
    over, errors = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            with full.connection() as connection:
                for number in range(10**6):
                    if over.is_set():
                        return
                    connection.execute("BEGIN")
                    day = f"20{40 + number // 330}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
                    connection.execute(
                        f"INSERT INTO revenue_dailyprice (day, source, attempts) VALUES ('{day}', 'pair', 0)"
                    )
                    connection.execute(f"INSERT INTO snapshots_refusal VALUES ('{day}', 'pair', 1, '{day} 00:00:00')")
                    connection.execute("COMMIT")
                    time.sleep(0.002)
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    yield lambda: None
    over.set()
    writer.join(AMPLE)
    assert errors == []


def test_a_backup_under_way_is_of_one_moment_and_keeps_nobody_from_writing(full: Home, pairs, tmp_path: Path):
    before = full.query("SELECT COUNT(*) FROM snapshots_refusal")[0][0]
    for number in range(2):
        path = tmp_path / f"{number}.gz"
        assert full.manage("backup", str(path)).code == 0
        prices = [row for row in rows_of(path, "revenue_dailyprice") if "pair" in row]
        assert len(prices) == len(rows_of(path, "snapshots_refusal"))
    assert full.query("SELECT COUNT(*) FROM snapshots_refusal")[0][0] > before


@pytest.mark.slow
def test_the_same_file_moves_to_another_installation_on_sqlite_and_back(full: Home, tmp_path: Path):
    """In the stage on PostgreSQL, from one engine to the other."""
    there, here = tmp_path / "there.gz", tmp_path / "here.gz"
    assert full.manage("backup", str(there)).code == 0
    embedded = {"DATABASE_URL": "", "FLUXTRACKER_DATA_DIR": str(tmp_path / "other")}
    assert full.manage("migrate", "--verbosity", "0", **embedded).code == 0
    report = full.manage("restore", str(there), "--yes", "--json", **embedded).report
    assert report["rows"] == full.manage("restore", str(there), "--yes", "--json").report["rows"]
    with closing(sqlite3.connect(tmp_path / "other" / DATABASE)) as local:
        moved = [[tuple(map(str, row)) for row in local.execute(statement)] for statement in STATE[:3]]
    assert moved == state(full)[:3]
    assert full.manage("backup", str(here), **embedded).code == 0
    whole = state(full)
    full.execute("DELETE FROM revenue_payment")
    assert full.manage("restore", str(here), "--yes").code == 0
    assert state(full) == whole
    full.execute(  # takes the next number of the table
        "INSERT INTO revenue_dailytotal (day, address, revenue_sat, payments, usd_micro, priced)"
        f" VALUES ('2040-01-01', '{MAIN}', 1, 1, 0, 0)"
    )


def test_a_sync_goes_on_where_the_backup_stood(home: Home, tmp_path: Path):
    with SimServer(World(payments=60, days=300, nodes=5, frozen=True)) as sim:
        home.settings |= sim.env()
        assert home.manage("sync_revenue").code == 0
        assert home.manage("backup", str(tmp_path / "all.gz")).code == 0
        sim.world.mine(20, [sim.world.payment(), sim.world.payment()])
        added = home.manage("sync_revenue", "--json").report["added"]
        assert added >= 2
        assert home.manage("restore", str(tmp_path / "all.gz"), "--yes").code == 0
        assert home.manage("sync_revenue", "--json").report["added"] == added
        assert_true(sim.world, home.query)
