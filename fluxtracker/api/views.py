"""Define the base of public reads, the index of the API, and its documentation page with samples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from fluxtracker.api.conditional import LIVE_S, unless_known
from fluxtracker.api.fields import Answer, ErrorAnswer, Query
from fluxtracker.database import read_snapshot
from fluxtracker.formatting import printable
from fluxtracker.web.cache import cached

INDEX_S = 300
RELEASED_S = 3600  # for content that only a release changes

BAD_QUERY = OpenApiResponse(ErrorAnswer, "A query value is wrong; the answer says what is allowed.")
NO_DATABASE = OpenApiResponse(ErrorAnswer, "The database cannot be reached or is not migrated.")
TOO_MANY = OpenApiResponse(ErrorAnswer, "More requests than API_RATE allows; Retry-After says when to come back.")
ERRORS = {429: TOO_MANY, 503: NO_DATABASE}


class PublicView(APIView):
    """A public read. It needs no session, so it works without the database."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    query: ClassVar[type[Query] | None] = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view, keys = super().as_view(**initkwargs), cls.known_keys()
        return view if keys is None else cached(keys)(view)

    @classmethod
    def known_keys(cls) -> frozenset[str] | None:
        """Return the query keys that the answer depends on. None: any, and it is not cached."""
        return _keys_of(cls.query)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Reject unknown keys with 400, so that an answer has one URL."""
        super().initial(request, *args, **kwargs)
        known = self.known_keys()
        if known is not None and (unknown := [key for key in request.query_params if key not in known]):
            words = f"unknown; expected one of {', '.join(sorted(known))}"
            wrong: dict[str, Any] = {printable(key)[:50]: [words] for key in unknown[:3]}
            if self.query:
                form = self.query(data=request.query_params.dict())
                wrong |= {} if form.is_valid() else form.errors
            raise ValidationError(wrong)


@cache
def _keys_of(query: type[Query] | None) -> frozenset[str]:
    """Return the keys, cached, as every serializer instance copies its fields."""
    return frozenset([*(query().fields if query else ()), "format"])


class ReadSchema(AutoSchema):
    """Describes a `ReadView` by its declarations."""

    view: ReadView  # type: ignore[override]

    def get_operation_id(self) -> str:
        return self.view.operation

    def get_tags(self) -> list[str]:
        return [self.view.tag]

    def get_override_parameters(self) -> list[Any]:
        return [*([self.view.query] if self.view.query else []), *self.view.parameters]

    def get_response_serializers(self) -> Any:
        bad_query = {400: BAD_QUERY} if self.view.query else {}
        return {200: self.view.answer, **bad_query, **self.view.errors, **ERRORS}


class ReadView(PublicView):
    """A public read, declared once for execution and description: query, answer, ETag."""

    operation: ClassVar[str]
    tag: ClassVar[str]
    parameters: ClassVar[Sequence[OpenApiParameter]] = ()
    answer: ClassVar[type[Answer]]
    errors: ClassVar[Mapping[int, OpenApiResponse]] = {}
    max_age: ClassVar[int] = LIVE_S
    schema = ReadSchema()

    def etag(self, now: datetime) -> object:
        """Return the stamp of the answer. None: it is never cached."""
        return None

    def read(self, values: dict[str, Any], now: datetime) -> Any:
        """Return the data of the answer for the validated query."""
        raise NotImplementedError

    def get(self, request: Request, **path: str) -> HttpResponseBase:
        etag = self.etag(timezone.now())
        if etag is None:
            return Response(self._written(request), headers={"Cache-Control": "no-cache"})
        return unless_known(request, etag, lambda: Response(self._written(request)), max_age=self.max_age)

    def _written(self, request: Request) -> dict[str, Any]:
        with read_snapshot():
            values = self.query.read(request.query_params) if self.query else {}
            return self.answer.write(self.read(values, timezone.now()))


class StatusView(ReadView):
    """Status of one part. Its report is already JSON."""

    tag = "admin"

    def _written(self, request: Request) -> Any:
        with read_snapshot():
            return self.read({}, timezone.now())


class IndexView(PublicView):
    """API endpoints."""

    name = "Fluxtracker API"

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        host = request.get_host()
        return unless_known(request, host, lambda: Response(_endpoints(request)), max_age=INDEX_S)


def _endpoints(request: Request) -> dict[str, str]:
    """Return path and URL of each public read without parameters."""
    apps = [app for app in get_resolver().url_patterns if isinstance(app, URLResolver) and str(app.pattern) == "api/"]
    patterns = [each for app in apps for each in app.url_patterns if isinstance(each, URLPattern) and each.name]
    reads = [each for each in patterns if issubclass(getattr(each.callback, "cls", object), PublicView)]
    paths = [(str(each.pattern), str(each.name)) for each in reads]
    plain = [*((path, name) for path, name in paths if "<" not in path), ("docs", "docs"), ("schema", "schema")]
    return {path: reverse(name, request=request) for path, name in plain}


@method_decorator(cache_control(public=True, max_age=RELEASED_S), name="get")
class SchemaView(SpectacularAPIView):
    """The OpenAPI description."""

    authentication_classes = ()


@cached((), INDEX_S)
@cache_control(public=True, max_age=INDEX_S)
@require_safe
def docs_view(request: HttpRequest) -> HttpResponse:
    """Show the description as a page; cached like the index, as it names static files that later disappear."""
    return render(
        request,
        "api/docs.html",
        {
            "description": settings.SPECTACULAR_SETTINGS["DESCRIPTION"],
            "groups": groups(),
            "site": request.build_absolute_uri("/").rstrip("/"),
        },
    )


SAMPLES = Path(__file__).with_name("samples.json")  # written by tests/api/samples.py
TITLES = {  # tags in the page's order
    "revenue": "Revenue", "apps": "Apps and owners", "analytics": "Analytics", "economics": "Economics",
    "metrics": "Network now", "network": "Nodes and instances", "history": "History", "stats": "Totals",
    "carousel": "Lists", "reports": "Reports", "export": "Files", "health": "Health", "admin": "State of jobs",
    "jobs": "Jobs",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter. `kind`: its type and, for a choice, its values."""

    name: str
    kind: str
    text: str
    is_required: bool
    default: object


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. `address`, `body` and `answer` are from the sample."""

    operation: str
    method: str
    path: str
    text: str
    tag: str
    is_public: bool
    parameters: tuple[Parameter, ...]
    address: str
    body: str
    answer: str

    @property
    def options(self) -> str:
        """Return curl's options besides the URL; the token is in a shell variable."""
        options = [] if self.method == "GET" or self.body else [f"-X {self.method}"]
        if self.body:
            options.append(f"-H 'Content-Type: application/json' -d '{self.body}'")
        if not self.is_public:
            options.append('-H "Authorization: Token $TOKEN"')
        return "".join(f" {option}" for option in options)


