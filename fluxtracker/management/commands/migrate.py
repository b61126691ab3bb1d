"""Run Django's `migrate` next to running programs: wait briefly for a lock, let them pass, try again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections

from fluxtracker.env import make_private_file

LOCK_MS = 1_500  # less than a page waits for a lock (database_limits.LOCK_S), so that no page fails
TRIES = 40
PAUSE_S = 1.5
ONE_AT_A_TIME = 7_012_026  # any number not used elsewhere
LOCKED = ("55P03", "40P01")  # lock not available, deadlock


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> Any:
        """Create a new database's file first, as SQLite would make it world-readable."""
        connection = connections[options["database"]]
        if connection.vendor == "sqlite":
            make_private_file(Path(str(connection.settings_dict["NAME"])))
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        try:
            self._try_often(connection, args, options)
        finally:
            if connection.connection is not None and connection.is_usable():
                _execute(connection, "RESET lock_timeout; SELECT pg_advisory_unlock_all()")

    def _try_often(self, connection: Any, args: Any, options: Any) -> None:
        """Retry the migrations. Each is its own transaction, so finished ones stay."""
        for left in reversed(range(TRIES)):
            _execute(connection, f"SET lock_timeout = {LOCK_MS}")
            try:
                _execute(connection, f"SELECT pg_advisory_lock({ONE_AT_A_TIME})")
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in LOCKED:
                    raise
                if not left:
                    raise CommandError(
                        f"a table is still in use after {TRIES} tries; pg_stat_activity shows by which transaction"
                    ) from error
                self.stderr.write("a table is in use; trying again")
                time.sleep(PAUSE_S)


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
