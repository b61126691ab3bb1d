"""How much room the data takes, and how much is left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

FULL_SHARE, FULL_BYTES = 0.10, 2 << 30
SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk under the data dir, in bytes."""

    free: int
    total: int

    def is_nearly_full(self, relief: float = 1) -> bool:
        """Return whether what is free is below both limits, each times `relief`."""
        return self.free < FULL_BYTES * relief and self.free < self.total * FULL_SHARE * relief


def disk() -> Disk | None:
    """None where the data dir cannot be looked at."""
    try:
        usage = shutil.disk_usage(settings.DATA_DIR)
    except OSError:
        return None
    return Disk(usage.free, usage.total)


def database_bytes() -> int:
    """What the database's engine says it takes. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SIZE[connection.vendor])
        row = cursor.fetchone()
    return int(row[0])
