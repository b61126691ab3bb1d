"""What every request leaves in the audit log: refusals, and what was done in the admin."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ops import audit, refusals

REFUSALS = (401, 403)
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
SIGN_IN = "admin/login/"  # writes its own entries (ops.sign_in)


class AuditTrail:
    """The API's jobs and tokens write their own entries, with more to tell."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_work = request.path_info.startswith("/admin/") and request.method not in SAFE
        staff = _staff(request) if is_work else ""  # signing out forgets who it was
        response = self.get_response(request)
        refusals.tell_left_out(time.time())
        if response.status_code in REFUSALS:
            _refused(request, response.status_code)
        elif is_work and response.status_code == 302 and route_of(request) != SIGN_IN:
            _done(request, staff) if staff else _refused(request, 302)  # strangers are sent to the sign-in
        return response


def route_of(request: HttpRequest) -> str:
    """The pattern that matched; empty: none did."""
    match = request.resolver_match
    return match.route if match else ""


def actor_of(request: HttpRequest) -> str:
    """The user's name; empty: anonymous, or the database cannot tell."""
    if told := getattr(request, "refused", ""):
        return str(told)
    try:
        user: Any = getattr(request, "user", None)
        return str(user.get_username()) if user is not None and user.is_authenticated else ""
    except DatabaseError:
        return ""


def _refused(request: HttpRequest, status: int) -> None:
    refusals.record(
        actor=actor_of(request), address=audit.address_of(request), action=f"{request.method} {route_of(request)}",
        detail={"status": status},
    )  # fmt: skip


def _staff(request: HttpRequest) -> str:
    """The name of who may come in; empty for strangers and for users who are not staff."""
    name = actor_of(request)
    return name if name and request.user.is_active and request.user.is_staff else ""


def _done(request: HttpRequest, actor: str) -> None:
    """Forms of the admin that were accepted end in a redirection."""
    match = request.resolver_match
    kwargs = match.kwargs if match else {}
    detail = {key: str(value) for key, value in kwargs.items() if key in ("object_id", "name", "id", "number")}
    audit.record_if_possible(
        actor=actor, address=audit.address_of(request),
        action=match.view_name if match else "", outcome=audit.DONE, detail=detail,
    )  # fmt: skip
