"""Ledgers that many tests begin with: each is synced once, and its rows are stored again for the tests after the first.

The network beside it is made again each time: the same arguments and the same moment make the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model, QuerySet

from tests.simnet.world import World

OURS = ("ops", "revenue", "metrics", "carousel", "snapshots")
FRESH_S = 150.0  # what is older is made again: pages and health say how old a ledger is

Rows = dict[type[Model], list[Model]]


@dataclass(frozen=True)
class Kept:
    """The tables that differ from those of an empty installation, and the time of the network."""

    now: datetime
    before: Rows
    rows: Rows
    made_at: float = field(default_factory=time.monotonic)

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.made_at < FRESH_S and self.now.date() == datetime.now(UTC).date()

    def store(self) -> None:
        for model, rows in self.rows.items():
            table: QuerySet[Model] = QuerySet(model)
            if self.before[model]:
                table.delete()
            table.bulk_create(rows)
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), list(self.rows)):
                cursor.execute(statement)


KEPT: dict[str, Kept] = {}


def all_rows() -> Rows:
    models = [model for name in OURS for model in apps.get_app_config(name).get_models()]
    return {model: list(QuerySet(model).order_by("pk")) for model in models}


def values(rows: list[Model]) -> list[dict[str, Any]]:
    return [{name: value for name, value in vars(row).items() if name != "_state"} for row in rows]


def begin(
    name: str,
    build: Callable[..., Any],
    manage: Callable[..., Any],
    commands: Sequence[str] = ("sync_revenue",),
    grow: Callable[[World], object] = lambda world: None,
    **options: Any,
) -> Any:
    """A network that has grown, and its ledger after these commands. `name` identifies all the rest."""
    found = KEPT.get(name)
    if found and found.is_fresh:
        sim = build(now=found.now, **options)
        grow(sim.world)
        found.store()
        return sim
    now, before = datetime.now(UTC), all_rows()
    sim = build(now=now, **options)
    grow(sim.world)
    for command in commands:
        outcome = manage(command)
        assert outcome.code == 0, outcome.err
    after = all_rows()
    changed = {model: rows for model, rows in after.items() if values(rows) != values(before[model])}
    KEPT[name] = Kept(now, before, changed)
    sim.requests.clear()
    return sim