@dataclass(frozen=True, slots=True)
class Chapter:
    key: str
    title: str
    endpoints: tuple[Endpoint, ...]


@cache
def groups() -> tuple[tuple[bool, tuple[Chapter, ...]], ...]:
    """Return the endpoints grouped by tag, public ones first."""
    tags = list(TITLES)
    ordered = sorted(endpoints(), key=lambda one: (not one.is_public, tags.index(one.tag), "{" in one.path, one.path))
    chapters = [
        (is_public, Chapter(f"{'open' if is_public else 'token'}-{tag}", TITLES[tag], tuple(group)))
        for (is_public, tag), group in groupby(ordered, key=lambda one: (one.is_public, one.tag))
    ]
    return tuple(
        (is_public, tuple(chapter for _, chapter in group)) for is_public, group in groupby(chapters, itemgetter(0))
    )


def endpoints() -> list[Endpoint]:
    """Return the schema's endpoints in order."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    samples: dict[str, dict[str, Any]] = json.loads(SAMPLES.read_text())
    return [
        _endpoint(path, method, operation, samples.get(operation["operationId"], {}))
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def _endpoint(path: str, method: str, operation: Mapping[str, Any], sample: Mapping[str, Any]) -> Endpoint:
    answer = sample.get("answer", "")
    return Endpoint(
        operation=operation["operationId"],
        method=method.upper(),
        path=path,
        text=operation.get("summary") or operation.get("description", ""),
        tag=operation["tags"][0],
        is_public={} in operation.get("security", [{}]),
        parameters=tuple(_parameters(operation)),
        address=sample.get("address", path),
        body=json.dumps(sample["body"]) if "body" in sample else "",
        answer=answer if isinstance(answer, str) else json.dumps(answer, indent=2, ensure_ascii=False),
    )


def _parameters(operation: Mapping[str, Any]) -> Iterable[Parameter]:
    for one in operation.get("parameters", ()):
        schema = one["schema"]
        kind = ", ".join(map(str, schema["enum"])) if "enum" in schema else schema.get("format", schema.get("type", ""))
        yield Parameter(
            one["name"], kind, one.get("description", ""), one.get("required", False), schema.get("default")
        )
