"""Derive report keys from dataclasses, as printed by commands, stored by jobs and described by the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from rest_framework import serializers

INTERNAL: Mapping[str, Any] = {"internal": True}
"""Metadata of a field that is no key of the report."""
UNDESCRIBED: Mapping[str, Any] = {"undescribed": True}
"""Metadata of a key that the API's description leaves out."""
SIMPLE: Mapping[type, type[serializers.Field[Any, Any, Any, Any]]] = {
    int: serializers.IntegerField,
    float: serializers.FloatField,
    bool: serializers.BooleanField,
    str: serializers.CharField,
    Path: serializers.CharField,
    date: serializers.DateField,
}


def described(help_text: str | None = None, *, key: str = "", **options: Any) -> dict[str, Any]:
    """Return a field's metadata: description, key, and options of the serializer field.

    With `allow_null=False`, None omits the key.
    """
    return {"key": key, "options": {"help_text": help_text, **options}}


def as_report(report: Any) -> dict[str, Any]:
    """Return the dataclass as JSON: camelCase keys, days as ISO dates."""
    values = {}
    for field in fields(report):
        value, allow_null = getattr(report, field.name), field.metadata.get("options", {}).get("allow_null", True)
        if "internal" not in field.metadata and (value is not None or allow_null):
            values[_key(field)] = _plain(value)
    return values


@cache
def result_of(report: type, base: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Return the serializer of a report; its fields follow those of the base."""
    hints = get_type_hints(report)
    attributes: dict[str, Any] = {
        _key(field): _serializer_field(hints[field.name], field.metadata.get("options", {}))
        for field in fields(report)
        if not field.metadata.keys() & {"internal", "undescribed"}
    }
    return type(name_of(report, "Result"), (base,), attributes)


def name_of(report: type, suffix: str) -> str:
    """Return the report's schema name: `SyncResult` for `SyncReport`."""
    return report.__name__.removesuffix("Report") + suffix


def _key(field: Field[Any]) -> str:
    first, *rest = field.name.split("_")
    return str(field.metadata.get("key") or first + "".join(map(str.capitalize, rest)))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return as_report(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str | Path) else value


def _serializer_field(hint: Any, options: Mapping[str, Any]) -> Any:
    parts = get_args(hint)
    if NoneType in parts:
        (inner,) = (part for part in parts if part is not NoneType)
        return _serializer_field(inner, {"allow_null": True, **options})
    if get_origin(hint) is tuple:
        return result_of(parts[0], serializers.Serializer)(many=True, **options)
    if get_origin(hint) is dict:
        return serializers.DictField(child=SIMPLE.get(parts[1], serializers.CharField)(), **options)
    return SIMPLE[hint](**options)
