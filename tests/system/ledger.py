"""What a ledger must say, asked of the database itself in plain SQL and held against the network's own truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.simnet.world import World

Query = Callable[[str], list[tuple[Any, ...]]]

ROWS = "SELECT txid, vout, address, amount_sat, height, from_address, message_hash FROM revenue_payment"
TOTALS = "SELECT day, address, revenue_sat, payments, usd_micro, priced FROM revenue_dailytotal"
SUMS = (
    "SELECT day, address, SUM(amount_sat), COUNT(*), COALESCE(SUM(usd_micro), 0), COUNT(usd_micro)"
    " FROM revenue_payment GROUP BY day, address"
)
APPS = "SELECT id, payments, revenue_sat, usd_micro, priced FROM revenue_app WHERE payments > 0"
APP_SUMS = (
    "SELECT app_id, COUNT(*), SUM(amount_sat), COALESCE(SUM(usd_micro), 0), COUNT(usd_micro)"
    " FROM revenue_payment WHERE app_id IS NOT NULL GROUP BY app_id"
)
NAMES = (
    "SELECT p.message_hash, a.name, p.app_type FROM revenue_payment p LEFT JOIN revenue_app a ON a.id = p.app_id"
    " WHERE p.kind = 'app'"
)


def here(statement: str) -> list[tuple[Any, ...]]:
    """Ask the test's own database."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def rows(query: Query = here) -> set[tuple[Any, ...]]:
    found = query(ROWS)
    assert len(found) == len(set(found)) == len({row[:2] for row in found}), "a payment is there twice"
    return set(found)


def truth(world: World, tip: int | None = None, confirmations: int = 8) -> set[tuple[Any, ...]]:
    return set(map(tuple, world.truth(confirmations, tip)))


def read_tip(query: Query = here) -> int:
    """The tip that the last sync worked with, as its source counts."""
    return int(query("SELECT tip_height + tip_ahead FROM revenue_ledgerstate")[0][0])


def assert_true(world: World, query: Query = here, tip: int | None = None, confirmations: int = 8) -> None:
    """Rows, daily totals and app sums say exactly what the chain says."""
    found, expected = rows(query), truth(world, tip, confirmations)
    assert (sorted(expected - found)[:3], sorted(found - expected)[:3]) == ([], [])
    assert_sums_hold(query)
    if tip is None:
        days = {(str(day), address): (sat, count) for day, address, sat, count, *_ in query(TOTALS)}
        assert days == {(str(day), who): sums for (day, who), sums in world.expected_daily(confirmations).items()}


def assert_sums_hold(query: Query = here) -> None:
    """Totals equal the sums of their rows, by day and by app.

    Each comparison is one statement, so that it sees one moment of a ledger that a worker writes to.
    """
    for kept, counted in ((TOTALS, SUMS), (APPS, APP_SUMS)):
        assert query(f"{kept} EXCEPT {counted}") == []
        assert query(f"{counted} EXCEPT {kept}") == []


def assert_named(world: World, query: Query = here) -> None:
    """Every payment whose message the registry knows carries its app and type, no other does."""
    known = {name: (app, "git" if is_git else "docker") for name, (app, is_git) in world.expected_names().items()}
    for message_hash, app, app_type in query(NAMES):
        assert (app, app_type) == known.get(message_hash, (None, "unknown"))
