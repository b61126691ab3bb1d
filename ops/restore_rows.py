"""Rows into tables as fast as each engine takes them: COPY on PostgreSQL, one prepared statement on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.color import no_style
from django.db import connection

from ops import backup_tables
from ops.backup_file import NotRestorable, Row, TableHead
from ops.backup_tables import Column, Kind, Names, Table

NAMED = (Kind.CONTENT_TYPE, Kind.PERMISSION)
MANY = 10_000  # rows, from which on SQLite makes a table's indexes afterwards
LOCK_S = 30  # for those who are writing to be through


def clear(tables: list[Table]) -> None:
    """Delete all rows. On PostgreSQL nobody else writes to the tables from here to the commit, and all can read."""
    quoted = [connection.ops.quote_name(table.name) for table in tables]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_S}s'")
            cursor.execute(f"LOCK TABLE {', '.join(sorted(quoted))} IN SHARE ROW EXCLUSIVE MODE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for name in quoted:
            cursor.execute(f"DELETE FROM {name}")  # noqa: S608  our own names


class Loader:
    """Puts the rows of one table of a file into the database."""

    def __init__(self, table: Table, head: TableHead, names: Names) -> None:
        self.head, self.left_out = head, 0
        by_name = {column.name: column for column in table.columns}
        columns: tuple[Column, ...] = tuple(by_name[name] for name in head.columns)
        self._takes = backup_tables.reading(columns, names)
        self._named = [place for place, column in enumerate(columns) if column.kind in NAMED]
        self._nullable = {field.column for field in table.model._meta.concrete_fields if field.null}
        self._added = _defaults(table, head)
        self._quoted = ", ".join(map(connection.ops.quote_name, (*head.columns, *self._added)))
        self._table = connection.ops.quote_name(table.name)

    def load(self, batches: Iterable[list[Row]]) -> None:
        rows = self._fitted(batches)
        if connection.vendor == "postgresql":
            self._copy(rows)
        elif self.head.rows < MANY:
            self._insert(rows)
        else:
            with _indexes_afterwards(self.head.name):
                self._insert(rows)

    def _fitted(self, batches: Iterable[list[Row]]) -> Iterator[list[Row]]:
        added = list(self._added.values())
        for rows in batches:
            for row in rows:
                backup_tables.take(row, self._takes)
                if added:
                    row += added
            yield [row for row in rows if self._is_known(row)] if self._named else rows

    def _is_known(self, row: Row) -> bool:
        """A name that is still one has no row here: where nothing may stand instead it does, else the row stays out."""
        for place in self._named:
            if isinstance(row[place], str):
                self.left_out += 1
                if self.head.columns[place] not in self._nullable:
                    return False
                row[place] = None
        return True

    def _copy(self, batches: Iterator[list[Row]]) -> None:
        with (
            connection.wrap_database_errors,  # Django does not know of COPY
            connection.cursor() as cursor,
            cursor.copy(f"COPY {self._table} ({self._quoted}) FROM STDIN") as copy,
        ):
            for rows in batches:
                for row in rows:
                    copy.write_row(row)

    def _insert(self, batches: Iterator[list[Row]]) -> None:
        places = ", ".join(["%s"] * (len(self.head.columns) + len(self._added)))
        statement = f"INSERT INTO {self._table} ({self._quoted}) VALUES ({places})"  # noqa: S608  our own names
        with connection.cursor() as cursor:
            for rows in batches:
                cursor.executemany(statement, rows)


@contextmanager
def _indexes_afterwards(table: str) -> Iterator[None]:
    """SQLite sorts an index in one go far faster than it grows it row by row. In the transaction, as everything."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql <> ''", [table]
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {connection.ops.quote_name(name)}")
    yield
    with connection.cursor() as cursor:
        for _, statement in indexes:
            cursor.execute(statement)


def _defaults(table: Table, head: TableHead) -> dict[str, Any]:
    """Columns that a file of an older version does not have, with what they begin with."""
    lacking = [field for field in table.model._meta.concrete_fields if field.column not in head.columns]
    return {
        str(field.column): field.get_db_prep_save(field.get_default(), connection)
        for field in lacking
    }  # fmt: skip


def check_references() -> None:
    """Every reference of the rows leads to a row, now and not at the commit."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            return
        cursor.execute("PRAGMA foreign_key_check")
        if dangling := cursor.fetchone():
            raise NotRestorable(f"a row of {dangling[0]} points to a row of {dangling[2]} that the file does not have")


def reset_sequences(tables: list[Table]) -> None:
    """Let new rows begin after the ones that were loaded."""
    statements = connection.ops.sequence_reset_sql(no_style(), [table.model for table in tables])
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def analyze() -> None:
    """PostgreSQL plans by what it counted; a table that was filled in one go is not counted yet."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
