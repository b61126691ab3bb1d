"""The schema changes while the old programs run: readers wait briefly, and the migration succeeds."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.system.home import Home
from tests.system.test_silent_database import serving
from tests.system.test_slow_clients import EXPORT, ROWS, Web, fill, read_all

pytestmark = pytest.mark.postgresql


def back(home: Home) -> None:
    """As the release before the last migrations left the schema."""
    assert home.manage("migrate", "revenue", "0004", "--verbosity", "0").code == 0


def has_default(home: Home) -> bool:
    (default,) = home.query(
        "SELECT column_default FROM information_schema.columns"
        " WHERE table_name = 'revenue_app' AND column_name = 'priced'"
    )[0]
    return default is not None


def test_a_reader_that_rests_does_not_hold_a_migration_up(home):
    fill(home)
    with serving(home) as web, ExitStack() as sockets:
        slow = Web(home, "web", web.port, sockets).ask(EXPORT)
        assert slow.recv(9) == b"HTTP/1.1 "
        back(home)  # a migration as well
        assert not has_default(home)
        assert home.manage("migrate", "--verbosity", "0").code == 0
        assert has_default(home)
        assert read_all(slow).count(b"\r\n") > ROWS


def test_a_long_transaction_is_waited_for_in_small_steps_and_pages_go_on(home):
    back(home)
    with serving(home) as web:
        with home.connection() as other:
            other.execute("BEGIN")
            other.execute("SELECT COUNT(*) FROM revenue_app")
            process = home.start("migrate", "--verbosity", "0")
            line = process.stderr.readline()
            assert line == "a table is in use; trying again\n"
            assert web.ask("/export/apps.csv")[0] == 200  # reads that table, and no column that comes later
            assert not has_default(home)
            other.execute("COMMIT")
        assert home.finish(process).code == 0
    assert has_default(home)


def test_two_that_migrate_at_once_do_it_once(empty_home):
    both = [empty_home.start("migrate", "--verbosity", "0") for _ in range(2)]
    assert [empty_home.finish(process, 180).code for process in both] == [0, 0]
