"""Authenticate staff in the API, by session or by token. Tokens are shown once and stored as digests."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ops import audit_log
from ops.models import ApiToken

log = structlog.get_logger(__name__)

BYTES = 20  # 160 bits as 40 hexadecimal digits
SHOWN = 8  # digits stored in clear, to tell tokens apart
LONGEST = 200  # characters that a client may send as a token
USE_NOTED_EVERY = timedelta(minutes=1)


class NoSuchUser(Exception):
    """The user does not exist, or a token would be useless."""


class BadToken(Exception):
    """The token is not valid; the text says why, as far as its holder may know."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new token. `secret` is shown only once."""

    secret: str
    row: ApiToken


def create(
    *, username: str, now: datetime, days: int | None = None, name: str = "", by: str = "", address: str | None = None
) -> Made:
    """Create a token; `days` None: it does not expire. `by`: the actor in the audit log.

    A token of a user who is not staff is useless until they are.
    """
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NoSuchUser(f"there is no user {username!r}; `manage.py createsuperuser` creates one")
    if not user.is_active:
        raise NoSuchUser(f"{username!r} is not active, so a token would be useless; change that first")
    secret = secrets.token_hex(BYTES)
    row = ApiToken.objects.create(
        user=user, name=name, prefix=secret[:SHOWN], digest=digest(secret), created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )  # fmt: skip
    _audit("create token", row, by, address)
    return Made(secret, row)


def revoke(*, token: ApiToken, now: datetime, by: str, address: str | None = None) -> bool:
    """Revoke the token. Return False if it already was."""
    if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
        return False
    _audit("revoke token", token, by, address)
    return True


def revoke_all(*, username: str, now: datetime, by: str, address: str | None = None) -> int:
    """Revoke all tokens of a user; return how many were still valid."""
    if not User.objects.filter(username=username).exists():
        raise NoSuchUser(f"there is no user {username!r}")
    valid = ApiToken.objects.filter(user__username=username, revoked_at=None).select_related("user")
    return sum(revoke(token=token, now=now, by=by, address=address) for token in valid)


def owner(*, secret: str, now: datetime) -> ApiToken:
    """Return the token's row with its user, and note its use. Raise BadToken if it is invalid."""
    row = ApiToken.objects.select_related("user").filter(digest=digest(secret[:LONGEST])).first()
    if row is None:
        raise BadToken("this token is not known")
    if row.revoked_at is not None:
        raise BadToken("this token was revoked")
    if row.expires_at is not None and row.expires_at <= now:
        raise BadToken("this token has expired")
    if not row.user.is_active:
        raise BadToken("the user of this token is not active")
    _note_use(row, now)
    return row


def digest(secret: str) -> str:
    """Return the SHA-256 of a token, which is long and random, so one round is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _note_use(row: ApiToken, now: datetime) -> None:
    """Note the use at most once per minute; a busy database must not fail the request."""
    if row.last_used_at is not None and now - row.last_used_at < USE_NOTED_EVERY:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
    try:
        ApiToken.objects.filter(stale, pk=row.pk).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("token_use_not_noted", error=type(error).__name__)


def _audit(action: str, row: ApiToken, by: str, address: str | None) -> None:
    detail = {"token": row.prefix, "user": row.user.get_username(), "name": row.name}
    audit_log.record(actor=by, address=address, action=action, outcome=audit_log.DONE, detail=detail)


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
            token = owner(secret=words[1], now=timezone.now())
        except BadToken as error:
            raise exceptions.AuthenticationFailed(f"{error}; `manage.py create_api_token USER` creates one") from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


class StaffSession(SessionAuthentication):
    """A signed-in session. A request without its CSRF token is refused and audited with its user."""

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
        if not (request.user and request.user.is_authenticated and request.user.is_staff):
            return False
        if request.auth is None and lacks_second_factor(request._request):
            self.message = "a second factor is required: set one up at /admin/second-factor/, or use a token"
            return False
        return True


SIGNED_IN = "signed_in"  # in the session: how and when the user signed in
OIDC = "oidc"
FRESH = timedelta(minutes=15)


def has_app(user: User) -> bool:
    """Return whether the user has an authenticator app."""
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def has_second_factor(user: User) -> bool:
    """Return whether the user has an authenticator app or a passkey."""
    return has_app(user) or user.passkeys.exists()


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the session is recent, so that its owner is still likely to be in control."""
    at = request.session.get(SIGNED_IN, {}).get("at", 0)
    return timezone.now() - datetime.fromtimestamp(at, UTC) <= FRESH


def lacks_second_factor(request: HttpRequest) -> bool:
    """Return whether a signed-in user must set one up first. Single sign-on leaves that to the provider."""
    user = request.user
    if not settings.REQUIRE_SECOND_FACTOR or not isinstance(user, User):
        return False
    return request.session.get(SIGNED_IN, {}).get("by") != OIDC and not has_second_factor(user)
