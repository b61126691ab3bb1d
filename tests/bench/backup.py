"""Fill the database of the settings, measure backup and restore as an operator runs them, and print a table."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import django

from tests.system.home import Home


def main(payments: int, database_url: str) -> None:
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from tests.bench.rows import fill

    call_command("migrate", verbosity=0)
    fill(payments)
    engine = connection.vendor
    connection.close()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(f"{engine}, {payments:,} payments: measured (target)\n")
        measure(Home(Path(os.environ["FLUXTRACKER_DATA_DIR"]), database_url), Path(folder) / "all.gz")


def measure(home: Home, file: Path) -> None:
    for words, seconds, megabytes in (("backup {}", 60, 200), ("restore {} --yes", 180, None)):
        done = home.measure(*words.format(file).split(), "--json", timeout=1_200)
        assert done.code == 0, done.err
        room = f" ({megabytes})" if megabytes else ""
        verb = words.split()[0]
        sys.stdout.write(f"  {done.seconds:8.1f} s ({seconds})   {done.peak_mb:6.0f} MB{room}   {verb}\n")
    sys.stdout.write(f"  {file.stat().st_size / 1e6:8.0f} MB   the file\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
