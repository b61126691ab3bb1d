"""Limit how long the web process waits for PostgreSQL, even in the middle of a response."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from fluxtracker import database as limits

# So that the server stops what a request no longer waits for.
SETTINGS = f"SET statement_timeout = {limits.WAIT_S * 1000:.0f}; SET lock_timeout = {limits.LOCK_S * 1000:.0f}"  # ms


class Connection(psycopg.Connection[Any]):
    """Waits for its server no longer than the request may. libpq has no such limit."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        with limits.waiting(psycopg.OperationalError) as left:
            if left is None:
                return super().wait(gen, interval, timeout)
            until = time.monotonic() + left
            try:
                return super().wait(gen, interval, left)
            except psycopg.OperationalError as error:
                if time.monotonic() < until:
                    raise
                self.pgconn.finish()  # its response may come later, to another query
                raise psycopg.OperationalError("the database did not answer in time") from error


class DatabaseWrapper(base.DatabaseWrapper):
    def connect(self) -> None:
        with limits.silence.connecting():
            super().connect()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        with limits.waiting():
            connection = super().get_new_connection(conn_params)
        connection.__class__ = Connection
        return connection

    def init_connection_state(self) -> None:
        super().init_connection_state()
        with self.connection.cursor() as cursor:
            cursor.execute(SETTINGS)

    def is_usable(self) -> bool:
        started = time.monotonic()
        with limits.at_most(limits.CHECK_S):
            usable = bool(super().is_usable())
        if not usable and time.monotonic() - started >= limits.CHECK_S:
            limits.silence.begin()
        return usable
