"""Write many rows without model instances, as a first read of messages has hundreds of thousands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import DateField, DateTimeField, Field, JSONField, Model


def write_rows(
    model: type[Model],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    unique: Sequence[str] = (),
    add: bool = False,
) -> None:
    """Insert rows with values of `columns`, which must include all required ones.

    If a row with the same `unique` values exists, its other columns are set or, with `add`, added to. Call inside a
    transaction.
    """
    table, by_column = connection.ops.quote_name(model._meta.db_table), list(zip(*rows, strict=True))
    if not by_column:
        return
    adapted = [_adapted(model._meta.get_field(name), values) for name, values in zip(columns, by_column, strict=True)]
    names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608  our own names
    if unique:
        old = f"{table}.{{0}} + " if add else ""
        changes = ", ".join(f"{{0}} = {old}EXCLUDED.{{0}}".format(name) for name in columns if name not in unique)
        sql += f" ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {changes}"
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*adapted, strict=True)))


def _naive(at: datetime | None) -> str | None:
    """Return an instant as written by Django's SQLite backend, in a quarter of the time."""
    return None if at is None else str(at if at.tzinfo is UTC else at.astimezone(UTC)).removesuffix("+00:00")


def _adapted(field: Field[Any, Any] | Any, values: Sequence[Any]) -> Iterable[Any]:
    """Return the values of one column in the engine's form."""
    adapt: Callable[[Any], Any] | None = None
    if isinstance(field, DateTimeField):
        adapt = _naive if connection.vendor == "sqlite" else connection.ops.adapt_datetimefield_value
    elif isinstance(field, DateField):
        adapt = connection.ops.adapt_datefield_value
    elif isinstance(field, JSONField):
        adapt = lambda value: field.get_db_prep_save(value, connection)  # noqa: E731
    return map(adapt, values) if adapt else values
