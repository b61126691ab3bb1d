"""The SQLite file of the tracker that was replaced (original.md): opened without a trace, read at one moment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

MAGIC = b"SQLite format 3\x00"
WAL = 2  # the version in bytes 18 and 19 of a file whose changes go through a log
NEEDED = {"daily_snapshots": "snapshot_date", "revenue_transactions": "txid"}
MOST_ROWS = 5_000_000  # of a table; the old tracker has 2,000 images a day at the most
LONGEST_S = 300.0  # for reading it all
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,  # bytes of a row
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 300,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
}
HARMLESS = (
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION,
)  # fmt: skip
WAIT_S = 10.0  # for the old tracker to be through with a write

Row = dict[str, Any]


class NotTheOriginal(Exception):
    """The file is not one of the tracker that was replaced, or cannot be read."""


@dataclass(frozen=True, slots=True)
class OldFile:
    """An open file. Tables that older versions did not have are empty."""

    connection: sqlite3.Connection

    def rows(self, table: str) -> Iterator[Row]:
        """Every row as it stands there, by column."""
        if not self._columns(table):
            return
        cursor = self.connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  our own names
        names = [column[0] for column in cursor.description]
        for number, row in enumerate(cursor):
            if number >= MOST_ROWS:
                raise NotTheOriginal(f"has more than {MOST_ROWS:,} rows in {table}")
            yield dict(zip(names, row, strict=True))

    def check(self) -> None:
        for table, column in NEEDED.items():
            if column not in self._columns(table):
                raise NotTheOriginal(f"is not a database of the tracker that was replaced: no {table}.{column} in it")
        found = self.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise NotTheOriginal(f"is damaged: {' '.join(str(found).split())[:200]}")

    def _columns(self, table: str) -> set[str]:
        """Of a plain table; none where there is nothing of that name."""
        kinds = self.connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type <> 'index'", [table]
        ).fetchall()
        if not kinds:
            return set()
        columns = self.connection.execute(f'PRAGMA table_xinfo("{table}")').fetchall()
        virtual = any("VIRTUAL" in str(sql).upper().split("(")[0].split() for _, sql in kinds)
        if len(kinds) > 1 or kinds[0][0] != "table" or virtual or any(column[6] for column in columns):
            raise NotTheOriginal(f"is not a database of the tracker that was replaced: {table} is no plain table")
        return {column[1] for column in columns}


@contextmanager
def opened(path: Path) -> Iterator[OldFile]:
    """The file, checked, as it is at one moment. NotTheOriginal, or OSError where the system refuses."""
    try:
        with closing(_connect(path)) as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            found = OldFile(connection)
            found.check()
            yield found
    except sqlite3.Error as error:
        raise NotTheOriginal(f"cannot be read: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise NotTheOriginal("is no file")  # a pipe would be waited for
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(MAGIC):
        raise NotTheOriginal("is not a SQLite file")
    # With nobody at it and no log beside it the file is all there is: so opened, nothing is made beside it either.
    alone = head[18] == WAL and not path.with_name(f"{path.name}-wal").exists()
    if any(path.with_name(f"{path.name}{ending}").is_symlink() for ending in ("-wal", "-shm", "-journal")):
        raise NotTheOriginal("has links beside it that SQLite would follow")
    address = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    _confine(connection)
    return connection


def _confine(connection: sqlite3.Connection) -> None:
    """A stranger's schema may hold what is run when it is read: only tables are read, for so long, in such sizes."""
    for limit, most in LIMITS.items():
        connection.setlimit(limit, most)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")  # a LIKE of theirs may take for ever
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    until = time.monotonic() + LONGEST_S
    connection.set_progress_handler(lambda: time.monotonic() > until, 100_000)
    connection.set_authorizer(_authorized)


def _authorized(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in HARMLESS else sqlite3.SQLITE_DENY
