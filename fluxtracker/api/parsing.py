"""JSON bodies. Whatever cannot be read or is nested too deeply to be worked with is a 400 in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError
from rest_framework.utils.json import strict_constant

DEEPEST = 32  # levels: more than any body of ours needs, far fewer than Python's own limit
EXPECTED = "expected a JSON object in UTF-8"


class JSONParser(parsers.JSONParser):
    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The value in the body; no NaN and no Infinity. An empty body is an empty object."""
        body = stream.read()
        if not body.strip():
            return {}
        try:
            found = json.loads(body.decode(), parse_constant=strict_constant)
        except RecursionError:
            raise _too_deep() from None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}; {EXPECTED}") from None
        if _is_deep(found):
            raise _too_deep()
        return found


def _is_deep(value: Any) -> bool:
    """Level by level: a function that calls itself would meet the same limit."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return False
    return True


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _too_deep() -> ParseError:
    return ParseError(f"the body is nested too deeply; {EXPECTED}, at most {DEEPEST} levels deep")
