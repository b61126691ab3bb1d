"""Several questions to the database that have to agree with each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from fluxtracker import database_limits


@contextmanager
def one_moment() -> Iterator[None]:
    """All reads inside see the database as it is at one moment, and keep nobody waiting.

    On SQLite `atomic()` would take the write lock (transaction_mode IMMEDIATE), so the transaction is begun
    by hand.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # Compiling a query takes longer than any of ours.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off")
            yield


@contextmanager
def one_long_moment() -> Iterator[None]:
    """The same for what may take longer than a page."""
    database_limits.begin(database_limits.EXPORT_S)
    with one_moment():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [f"{database_limits.EXPORT_S:.0f}s"])
        yield
