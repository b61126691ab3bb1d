"""What an operator may write as a pattern, and what it matches. No tables here.

An image pattern is a part of an image's normalised name, in any spelling. A name pattern is a prefix that 13 or
more digits follow (a site of its own deploys such apps, docs/upstream.md#tracked-apps), or with `*` at its
end just a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.core.exceptions import ValidationError

from fluxtracker.images import image_part, is_registry

SHORTEST, LONGEST = 3, 200
MOST = 50


def validate_image_patterns(value: object) -> None:
    expected = "parts of image names, 3 letters or more without docker.io/ and library/: letters, digits and ._:/@-"
    for pattern in _validate(value, r"[A-Za-z0-9._:/@-]{3,200}", expected):
        if is_registry(f"{pattern}/") or len(image_part(pattern)[0]) < SHORTEST:
            raise ValidationError(f"{pattern[:50]!r}: expected {expected}")


def validate_name_patterns(value: object) -> None:
    _validate(
        value, r"[A-Za-z0-9-]{3,100}\*?", "beginnings of app names, 3 letters or more, with or without * at the end"
    )


def _validate(value: object, form: str, expected: str) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST:
        raise ValidationError(f"expected a list of at most {MOST} {expected}")
    for pattern in value:
        if not isinstance(pattern, str) or not re.fullmatch(form, pattern):
            raise ValidationError(f"{str(pattern)[:50]!r}: expected {expected}")
    return value


def image_matcher(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Return what searches a normalised image for any of the patterns; None when there are none.

    A pattern that names Docker Hub fits the beginning alone: normalised names of images there have no host.
    """
    parts = filter(lambda found: found[0], map(image_part, patterns))
    return _compiled(rf"\A{re.escape(part)}" if begins else re.escape(part) for part, begins in parts)


def name_matcher(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Matches app names from their beginning; None when there are none."""
    return _compiled(
        rf"{re.escape(pattern[:-1])}.*" if pattern.endswith("*") else rf"{re.escape(pattern)}[0-9]{{13,}}\Z"
        for pattern in patterns
    )


def _compiled(parts: Iterable[str]) -> re.Pattern[str] | None:
    found = list(parts)
    return re.compile("|".join(found), re.IGNORECASE) if found else None
