"""Who may do what through the API: a token or a session of the staff."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ops import tokens
from ops.models import ApiToken

KEYWORD = "Token"
FORM = f"expected the header `Authorization: {KEYWORD} <token>`"


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token <token>` (docs/contract.md#api)."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        words = request.headers.get("Authorization", "").split()
        if not words or words[0].lower() != KEYWORD.lower():
            return None
        if len(words) != 2:
            raise exceptions.AuthenticationFailed(FORM)
        try:
            token = tokens.owner(secret=words[1], now=timezone.now())
        except tokens.BadToken as error:
            raise exceptions.AuthenticationFailed(f"{error}; `manage.py create_api_token USER` makes one") from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


class StaffSession(SessionAuthentication):
    """A signed-in session; a request that lacks the CSRF token is refused, and the audit log tells whose it was."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as error:
            django_request = request._request
            django_request.refused = django_request.user.get_username()  # type: ignore[attr-defined]
            words = f"{str(error.detail).rstrip('.')}; expected the session's token in the header `X-CSRFToken`"
            raise exceptions.PermissionDenied(words) from error


class IsStaff(BasePermission):
    message = "staff only: this user has no staff status"

    def has_permission(self, request: Request, view: object) -> bool:
        return bool(request.user and request.user.is_authenticated and request.user.is_staff)
