"""Forged files: one line, exit code 1, nothing imported."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import date, timedelta

import pytest

from revenue.models import DailyPrice, Payment
from snapshots.models import ImageDay, Snapshot
from tests.snapshots import original
from tests.snapshots.network import at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

DAY = date(2026, 11, 19)
BOMB = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS txid, i AS snapshot_date FROM n"


@pytest.fixture
def clock(clock):
    clock.move_to(at("23:00"))
    return clock


@pytest.fixture
def file(tmp_path):
    return original.write(
        tmp_path / "flux-performance.db",
        snapshots=[original.snapshot(DAY)],
        transactions=[original.transaction(number) for number in range(3)],
        prices=[original.price(DAY)],
        images=[original.image(DAY, "nginx")],
    )


def changed(file, script):
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.executescript(script)
    return file


def assert_refused(in_process, path, words):
    outcome = in_process("import_original", str(path))
    assert outcome.code == 1, outcome
    assert words in outcome.reason
    assert "Traceback" not in outcome.err
    assert [model.objects.count() for model in (Snapshot, Payment, DailyPrice, ImageDay)] == [0, 0, 0, 0]


SCRIPTS = {
    "a view without an end": f"DROP TABLE revenue_transactions; CREATE VIEW revenue_transactions AS {BOMB};",
    "a view of the days": f"DROP TABLE daily_snapshots; CREATE VIEW daily_snapshots AS {BOMB};",
    "a view in place of what may be missing": f"DROP TABLE repo_snapshots; CREATE VIEW repo_snapshots AS {BOMB};",
    "a view in capitals": f"DROP TABLE flux_price_history; CREATE VIEW FLUX_Price_History AS {BOMB};",
    "a view of itself": "DROP TABLE repo_snapshots; CREATE VIEW a AS SELECT * FROM repo_snapshots;"
    "CREATE VIEW repo_snapshots AS SELECT * FROM a;",
    "a virtual table": "DROP TABLE repo_snapshots; CREATE VIRTUAL TABLE repo_snapshots USING fts5(snapshot_date);",
    "a generated column": "ALTER TABLE flux_price_history ADD COLUMN bomb AS (hex(zeroblob(400000000)));",
    "a huge blob": "UPDATE repo_snapshots SET image_name = zeroblob(50000000);",
    "a huge text": "UPDATE revenue_transactions SET app_name = hex(zeroblob(5000000));",
    "more FLUX than there is": "INSERT INTO revenue_transactions (txid, address, amount, block_height, timestamp)"
    " SELECT printf('%064x', i), (SELECT address FROM revenue_transactions LIMIT 1), 500000000, 3000000 + i,"
    " 1795000000 FROM (WITH RECURSIVE n(i) AS (SELECT 9 UNION ALL SELECT i + 1 FROM n LIMIT 300) SELECT i FROM n);",
    "a needed column that is missing": "ALTER TABLE revenue_transactions RENAME COLUMN txid TO id2;",
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_what_is_no_plain_table_is_refused(in_process, file, what):
    assert_refused(in_process, changed(file, SCRIPTS[what]), file.name)


def test_what_is_no_file_is_refused_and_not_waited_for(in_process, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert_refused(in_process, tmp_path / "pipe", "is not a file")
    assert_refused(in_process, tmp_path, "Is a directory")
    assert_refused(in_process, tmp_path / "absent", "No such file")
    assert_refused(in_process, "/dev/zero", "is not a file")


def test_a_log_beside_it_that_leads_elsewhere_is_not_followed(in_process, file, tmp_path):
    (tmp_path / f"{file.name}-wal").symlink_to("/etc/passwd")
    assert_refused(in_process, file, "links beside it")


@pytest.mark.parametrize("ending", ["-wal", "-journal", "-shm"])
def test_rubbish_beside_it_does_no_harm(in_process, file, tmp_path, ending):
    (tmp_path / f"{file.name}{ending}").write_bytes(os.urandom(40_000))
    outcome = in_process("import_original", str(file))
    assert outcome.code in (0, 1)
    assert "Traceback" not in outcome.err


ODD = ["x'00ff'", "'NaN'", "9e999", "-9e999", "-1", "9223372036854775807", "''", "NULL", "'١٢'", "1e308", "char(0)"]
COLUMNS = [
    ("daily_snapshots", name) for name in ("snapshot_date", "total_cpu_cores", "total_ram_gb", "gaming_palworld")
]
COLUMNS += [
    ("revenue_transactions", name) for name in ("txid", "amount", "amount_usd", "timestamp", "app_name", "date")
]
COLUMNS += [("flux_price_history", "price_usd"), ("repo_snapshots", "image_name"), ("repo_snapshots", "instance_count")]


@pytest.mark.engine
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_odd_values_cost_their_rows_and_nothing_else(in_process, tmp_path, table, column):
    """Each value is in its own row, and one row is valid."""
    days = [DAY - timedelta(days=back) for back in range(len(ODD) + 1)]
    file = original.write(
        tmp_path / "odd.db",
        snapshots=[original.snapshot(day) for day in days],
        transactions=[original.transaction(number) for number in range(len(days))],
        prices=[original.price(day) for day in days],
        images=[original.image(day, "nginx") for day in days],
    )
    for row, value in enumerate(ODD, start=1):
        changed(file, f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE rowid = {row};")
    outcome = in_process("import_original", str(file))
    assert outcome.code == 0, outcome.err
    assert all(model.objects.exists() for model in (Snapshot, Payment, DailyPrice, ImageDay))
    assert Snapshot.objects.filter(day__gt=DAY + timedelta(days=1)).count() == 0


CHECK = f"""
    DROP TABLE flux_price_history;
    CREATE TABLE flux_price_history (date TEXT, price_usd REAL, CHECK (date NOT LIKE '{"%a" * 20}b'));
    PRAGMA ignore_check_constraints = ON;
    INSERT INTO flux_price_history VALUES ('{"a" * 900}', 1);
"""


@pytest.mark.engine
def test_checks_and_triggers_are_never_run(in_process, file):
    assert in_process("import_original", str(changed(file, CHECK))).code == 0
    script = "CREATE TRIGGER t AFTER UPDATE ON revenue_transactions BEGIN DELETE FROM revenue_transactions; END;"
    assert in_process("import_original", str(changed(file, script))).code == 0
    assert Payment.objects.count() == 3
