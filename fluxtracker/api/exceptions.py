"""Return all API errors in one shape: {"error": "what is wrong and what is allowed", ...}."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.shortcuts import render
from django.urls import is_valid_path, resolve
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from fluxtracker.database import database_words, is_unmigrated

log = structlog.get_logger(__name__)

NO_DATABASE = "the database cannot be reached or is not migrated; try again shortly"
NOT_SIGNED_IN = "sign in first: expected the header `Authorization: Token <token>`, or a signed-in session of the staff"
FORBIDDEN = "permission denied: staff only"
RETRY_AFTER_S = 10


def handle(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Handle DRF's exceptions. Return None for others, which Django logs and answers with 500."""
    if is_database_trouble(exc):
        log.warning("database_unavailable", error=database_words(exc))
        return Response({"error": NO_DATABASE}, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    response = exception_handler(exc, dict(context))
    if response is None:
        return None
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        response.status_code = status.HTTP_401_UNAUTHORIZED
        response["WWW-Authenticate"] = "Token"
    response.data = _body(exc, response.data, context)
    return response


def is_database_trouble(error: BaseException | None) -> bool:
    """Return whether the database is away, locked, damaged or not migrated; wrong values are our bug."""
    return isinstance(error, DatabaseError | InterfaceError) and not isinstance(error, DataError | IntegrityError)


def _body(exc: Exception, data: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(exc, exceptions.ValidationError):
        return _invalid(data)
    if isinstance(exc, exceptions.MethodNotAllowed):
        allowed = context["view"].allowed_methods
        method = context["request"].method
        return {"error": f"{method} is not allowed here; allowed: {', '.join(allowed)}", "allowed": allowed}
    if isinstance(exc, exceptions.Throttled):
        return {"error": too_many(getattr(exc, "wait", None))}  # unknown to the types
    words = str(data.get("detail", "the request was refused")) if isinstance(data, dict) else str(data)
    return {"error": _with_what_is_allowed(words, exc, context)}


def _with_what_is_allowed(words: str, exc: Exception, context: Mapping[str, Any]) -> str:
    """Add what is allowed, as DRF's texts say only what is wrong."""
    if words == exceptions.NotAuthenticated.default_detail:
        return NOT_SIGNED_IN
    if words == exceptions.NotFound.default_detail:
        return nothing_at(context["request"].path)
    if words == exceptions.PermissionDenied.default_detail:
        return FORBIDDEN
    if isinstance(exc, exceptions.ParseError) and "expected" not in words:
        return f"{words}; expected a JSON object or a form"
    return words


def _invalid(data: Any) -> dict[str, Any]:
    """Return one sentence about all wrong values, and the same by key."""
    if not isinstance(data, dict):
        return {"error": "; ".join(map(str, data))}
    fields = {key: " ".join(map(str, words)) for key, words in data.items()}
    return {"error": "; ".join(f"{key}: {words}" for key, words in fields.items()), "fields": fields}


@csrf_exempt  # otherwise a POST without cookies would get an error about those instead
def unknown_path(request: HttpRequest) -> HttpResponse:
    """Return the response to unknown paths under /api/. Reads are redirected if only a slash differs."""
    path = request.path_info
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    if request.method in ("GET", "HEAD") and _is_known(other):
        query = request.META.get("QUERY_STRING")
        return HttpResponsePermanentRedirect(
            f"{request.path.rstrip('/') if path.endswith('/') else request.path + '/'}" + (f"?{query}" if query else "")
        )
    return not_found(request)


def _is_known(path: str) -> bool:
    """Return whether the path has a view."""
    return bool(is_valid_path(path)) and resolve(path).func is not unknown_path


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return a 404, as JSON under /api/ and as a page elsewhere."""
    if is_api(request):
        return answer(404, nothing_at(request.path))
    return defaults.page_not_found(request, exception or Exception("not found"))


def too_many(wait: int | None) -> str:
    """Return a 429. `wait` as in Retry-After: whole seconds."""
    when = "a minute" if wait is None else f"{wait} s"
    return f"too many requests: at most {settings.API_RATE} per minute; try again in {when}"


def nothing_at(path: str) -> str:
    return f"there is nothing at {path}; /api/docs/ lists what there is"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    words = "the request is not acceptable: check its host name and its form"
    return answer(400, words) if is_api(request) else defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(403, FORBIDDEN) if is_api(request) else defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return a 500 without a stack trace, which is logged, or a 503 if the database failed anywhere."""
    error = sys.exc_info()[1]
    if error is not None and is_database_trouble(error):
        return no_database(request, error)
    if is_api(request):
        return answer(500, "something went wrong here; it has been logged")
    return defaults.server_error(request)


def no_database(request: HttpRequest, error: BaseException) -> HttpResponse:
    """Return a 503, as JSON under /api/ and as a page elsewhere, with one log line and no trace."""
    log.warning("database_unavailable", error=database_words(error))
    if is_api(request):
        response: HttpResponse = answer(503, NO_DATABASE)
    else:
        response = render(request, "503.html", {"unmigrated": is_unmigrated(error)}, status=503)
        response.headers["Cache-Control"] = "no-store"
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    response._has_been_logged = True  # type: ignore[attr-defined]  # as `log_response` notes it
    return response


def is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def answer(code: int, words: str) -> JsonResponse:
    return JsonResponse({"error": words}, status=code)
