"""What an answer is, and the errors in the words of each kind of upstream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """Status, body and headers; a body that is an iterator is sent in chunks."""

    body: bytes | Iterator[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})


def json(data: Any, status: int = 200) -> Answer:
    return Answer(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS), status)


def success(data: Any) -> Answer:
    """FluxOS's envelope."""
    return json({"status": "success", "data": data})


def failure(message: str, code: int | None = None) -> Answer:
    """A FluxOS error: HTTP 200 all the same."""
    data: dict[str, Any] = {} if code is None else {"code": code}
    return json({"status": "error", "data": data | {"name": "Error", "message": message}})


def whole(query: Mapping[str, str], name: str, default: int) -> int:
    """A number of the query; what is none counts as not given."""
    try:
        return int(query.get(name, default))
    except ValueError:
        return default
