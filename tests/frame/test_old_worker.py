"""A worker of the previous release can write to the database with the new schema."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel
from django.db.models import NOT_PROVIDED

from tests.frame.previous_release import FILE, OURS

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

PREVIOUS: dict[str, dict[str, str]] = json.loads(FILE.read_text())
SAMPLES: dict[str, Any] = {
    "CharField": None,  # something that no row has
    "TextField": "x",
    "SlugField": "x",
    "JSONField": "{}",
    "BooleanField": True,
    "DateField": "2020-02-02",
    "DateTimeField": "2020-02-02 02:02:02",
    "DecimalField": "1.5",
    "FloatField": 1.5,
    "BinaryField": b"x",
}
SPECIAL = {  # what the tables' own rules want
    "revenue_payment": {"source": "blockbook", "kind": "plain", "app_type": "git"},
    "revenue_ledgerstate": {"id": 1},
    "revenue_liveprice": {"id": 1},
    "snapshots_warmcomparison": {"period": "Z"},
}
ADDED = {  # (app, model, column) of every column that came after its table
    (name, operation.model_name_lower, operation.name)
    for (name, _), migration in MigrationLoader(None).disk_migrations.items()
    if name in OURS
    for operation in migration.operations
    if isinstance(operation, AddField)
}


def sample(table: str, column: str, kind: str) -> Any:
    value = SAMPLES.get(kind, 20_202)
    return SPECIAL.get(table, {}).get(column, secrets.token_hex(4) if value is None else value)


def insert(table: str, columns: dict[str, str]) -> None:
    """A row of these columns alone, taken back at once: its references lead nowhere."""
    row = {name: sample(table, name, kind) for name, kind in columns.items() if kind != "BigAutoField"}
    row |= SPECIAL.get(table, {})
    names = ", ".join(map(connection.ops.quote_name, row))
    with transaction.atomic(), connection.cursor() as cursor:
        if "id" in row:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))
        transaction.set_rollback(True)


@pytest.mark.parametrize("table", PREVIOUS)
def test_the_columns_that_the_previous_release_knew_make_a_row(table):
    insert(table, PREVIOUS[table])


@pytest.mark.parametrize("table", PREVIOUS)
def test_the_columns_that_a_table_began_with_make_a_row(table):
    model = next(model for model in apps.get_models(include_auto_created=True) if model._meta.db_table == table)
    label = (model._meta.app_label, model._meta.model_name)
    later = {model._meta.get_field(name).column for *owner, name in ADDED if tuple(owner) == label}
    insert(table, {name: kind for name, kind in PREVIOUS[table].items() if name not in later})


def test_every_column_that_was_added_has_a_default_in_the_database_or_may_be_null():
    wrong = [
        f"{app}.{name}.{column}"
        for app, name, column in sorted(ADDED)
        if not (field := apps.get_model(app, name)._meta.get_field(column)).null
        and field.db_default is NOT_PROVIDED
        and not field.many_to_many
    ]
    assert wrong == []


def test_nothing_that_the_previous_release_writes_to_is_gone():
    tables = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    for table, columns in PREVIOUS.items():
        assert set(columns) <= {field.column for field in tables[table]._meta.concrete_fields}, table


def test_all_tables_of_ours_were_looked_at():
    made = {
        (name, operation.name_lower)
        for (name, _), migration in MigrationLoader(None).disk_migrations.items()
        if name in OURS
        for operation in migration.operations
        if isinstance(operation, CreateModel)
    }
    assert len(PREVIOUS) > 20
    assert {model._meta.db_table for model in apps.get_models() if model._meta.app_label in OURS} >= set(PREVIOUS)
    assert len(made) >= len(PREVIOUS)
