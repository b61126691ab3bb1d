"""The database refuses to change or delete rows of the audit log, whoever asks.

A later migration that alters the table has to call `protect` again: SQLite makes altered tables anew, without triggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "ops_auditentry"
REFUSAL = "the audit log is append-only"
EVENTS = ("UPDATE", "DELETE")

FUNCTION = f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$
"""


def protect(database: BaseDatabaseWrapper) -> None:
    """Make the triggers, anew where they are there already."""
    unprotect(database)
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(FUNCTION)
        for event in EVENTS:
            cursor.execute(_trigger(event, database.vendor))


def unprotect(database: BaseDatabaseWrapper) -> None:
    with database.cursor() as cursor:
        for event in EVENTS:
            where = f" ON {TABLE}" if database.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_no_{event.lower()}{where}")


@contextmanager
def rewriting() -> Iterator[None]:
    """For a restore alone: inside one transaction the log can be replaced. What fails is rolled back, triggers too."""
    with transaction.atomic():
        unprotect(connection)
        yield
        protect(connection)


def _trigger(event: str, vendor: str) -> str:
    name = f"{TABLE}_no_{event.lower()}"
    what = f"{name} BEFORE {event} ON {TABLE}"
    if vendor == "postgresql":
        return f"CREATE TRIGGER {what} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()"
    return f"CREATE TRIGGER {what} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
