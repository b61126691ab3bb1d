"""Words of strangers as databases and terminals take them. PostgreSQL refuses NUL, no engine half a surrogate."""

from __future__ import annotations

import math
from typing import Any


def printable(text: str) -> str:
    """The text with a blank in place of each character that cannot be printed."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " for letter in text)


def escaped(text: str) -> str:
    """The text with each character that cannot be printed written out, as in `\\x1b`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def storable(value: Any) -> Any:
    """The value as a JSON column takes it: texts printable, numbers finite or None, other things as text."""
    if isinstance(value, dict):
        return {printable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, int) else printable(str(value))
