"""What a cell of a backup may hold, by the field that it goes to. ValueError or TypeError for anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import models
from django.db.backends.base.operations import BaseDatabaseOperations

Check = Callable[[Any], Any]

OURS = ("ops", "revenue", "metrics", "carousel", "snapshots")
MOST_PARTS = 1_000_000  # of a JSON text
LONGEST_NAME = 300


def plain(field: models.Field[Any, Any]) -> Check:
    kind = field.get_internal_type()
    if kind == "BooleanField":
        return _boolean
    if kind == "JSONField":
        return _json_of(field)
    if kind in BaseDatabaseOperations.integer_field_ranges:
        return _whole_from(*BaseDatabaseOperations.integer_field_ranges[kind])
    return _text_of(field)


def decimal(field: models.Field[Any, Any]) -> Check:
    places: int = getattr(field, "decimal_places", 0)
    limit = Decimal(10) ** (int(getattr(field, "max_digits", 0)) - places)

    def check(value: Any) -> str:
        try:
            if isinstance(value, str) and len(value) <= LONGEST_NAME and abs(Decimal(value)) < limit:
                return value
        except InvalidOperation:  # also of what is no number when it is compared
            pass
        raise ValueError("no decimal that fits")

    return check


def name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise ValueError("no name")
    return value


def _boolean(value: Any) -> Any:
    if value not in (0, 1) or not isinstance(value, int):
        raise ValueError("neither true nor false")
    return value


def _whole_from(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"no whole number from {low} to {high}")
        return value

    return check


def _text_of(field: models.Field[Any, Any]) -> Check:
    longest = field.max_length or 10**9
    ours = field.model._meta.app_label in OURS and field.choices
    allowed = {key for key, _ in field.flatchoices} | {""} if ours else None

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or "\x00" in value:
            raise ValueError(f"no text of at most {longest} characters")
        if allowed is not None and value not in allowed:
            raise ValueError("none of the words that there are")
        return value

    return check


def _json_of(field: models.Field[Any, Any]) -> Check:
    """Text, as both engines store it; of a column that begins as an object or a list, one of these."""
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
