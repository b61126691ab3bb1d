"""The SQLite file of the tracker that was replaced (original.md): opened without a trace, read at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

MAGIC = b"SQLite format 3\x00"
WAL = 2  # the version in bytes 18 and 19 of a file whose changes go through a log
NEEDED = {"daily_snapshots": "snapshot_date", "revenue_transactions": "txid"}
WAIT_S = 10.0  # for the old tracker to be through with a write

Row = dict[str, Any]


class NotTheOriginal(Exception):
    """The file is not one of the tracker that was replaced, or cannot be read."""


@dataclass(frozen=True, slots=True)
class OldFile:
    """An open file. Tables that older versions did not have are empty."""

    connection: sqlite3.Connection

    def rows(self, table: str) -> list[Row]:
        """Every row as it stands there, by column."""
        if not self._columns(table):
            return []
        cursor = self.connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  our own names
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def check(self) -> None:
        for table, column in NEEDED.items():
            if column not in self._columns(table):
                raise NotTheOriginal(f"is not a database of the tracker that was replaced: no {table}.{column} in it")
        found = self.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise NotTheOriginal(f"is damaged: {' '.join(str(found).split())[:200]}")

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self.connection.execute(f'PRAGMA table_info("{table}")')}


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
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(MAGIC):
        raise NotTheOriginal("is not a SQLite file")
    # With nobody at it and no log beside it the file is all there is: so opened, nothing is made beside it either.
    alone = head[18] == WAL and not path.with_name(f"{path.name}-wal").exists()
    address = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection
