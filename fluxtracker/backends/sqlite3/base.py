"""Limit how long the web process waits for SQLite, where only the first of several statements waits for a lock."""

from __future__ import annotations

from typing import Any

from django.db.backends.sqlite3 import base

from fluxtracker import database as limits

CACHE_KB = 1_000  # per thread, of which a web process has ten


class DatabaseWrapper(base.DatabaseWrapper):
    def connect(self) -> None:
        with limits.silence.connecting(), limits.waiting():
            super().connect()
        self.connection.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        self.execute_wrappers = [_counted]


def _counted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.startswith("ROLLBACK"):  # ends a transaction of any length
        return execute(sql, params, many, context)
    with limits.waiting():
        return execute(sql, params, many, context)
