"""The page that describes the API: each endpoint of the schema with a curl line and a sample answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from drf_spectacular.generators import SchemaGenerator

SAMPLES = Path(__file__).with_name("samples.json")  # written by tests/api/samples.py
TITLES = {  # of tags, in the page's order
    "revenue": "Revenue", "apps": "Apps and owners", "analytics": "Analytics", "economics": "Economics",
    "metrics": "Network now", "network": "Nodes and instances", "history": "History", "stats": "Totals",
    "carousel": "Lists", "reports": "Reports", "export": "Files", "health": "Health", "admin": "State of jobs",
    "jobs": "Jobs",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind`: a word for its type and, of a choice, its values."""

    name: str
    kind: str
    text: str
    is_required: bool
    default: object


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. `address`, `body` and `answer` are those of the sample."""

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
        """Return what curl needs besides the address; the token stands in a variable of the shell."""
        found = [] if self.method == "GET" or self.body else [f"-X {self.method}"]
        if self.body:
            found.append(f"-H 'Content-Type: application/json' -d '{self.body}'")
        if not self.is_public:
            found.append('-H "Authorization: Token $TOKEN"')
        return "".join(f" {option}" for option in found)


@dataclass(frozen=True, slots=True)
class Chapter:
    key: str
    title: str
    endpoints: tuple[Endpoint, ...]


@cache
def groups() -> tuple[tuple[bool, tuple[Chapter, ...]], ...]:
    """Return the endpoints by whether they are public, those first, and by tag."""
    tags = list(TITLES)
    found = sorted(endpoints(), key=lambda one: (not one.is_public, tags.index(one.tag), "{" in one.path, one.path))
    chapters = [
        (is_public, Chapter(f"{'open' if is_public else 'token'}-{tag}", TITLES[tag], tuple(group)))
        for (is_public, tag), group in groupby(found, key=lambda one: (one.is_public, one.tag))
    ]
    return tuple(
        (is_public, tuple(chapter for _, chapter in group)) for is_public, group in groupby(chapters, itemgetter(0))
    )


def endpoints() -> list[Endpoint]:
    """Return what the schema describes, in its order."""
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
