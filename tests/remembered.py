"""Rows that many tests begin with, made once and restored for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from ops.audit_log import rewriting

LASTING = {"django_content_type", "auth_permission"}  # as the migrations leave them
Rows = list[tuple[Any, ...]]
Tables = dict[str, Rows]


def standing() -> Tables:
    """The rows of each table."""
    names = sorted(set(connection.introspection.django_table_names(only_existing=True)) - LASTING)
    with connection.cursor() as cursor:
        return {name: rows_of(cursor, name) for name in names}


def rows_of(cursor: Any, name: str) -> Rows:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)} ORDER BY 1")
    return list(cursor.fetchall())


def put_back(tables: Tables) -> None:
    """Restore the tables that differ."""
    with rewriting(), connection.cursor() as cursor:
        for name, rows in tables.items():
            if rows_of(cursor, name) != rows:
                write(cursor, name, rows)


def write(cursor: Any, name: str, rows: Rows) -> None:
    table = connection.ops.quote_name(name)
    cursor.execute(f"DELETE FROM {table}")
    if rows:
        cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)


KNOWN: dict[Callable[..., object], Tables] = {}


def again(make: Callable[[], object]) -> None:
    """Have the rows that `make` makes, for a test whose own rows are undone: only its first call makes them.

    `make` is to find its tables as every test finds them.
    """
    if make in KNOWN:
        with connection.cursor() as cursor:
            for name, rows in KNOWN[make].items():
                write(cursor, name, rows)
        return
    before = standing()
    make()
    KNOWN[make] = {name: rows for name, rows in standing().items() if rows != before[name]}
