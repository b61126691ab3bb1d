"""List the tables of a backup, write values that either engine can read, and check values that are read.

Left out: tables that describe the running machine or that `migrate` fills (EXCLUDED). References to content types
and permissions are by name, as ids differ between databases. A value that its field cannot hold raises ValueError
or TypeError.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.backends.base.operations import BaseDatabaseOperations

from ops.registry import APPS

Change = Callable[[Any], Any]

MOST_PARTS = 1_000_000  # of a JSON text
LONGEST_NAME = 300


def _decimal_of(field: models.Field[Any, Any]) -> Change:
    places: int = getattr(field, "decimal_places", 0)
    limit = Decimal(10) ** (int(getattr(field, "max_digits", 0)) - places)

    def check(value: Any) -> str:
        try:
            if isinstance(value, str) and len(value) <= LONGEST_NAME and abs(Decimal(value)) < limit:
                return value
        except InvalidOperation:  # also when a comparison meets a value that is not a number
            pass
        raise ValueError("no decimal that fits")

    return check


def _boolean(value: Any) -> Any:
    if value not in (0, 1) or not isinstance(value, int):
        raise ValueError("neither true nor false")
    return value


def _whole_from(low: int, high: int) -> Change:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"no whole number from {low} to {high}")
        return value

    return check


def _text_of(field: models.Field[Any, Any]) -> Change:
    longest = field.max_length or 10**9
    ours = field.model._meta.app_label in APPS and field.choices
    allowed = {key for key, _ in field.flatchoices} | {""} if ours else None

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or "\x00" in value:
            raise ValueError(f"no text of at most {longest} characters")
        if allowed is not None and value not in allowed:
            raise ValueError("none of the words that there are")
        return value

    return check


def _json_of(field: models.Field[Any, Any]) -> Change:
    """Check JSON text, as stored by both engines; a column of objects or lists must hold one."""
    kind: Any = field.default if field.default in (dict, list) else object

    def check(value: Any) -> str:
        if not isinstance(value, str) or sum(map(value.count, ",[{")) > MOST_PARTS:
            raise ValueError("no JSON")
        try:
            if not isinstance(json.loads(value), kind):
                raise ValueError(f"JSON that is no {kind.__name__}")
        except RecursionError:
            raise ValueError("JSON that is nested too deeply") from None
        return value

    return check


INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
EXCLUDED = frozenset(
    {
        "contenttypes.ContentType",  # filled by migrate
        "auth.Permission",
        "sessions.Session",  # all users sign in again
        "django_celery_beat.PeriodicTasks",  # notifies a running beat of changed rows
        "ops.Lease",  # current holders
        "ops.WorkerSeen",
        "ops.SignInAttempt",  # valid for 15 minutes
    }
)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    field: models.Field[Any, Any]
    """Field of its values: of a reference, the field that it points to."""
    null: bool
    named: str = ""
    """The one of `Names` that writes its values; empty: they are values."""

    @property
    def kind(self) -> str:
        return self.named or self.field.get_internal_type()


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its database name, with columns in model order."""

    name: str
    model: type[models.Model]
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        return str(self.model._meta.pk.column)


def tables() -> dict[str, Table]:
    """Return all tables of a backup by name."""
    held = (model for model in apps.get_models(include_auto_created=True) if _is_held(model))
    return {model._meta.db_table: _table(model) for model in held}


def _is_held(model: type[models.Model]) -> bool:
    options = model._meta
    return options.managed and not options.proxy and options.label not in EXCLUDED


def _table(model: type[models.Model]) -> Table:
    return Table(model._meta.db_table, model, tuple(map(_column, model._meta.concrete_fields)))


def _column(column: models.Field[Any, Any]) -> Column:
    if not isinstance(column, models.ForeignKey):
        return Column(str(column.column), column, column.null)
    named = {ContentType: "content_types", Permission: "permissions"}.get(column.related_model, "")
    return Column(str(column.column), column.target_field, column.null, named)


