"""The database refuses to change, replace or delete rows of the audit log, and to empty it, whoever asks.

A later migration that alters the table has to call `protect` again: SQLite makes altered tables anew, without triggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "ops_auditentry"
REFUSAL = "the audit log is append-only"
PREFIX = f"{TABLE}_no"
DROPPED = ("update", "delete", "insert", "truncate")  # whichever of them an engine has

# PostgreSQL: emptying what is empty harms nobody, and a database that is flushed lists all of its tables.
FUNCTIONS = (
    f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$
""",
    f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF EXISTS (SELECT 1 FROM {TABLE}) THEN RAISE EXCEPTION '{REFUSAL}'; END IF; RETURN NULL; END $$
""",  # noqa: S608  our own names
)
TRIGGERS = {
    "postgresql": (
        *FUNCTIONS,
        f"CREATE TRIGGER {PREFIX}_update BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
        f"CREATE TRIGGER {PREFIX}_delete BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
        f"CREATE TRIGGER {PREFIX}_truncate BEFORE TRUNCATE ON {TABLE} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse_truncate()",
    ),
    "sqlite": tuple(
        f"CREATE TRIGGER {PREFIX}_{event} BEFORE {event.upper()} ON {TABLE} {when}"
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for event, when in (
            ("update", ""),
            ("delete", ""),  # REPLACE deletes without asking it
            ("insert", f"WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id) "),  # noqa: S608  our own names
        )
    ),
}


def protect(database: BaseDatabaseWrapper) -> None:
    """Make the triggers, anew where they are there already."""
    unprotect(database)
    with database.cursor() as cursor:
        for statement in TRIGGERS[database.vendor]:
            cursor.execute(statement)


def unprotect(database: BaseDatabaseWrapper) -> None:
    where = f" ON {TABLE}" if database.vendor == "postgresql" else ""
    with database.cursor() as cursor:
        for event in DROPPED:
            cursor.execute(f"DROP TRIGGER IF EXISTS {PREFIX}_{event}{where}")


@contextmanager
def rewriting() -> Iterator[None]:
    """For a restore alone: inside one transaction the log can be replaced. What fails is rolled back, triggers too."""
    with transaction.atomic():
        unprotect(connection)
        yield
        protect(connection)
