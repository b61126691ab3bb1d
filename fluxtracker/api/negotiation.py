"""Which form a body has and which the answer: JSON, unless the client says otherwise and there is such a form.

The contract's list of statuses (section 4) has neither 406 nor 415: an unknown Accept is answered as JSON, and a
body or a `format` that is none of ours is a 400.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

JSON = "application/json"


class JSONUnlessTold(DefaultContentNegotiation):
    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        """A body of which nothing is told is JSON."""
        there = list(parsers)
        if not request.content_type.strip():
            return next((parser for parser in there if parser.media_type == JSON), there[0])
        found: BaseParser | None = super().select_parser(request, there)
        if found is None:
            told = request.content_type.partition(";")[0].strip()[:100]
            allowed = ", ".join(str(parser.media_type) for parser in there)
            raise exceptions.ParseError(f'a body of the content type "{told}" is not read; expected one of {allowed}')
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
