"""Give each request an id, a log line, headers, limits, CORS and a latency count."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.log import log_response
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

from fluxtracker.api import exceptions, throttling
from fluxtracker.api.throttling import Quota, is_near
from fluxtracker.web.cache import INTERNAL

log = structlog.get_logger(__name__)
Answer = Callable[[HttpRequest], HttpResponseBase]

# The first match names the group whose setting applies; other paths are logged.
GROUPS = (
    ("health", re.compile(r"/api/health(/|$)")),
    ("stats", re.compile(r"/api/stats(/|$)")),
    ("metrics", re.compile(r"/(api/)?metrics(/|$)")),
    ("comparison", re.compile(r"/api/analytics/comparison(/|$)")),
    ("history", re.compile(r"/api/history(/|$)")),
    ("admin", re.compile(r"/(api/)?admin(/|$)")),
)
READING = ("GET", "HEAD")
ANY_ORIGIN = "*"
LONGEST_LOGGED = 200  # characters of a path
BEGAN = "fluxtracker.began"  # in the environ: when the request arrived
ONE_DAY = "86400"  # seconds
REQUEST_ID = "X-Request-ID"
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
READABLE = f"ETag, RateLimit, RateLimit-Policy, Retry-After, {REQUEST_ID}"  # for scripts of other origins
# The largest body by the start of the path; there are no uploads.
MOST_BODY_BYTES = (("/api/", settings.DATA_UPLOAD_MAX_MEMORY_SIZE), ("", settings.MOST_FORM_BYTES))
NOT_NEEDED = ("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer", "microphone",
              "midi", "payment", "usb")  # fmt: skip
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in NOT_NEEDED)


class Middleware:
    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response


def began(request: HttpRequest) -> float:
    """Return when the request arrived, by the performance counter, or now if no server noted it."""
    return float(request.META.get(BEGAN, time.perf_counter()))


class RequestId(Middleware):
    """Gives the request, its log lines and its job one id: the client's, or a new one."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(REQUEST_ID, "")
        name = given if ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=name):
            response = self.get_response(request)
        response[REQUEST_ID] = name
        return response


class GiveBack(Middleware):
    """Closes resources of the request (`give_back_after`) together with its response."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        taken: list[Callable[[], object]] = []
        request.taken = taken  # type: ignore[attr-defined]
        response = self.get_response(request)
        response._resource_closers.extend(taken)  # type: ignore[attr-defined]
        return response


def give_back_after(request: HttpRequest, close: Callable[[], object]) -> None:
    """Call `close` when the request's response is closed."""
    request.taken.append(close)  # type: ignore[attr-defined]


class ForwardedScheme(Middleware):
    """Accepts the scheme (SECURE_PROXY_SSL_HEADER) only from our own proxies."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        drop_untrusted_headers(request.META)
        return self.get_response(request)


def drop_untrusted_headers(environ: dict[str, Any]) -> None:
    """Drop forwarded headers not set by our proxy."""
    if not is_near(environ.get("REMOTE_ADDR", "")):
        environ.pop("HTTP_X_FORWARDED_PROTO", None)


class RateLimit(Middleware):
    """Refuses a client's requests above API_RATE before any other work."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if INTERNAL in request.META:
            return self.get_response(request)
        quota = throttling.count(request)
        request.quota = quota  # type: ignore[attr-defined]  # for Headers
        if quota is None or not quota.is_over:
            return self.get_response(request)
        wait = math.ceil(quota.reset_s)
        response = _refused(request, 429, exceptions.too_many(wait), {"most": quota.limit, "wait": wait})
        response["Retry-After"] = str(wait)
        return response


class BodyLimit(Middleware):
    """Refuses a body that is too large for its path, or of unknown length, before it is read."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        most = most_body_bytes(request.path_info)
        if "Transfer-Encoding" in request.headers:  # Django would treat the body as empty
            words = f"the length of the body is missing; expected Content-Length, at most {most} bytes here"
            return _refused(request, 411, words, {"most": most})
        if int(request.META.get("CONTENT_LENGTH") or 0) > most:
            return _refused(request, 413, f"the body is too large; expected at most {most} bytes here", {"most": most})
        return self.get_response(request)


def most_body_bytes(path: str) -> int:
    return next(most for start, most in MOST_BODY_BYTES if path.startswith(start))


def _refused(request: HttpRequest, status: int, words: str, context: dict[str, Any]) -> HttpResponse:
    """Return the error as JSON for programs, else as a page."""
    response: HttpResponse = exceptions.answer(status, words)
    if not throttling.is_for_programs(request):
        response = render(request, f"{status}.html", context, status=status)
    add_never_cache_headers(response)
    return response


class Headers(Middleware):
    """Sets browser permissions of a page, and the client's remaining rate."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        quota: Quota | None = getattr(request, "quota", None)
        if quota:
            response["RateLimit-Policy"], response["RateLimit"] = quota.policy, quota.left
        return response


