"""The base of endpoints for the staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.utils.cache import patch_cache_control
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ops.access import IsStaff, StaffSession, TokenAuthentication


class StaffView(APIView):
    """By token or session: 401 for strangers, 403 for who is not staff. Its answers are kept nowhere."""

    authentication_classes = (TokenAuthentication, StaffSession)
    permission_classes = (IsStaff,)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer: HttpResponseBase | Response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(answer, private=True, no_store=True)
        return answer


def staff_of(request: Request) -> User:
    """The user that the permission has let through."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101  for the types: IsStaff has seen to it
    return user


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API's description tells of tokens."""

    target_class = "ops.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <token>`; `manage.py create_api_token USER` makes one.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A session, with the header X-CSRFToken for writes."""

    target_class = "ops.access.StaffSession"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
