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
        selected: BaseParser | None = super().select_parser(request, there)
        if selected is None:
            given = request.content_type.partition(";")[0].strip()[:100]
            allowed = ", ".join(str(parser.media_type) for parser in there)
            raise exceptions.ParseError(f'a body of the content type "{given}" is not read; expected one of {allowed}')
        return selected

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer: `?format=` takes precedence over the header."""
        try:
            selected: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        except exceptions.NotAcceptable as error:
            there = list(error.available_renderers or renderers)
            chosen = next((one for one in there if one.media_type == JSON), there[0])
            return chosen, str(chosen.media_type)
        return selected

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[BaseRenderer]:  # noqa: A002
        there = list(renderers)
        matching = [renderer for renderer in there if renderer.format == format]
        if not matching:
            formats: dict[Any, None] = dict.fromkeys(renderer.format for renderer in there)
            raise exceptions.ValidationError({"format": [f"expected one of {', '.join(map(str, formats))}"]})
        return matching


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
        """Return the answer's bytes, indented for the browsable API."""
        if data is None:
            return b""
        indent = orjson.OPT_INDENT_2 if (renderer_context or {}).get("indent") else 0
        return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS | indent)


DEEPEST = 32  # levels: more than our bodies need, far fewer than Python's limit
EXPECTED = "expected a JSON object in UTF-8"


class JSONParser(parsers.JSONParser):
    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value in the body, without NaN and Infinity. An empty body is an empty object."""
        body = stream.read()
        if not body.strip():
            return {}
        try:
            value = json.loads(body.decode(), parse_constant=strict_constant)
        except RecursionError:
            raise _too_deep() from None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}; {EXPECTED}") from None
        if _is_deep(value):
            raise _too_deep()
        return value


def _is_deep(value: Any) -> bool:
    """Return whether it is nested too deeply, iteratively, as recursion would hit the same limit."""
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