API, VERSION_1 = "/api/", "/api/v1/"


def unversioned(path: str) -> str:
    """Return the unversioned path: there is one version, so `/api/v1/x` is `/api/x`."""
    return API + path.removeprefix(VERSION_1) if path.startswith(VERSION_1) else path


class ApiVersion(Middleware):
    """Serves `/api/v1/` too, unless the server has already rewritten the path."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.path = request.path_info = unversioned(request.path_info)
        return self.get_response(request)


class HeadWithoutBody(Middleware):
    """Answers HEAD with only the headers of GET, as servers warn of a body they must not send."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method == "HEAD":
            if isinstance(response, StreamingHttpResponse):
                response.streaming_content = iter(())
            elif isinstance(response, HttpResponse):
                response.content = b""
        return response


class RequestLog(Middleware):
    """Logs one line per request: method, path without its query, status, milliseconds."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = began(request)
        response = self.get_response(request)
        if INTERNAL in request.META:
            response._has_been_logged = True  # type: ignore[attr-defined]  # logged for each client that gets it
            return response
        logged = is_logged(request.path, response.status_code)
        if logged:
            log.info(
                "request",
                method=request.method,
                path=request.path[:LONGEST_LOGGED],
                status=response.status_code,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
        if response.status_code >= 500:
            _log_error(request, response, logged)
        return response


def _log_error(request: HttpRequest, response: HttpResponseBase, logged: bool) -> None:
    """Log Django's line for a server error here, with the request's id, or not at all if the path is not logged.

    Unexpected errors were already logged with a traceback.
    """
    if logged:
        any_kind: Any = response  # the stub lacks streaming responses
        log_response("%s: %s", response.reason_phrase, request.path, response=any_kind, request=request)
    else:
        response._has_been_logged = True  # type: ignore[attr-defined]  # as `log_response` notes it


def is_logged(path: str, status: int) -> bool:
    if not settings.REQUEST_LOGGING:
        return False
    if path.startswith(settings.STATIC_URL) and status < 400:
        return False
    if settings.LOG_ERRORS_ONLY:
        return status >= 400
    name = next((name for name, pattern in GROUPS if pattern.match(path)), None)
    return name is None or bool(settings.LOG_GROUPS[name])


class CrossOriginReads(Middleware):
    """Lets origins of CORS_ALLOWED_ORIGINS, or all (`*`), read the API: only GET, without cookies."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.CORS_ALLOWED_ORIGINS or not request.path.startswith("/api/"):
            return self.get_response(request)
        intended = request.headers.get("Access-Control-Request-Method", "")
        preflight = request.method == "OPTIONS" and bool(intended)
        response = HttpResponse(status=204) if preflight else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if _may_read(request, intended if preflight else request.method or ""):
            _allow(response, request.headers["Origin"], preflight=preflight)
        return response


def _may_read(request: HttpRequest, method: str) -> bool:
    origin, allowed = request.headers.get("Origin", "").lower(), settings.CORS_ALLOWED_ORIGINS
    return method in READING and bool(origin) and (ANY_ORIGIN in allowed or origin in allowed)


def _allow(response: HttpResponseBase, origin: str, *, preflight: bool) -> None:
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Expose-Headers"] = READABLE
    if preflight:
        response["Access-Control-Allow-Methods"] = ", ".join(READING)
        response["Access-Control-Allow-Headers"] = "accept, content-type, if-none-match, if-modified-since"
        response["Access-Control-Max-Age"] = ONE_DAY


REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
SECONDS = Histogram(
    "fluxtracker_http_request_duration_seconds",
    "From a request's arrival to the head of its answer, of all web processes.",
    ("route", "method", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class Latency(Middleware):
    """Counts every response by the pattern of its path, not by the path, which the client chooses."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = began(request)
        response = self.get_response(request)
        if INTERNAL in request.META:
            return response
        method = request.method if request.method in METHODS else "other"
        SECONDS.labels(_route(request), method, str(response.status_code)).observe(time.perf_counter() - started)
        return response


def _route(request: HttpRequest) -> str:
    """Return the pattern of the path, or `none` if no pattern matches or a middleware answered."""
    match = request.resolver_match
    return "/" + match.route.lstrip("^") if match else "none"
