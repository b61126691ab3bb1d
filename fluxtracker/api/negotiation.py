"""Negotiate JSON: orjson renders it, the parser refuses invalid or deeply nested bodies with 400.

The API has neither 406 nor 415 (docs/contract.md#api): an unknown Accept gets JSON, an unknown `format` gets 400.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson
from rest_framework import exceptions, parsers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.json import strict_constant

JSON = "application/json"


class JSONByDefault(DefaultContentNegotiation):
    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        """Return the parser: a body without a content type is JSON."""
        there = list(parsers)
        if not request.content_type.strip():
            return next((parser for parser in there if parser.media_type == JSON), there[0])
        found: BaseParser | None = super().select_parser(request, there)
        if found is None:
            given = request.content_type.partition(";")[0].strip()[:100]
            allowed = ", ".join(str(parser.media_type) for parser in there)
            raise exceptions.ParseError(f'a body of the content type "{given}" is not read; expected one of {allowed}')
        return found

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """`?format=` decides before the header does."""
        try:
            found: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        except exceptions.NotAcceptable as error:
            there = list(error.available_renderers or renderers)
            chosen = next((one for one in there if one.media_type == JSON), there[0])
            return chosen, str(chosen.media_type)
        return found

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[BaseRenderer]:  # noqa: A002
        there = list(renderers)
        found = [renderer for renderer in there if renderer.format == format]
        if not found:
            formats: dict[Any, None] = dict.fromkeys(renderer.format for renderer in there)
            raise exceptions.ValidationError({"format": [f"expected one of {', '.join(map(str, formats))}"]})
        return found


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the answer's bytes; indented where the browsable API shows them."""
        if data is None:
            return b""
        indent = orjson.OPT_INDENT_2 if (renderer_context or {}).get("indent") else 0
        return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS | indent)


DEEPEST = 32  # levels: more than any body of ours needs, far fewer than Python's own limit
EXPECTED = "expected a JSON object in UTF-8"


class JSONParser(parsers.JSONParser):
    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value in the body; no NaN and no Infinity. An empty body is an empty object."""
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
