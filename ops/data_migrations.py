"""Define data migrations that correct stored rows, run by `migrate` and after restoring an older file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from django.apps import apps
from django.db import connection
from django.db.migrations import RunPython
from django.db.migrations.executor import MigrationExecutor


class MendRows(RunPython):
    """Corrects rows written wrongly by an earlier release."""

    def __init__(self, code: Callable[[Any, Any], None]) -> None:
        super().__init__(code, RunPython.noop)


def mend_restored(applied: Mapping[str, Collection[str]]) -> None:
    """Correct the rows of a database that had only these migrations, by app."""
    executor = MigrationExecutor(connection)
    models, editor = cast(Any, apps), connection.schema_editor()  # with all columns, as every migration has run
    for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True):
        if migration.name not in applied.get(migration.app_label, ()):
            for operation in migration.operations:
                if isinstance(operation, MendRows):
                    operation.code(models, editor)
