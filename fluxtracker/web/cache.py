"""Cache the responses of public reads, and decide which requests they answer.

An answer is served for FRESH_S without checking; after that one request asks Django whether its ETag is still valid,
while others get the last answer until it is LAST_S old. So commits show within two seconds in every process, even if
the state goes backwards. An answer depends only on the URL and on whether the client takes gzip; requests with a
session or a token never come here.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode

import orjson
import structlog
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve

from fluxtracker import __version__
from fluxtracker.api.negotiation import JSON

log = structlog.get_logger(__name__)

FRESH_S = 0.8
LAST_S = 1.6
KEPT_S = 600  # unused ones
LARGEST_BYTES = 2**21  # per answer
HEAD_BYTES = 2_000  # approximate size of its headers and address
LONGEST_PATH = 200
LONGEST_QUERY = 1_000
RESTS_S = 5.0  # without a failed shared cache
LOCAL, SHARED = "local", "default"
READING = ("GET", "HEAD")
INTERNAL = "fluxtracker.internal"  # in the environ of a request made by the cache

View = TypeVar("View", bound=Callable[..., Any])


def cached(keys: Iterable[str], fresh_s: float = FRESH_S) -> Callable[[View], View]:
    """Mark a view whose answer is the same for everyone. `keys`: the query keys it reads."""

    def mark(view: View) -> View:
        view.cached = frozenset(keys), fresh_s  # type: ignore[attr-defined]
        return view

    return mark


class Route(NamedTuple):
    match: ResolverMatch
    keys: frozenset[str]
    fresh_s: float
    media_type: str
    """Of the answer to whoever takes any; empty where the view does not negotiate."""


class Address(NamedTuple):
    """Key of an answer. The query is sorted and has only keys that its view reads."""

    scheme: str
    host: str
    path: str
    query: str
    encoding: str

    @property
    def key(self) -> str:
        return hashlib.sha256(repr((__version__, self)).encode()).hexdigest()


class Answer(NamedTuple):
    """A complete answer. `read_at`: Unix time before its data were read."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    read_at: float

    def is_younger(self, seconds: float) -> bool:
        return 0 <= time.time() - self.read_at < seconds

    @property
    def etag(self) -> str:
        return next((value for name, value in self.headers if name == "ETag"), "")

    @property
    def is_public(self) -> bool:
        """Return whether it may be shared with others."""
        headers = {name.lower(): value.lower() for name, value in self.headers}
        secret = "private" in headers.get("cache-control", "") or "cookie" in headers.get("vary", "")
        return "set-cookie" not in headers and not secret

    @property
    def is_kept(self) -> bool:
        return self.status == 200 and self.is_public and len(self.body) <= LARGEST_BYTES


class Plain:
    """Serialises answers for the shared cache without pickle, so that data in Redis cannot run code."""

    def dumps(self, answer: Answer) -> bytes:
        return orjson.dumps([answer.status, answer.headers, answer.read_at]) + b"\n" + answer.body

    def loads(self, data: bytes) -> Answer:
        head, _, body = data.partition(b"\n")
        status, headers, read_at = orjson.loads(head)
        return Answer(status, tuple((name, value) for name, value in headers), body, read_at)