def query(statement: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    """Execute a statement and return its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


Changes = list[tuple[int, Change]]


@dataclass(frozen=True, slots=True)
class Names:
    """Content types and permissions of this database by id and by name."""

    content_types: Mapping[int, str]
    permissions: Mapping[int, str]
    by_name: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        turned = {name: number for names in (self.content_types, self.permissions) for number, name in names.items()}
        object.__setattr__(self, "by_name", turned)

    @classmethod
    def load(cls) -> Names:
        types = {pk: f"{app}.{model}" for pk, app, model in ContentType.objects.values_list("id", "app_label", "model")}
        rows = Permission.objects.values_list("id", "content_type_id", "codename")
        return cls(types, {pk: f"{types[kind]}:{codename}" for pk, kind, codename in rows})

    def number(self, name: Any) -> int | str:
        """Return the id of a name in this database, or the name itself if it has none."""
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            raise ValueError("no name")
        return self.by_name.get(name, name)


def writing(table: Table, names: Names) -> Changes:
    """Return conversions by column for writing a row to a file."""
    makers: dict[str, Callable[[Column], Change]] = {
        "FloatField": lambda _: _finite,
        "DecimalField": lambda column: f"{{:.{getattr(column.field, 'decimal_places', 0)}f}}".format,
        "BinaryField": lambda _: lambda value: base64.b64encode(value).decode(),
        "content_types": lambda _: names.content_types.__getitem__,
        "permissions": lambda _: names.permissions.__getitem__,
    }
    return [(i, makers[column.kind](column)) for i, column in enumerate(table.columns) if column.kind in makers]


def _finite(value: float) -> float | str:
    """Return infinity as text, as JSON has none."""
    return value if math.isfinite(value) else str(value)


Takes = list[tuple[int, Change, bool]]


def reading(columns: tuple[Column, ...], names: Names) -> Takes:
    """Return conversions by column for loading a row, and which columns are nullable."""
    return [(i, _reader(column, names), column.null) for i, column in enumerate(columns)]


def _reader(column: Column, names: Names) -> Change:
    """Return a function that checks and converts a value. Text, integers and booleans are written unchanged."""
    match column.kind:
        case "content_types" | "permissions":
            return names.number
        case "BooleanField":
            return _boolean
        case "CharField" | "TextField":
            return _text_of(column.field)
        case "JSONField":
            return _json_of(column.field)
        case "DateTimeField":
            return _instant_for_sqlite if connection.vendor == "sqlite" else _instant
        case "DateField":
            return _day
        case "DecimalField":
            return _decimal_of(column.field)
        case "FloatField":
            return _number
        case "BinaryField":
            return _bytes
        case kind:
            return _whole_from(*BaseDatabaseOperations.integer_field_ranges[kind])


def change(row: list[Any], changes: Changes) -> None:
    for place, how in changes:
        if row[place] is not None:
            row[place] = how(row[place])


def take(row: list[Any], takes: Takes) -> None:
    """Convert a row. Raise ValueError or TypeError for values its columns cannot hold."""
    for place, how, null in takes:
        if row[place] is not None:
            row[place] = how(row[place])
        elif not null:
            raise ValueError("nothing where something has to be")


def _instant(text: str) -> str:
    if not INSTANT.fullmatch(text) or datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("an instant without its offset")
    return text


def _instant_for_sqlite(text: str) -> str:
    """Return the instant as Django stores it in SQLite: UTC without offset."""
    if not _instant(text).endswith("Z"):
        raise ValueError("an instant that is not UTC")
    return text[:-1].replace("T", " ")


def _day(text: str) -> str:
    if not DAY.fullmatch(text):
        raise ValueError("no day")
    return date.fromisoformat(text).isoformat()


def _number(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and value not in ("inf", "-inf", "nan")):
        raise ValueError("no number")
    return float(value)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
