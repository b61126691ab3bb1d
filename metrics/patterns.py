"""What an operator may write as a pattern, and what it matches. No tables here.

An image pattern is a part of an image's whole name. A name pattern is a prefix that 13 or more digits follow
(a site of its own deploys such apps, upstream.md 8.3), or with `*` at its end just a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.core.exceptions import ValidationError

LONGEST = 200
MOST = 50


def validate_image_patterns(value: object) -> None:
    _validate(value, r"[A-Za-z0-9._:/@-]{3,200}", "parts of image names, 3 letters or more: letters, digits and ._:/@-")


def validate_name_patterns(value: object) -> None:
    _validate(
        value, r"[A-Za-z0-9-]{3,100}\*?", "beginnings of app names, 3 letters or more, with or without * at the end"
    )


def _validate(value: object, form: str, expected: str) -> None:
    if not isinstance(value, list) or len(value) > MOST:
        raise ValidationError(f"expected a list of at most {MOST} {expected}")
    for pattern in value:
        if not isinstance(pattern, str) or not re.fullmatch(form, pattern):
            raise ValidationError(f"{str(pattern)[:50]!r}: expected {expected}")


def image_matcher(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Searches an image for any of the patterns; None when there are none."""
    return _compiled(re.escape(pattern) for pattern in patterns)


def name_matcher(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Matches app names from their beginning; None when there are none."""
    return _compiled(
        rf"{re.escape(pattern[:-1])}.*" if pattern.endswith("*") else rf"{re.escape(pattern)}[0-9]{{13,}}\Z"
        for pattern in patterns
    )


def _compiled(parts: Iterable[str]) -> re.Pattern[str] | None:
    found = list(parts)
    return re.compile("|".join(found), re.IGNORECASE) if found else None