class LocalMemory(LocMemCache):
    """Django's in-memory cache, also limited in bytes: least recently used entries are dropped first."""

    # Django's own, missing in its type stubs.
    _lock: Lock
    _cache: OrderedDict[str, Answer]  # most recently used first
    _has_expired: Callable[[str], bool]
    _delete: Callable[[str], bool]

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(name, params)
        self._most_bytes = int(params["OPTIONS"]["MAX_BYTES"])

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return the answer itself, not a copy, as it is immutable and shared."""
        key = self.make_and_validate_key(key, version)
        with self._lock:
            if self._has_expired(key):
                self._delete(key)
                return default
            self._cache.move_to_end(key, last=False)
            return self._cache[key]

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        with self._lock:
            self._set(self.make_and_validate_key(key, version), value, timeout)

    def _set(self, key: str, value: Answer, timeout: Any = None) -> None:
        super()._set(key, value, timeout)  # type: ignore[misc]
        while sum(len(answer.body) + HEAD_BYTES for answer in self._cache.values()) > self._most_bytes:
            self._delete(next(reversed(self._cache)))


@lru_cache(maxsize=2_048)
def route(path: str) -> Route | None:
    """Return the route of the path, None if its answer is not for everyone."""
    try:
        match = resolve(path)
    except Resolver404:
        return None
    keys, fresh_s = getattr(match.func, "cached", (None, 0.0))
    renderers = getattr(getattr(match.func, "cls", None), "renderer_classes", ())
    media_type = str(renderers[0].media_type) if renderers else ""
    return None if keys is None else Route(match, keys, fresh_s, media_type)


def address_of(request: HttpRequest) -> tuple[Address, Route] | None:
    """Return the address of the request, None if it must be answered individually."""
    meta = request.META
    if request.method not in READING or "HTTP_AUTHORIZATION" in meta or "HTTP_HOST" not in meta:
        return None
    if settings.SESSION_COOKIE_NAME in meta.get("HTTP_COOKIE", ""):
        return None
    matched = route(request.path_info) if len(request.path_info) <= LONGEST_PATH else None
    if matched is None or not takes(meta.get("HTTP_ACCEPT", ""), matched.media_type):
        return None
    query = canonical(meta.get("QUERY_STRING", ""), matched)
    if query is None:
        return None
    encoding = "gzip" if takes_gzip(meta.get("HTTP_ACCEPT_ENCODING", "")) else ""
    return Address(request.scheme or "", meta["HTTP_HOST"].lower(), request.path_info, query, encoding), matched


def takes(accept: str, media_type: str) -> bool:
    """Return whether the view would answer with this media type; empty: it always does the same."""
    if not media_type or not accept:
        return True
    if media_type == JSON:
        return "html" not in accept and ("json" in accept or "*/*" in accept)
    return accept in ("*/*", media_type)


def takes_gzip(accept: str) -> bool:
    """Return whether the header names gzip, and not with a weight of 0."""
    weights = dict(word.partition(";q=")[::2] for word in accept.lower().replace(" ", "").split(","))
    weight = weights.get("gzip")
    return weight == "" or bool(weight and weight.strip("0."))


def canonical(query: str, matched: Route) -> str | None:
    """Return the query, sorted. Pages drop unknown keys; None: Django refuses it, or negotiates."""
    if not query:
        return ""
    if len(query) > LONGEST_QUERY:
        return None
    pairs = parse_qsl(query.encode("latin-1").decode(errors="replace"), keep_blank_values=True)
    known = [(key, value) for key, value in pairs if key in matched.keys]
    is_json = all(value == "json" for key, value in known if key == "format")
    if matched.media_type and (len(known) < len(pairs) or not is_json):
        return None
    return urlencode(sorted(known, key=lambda pair: pair[0]))


class Answers:
    """Answers cached by this process, backed by those shared by all processes (REDIS_URL)."""

    def __init__(self) -> None:
        self._local, self._shared = caches[LOCAL], None if settings.EMBEDDED_BROKER else caches[SHARED]
        self._rests_until = 0.0

    def find(self, address: Address) -> Answer | None:
        answer: Answer | None = self._local.get(address.key)
        return answer

    def find_shared(self, address: Address) -> Answer | None:
        answer: Answer | None = self._try(lambda shared: shared.get(address.key))
        return answer

    def keep(self, address: Address, answer: Answer) -> None:
        self._local.set(address.key, answer, KEPT_S)
        self._try(lambda shared: shared.set(address.key, answer, KEPT_S))

    def _try(self, work: Callable[[Any], Any]) -> Any:
        """Call the shared cache, which makes answers slower, never wrong, if it is down or full."""
        if self._shared is None or time.monotonic() < self._rests_until:
            return None
        try:
            return work(self._shared)
        except Exception as error:  # of any backend
            self._rests_until = time.monotonic() + RESTS_S
            log.warning("shared_cache_failed", error=type(error).__name__)
            return None
