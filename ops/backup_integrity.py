"""Whether the database itself finds that it is whole."""

from __future__ import annotations

from django.db import connection

BROKEN_INDEXES = """
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE NOT (indisvalid AND indisready AND indislive) ORDER BY 1 LIMIT 1
"""
UNCHECKED = "SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1 LIMIT 1"
CHECKSUMS = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"


def trouble() -> str | None:
    """What the engine's own check finds wrong; None: nothing."""
    return _sqlite() if connection.vendor == "sqlite" else _postgresql()


def _sqlite() -> str | None:
    """Every page, then every reference."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        found = cursor.fetchone()[0]
        if found != "ok":
            return " ".join(str(found).split())[:300]
        cursor.execute("PRAGMA foreign_key_check")
        dangling = cursor.fetchone()
    return (
        f"row {dangling[1]} of {dangling[0]} points to a row of {dangling[2]} that is not there" if dangling else None
    )


def _postgresql() -> str | None:
    """What the server knows to be broken. Each page's checksum, where the cluster has them, is tested as it is read."""
    with connection.cursor() as cursor:
        for question, words in ((BROKEN_INDEXES, "the index {} is not valid"), (UNCHECKED, "{} was never checked")):
            cursor.execute(question)
            if found := cursor.fetchone():
                return words.format(found[0])
        cursor.execute(CHECKSUMS)
        failures = cursor.fetchone()[0]
    return f"{failures} pages had wrong checksums" if failures else None
