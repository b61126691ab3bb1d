"""Sign staff in through the OpenID Connect provider of the OIDC_ settings.

The provider proves an e-mail address; this module decides which account it opens. Authlib does the protocol (state,
nonce, PKCE, signatures), and is imported only if a provider is configured. State between requests is stored in a
signed cookie, so that strangers create no sessions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import structlog
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core import checks
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_GET

from ops import audit_log
from ops.access.authentication import OIDC
from ops.access.login import BACKEND, Refused, admit, counted, where_to

log = structlog.get_logger(__name__)

COOKIE, COOKIE_AGE, COOKIE_PATH = "single_sign_on", 600, "/admin/login/oidc/"
TIMEOUT = 5  # s, for each response of the provider
LEEWAY = 60  # s between its clock and ours
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
OF_TIME = ("exp", "iat", "nbf")
LONGEST_NAME = 150  # of a Django user
REASONS = {
    "away": "The sign-in service does not answer as expected. Try again later, or use your password.",
    "denied": "The sign-in service did not sign you in.",
    "expired": "This sign-in was not started in this browser, or took more than 10 minutes. Try again.",
    "invalid": "The answer of the sign-in service is not valid, so it was not used.",
    "clock": "The answer of the sign-in service is not valid now: its clock and this server's clock may differ.",
    "email": "The sign-in service does not confirm your e-mail address.",
    "account": "Your e-mail address belongs to no staff account here, or to more than one.",
    "group": "You are not in the group that may sign in here.",
}


def _refused(code: str) -> Refused:
    return Refused(code, REASONS[code])


def is_configured() -> bool:
    return bool(settings.OIDC_ISSUER and settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET)


def check_settings() -> list[checks.CheckMessage]:
    """Return incomplete settings, for `manage.py check --deploy`."""
    names = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    missing = [name for name in names if not getattr(settings, name)]
    if missing and (len(missing) < len(names) or settings.OIDC_STAFF_GROUP):
        return [checks.Error(f"Single sign-on is off: {', '.join(missing)} must be set.", id="fluxtracker.E001")]
    if not missing and not settings.HTTPS:
        return [checks.Warning("Single sign-on leads back over HTTP: HTTPS must be 1.", id="fluxtracker.W001")]
    return []


@require_GET
@counted(OIDC, lambda _: is_configured())
def start(request: HttpRequest) -> HttpResponseBase:
    """Send the visitor to the provider."""
    with _protocol_errors():
        begun = _client().create_authorization_url(_own_address(request))
    response = HttpResponseRedirect(begun.pop("url"))
    response.set_signed_cookie(
        COOKIE, json.dumps({**begun, "next": request.GET.get("next", "")}), salt=COOKIE, max_age=COOKIE_AGE,
        path=COOKIE_PATH, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip
    return response


@require_GET
@counted(OIDC, lambda _: is_configured())
def callback(request: HttpRequest) -> HttpResponseBase:
    """Sign in the user returned by the provider."""
    begun = json.loads(request.get_signed_cookie(COOKIE, "", salt=COOKIE, max_age=COOKIE_AGE) or "{}")
    if not begun or not constant_time_compare(begun["state"], request.GET.get("state", "")):
        raise _refused("expired")
    if request.GET.get("error") or not request.GET.get("code"):
        raise _refused("denied")
    with _protocol_errors():
        claims = _claims(request, begun)
    user = _account(claims, address=audit_log.address_of(request))
    login(request, user, backend=BACKEND)
    response = HttpResponseRedirect(where_to(request, begun["next"]))
    response.delete_cookie(COOKIE, path=COOKIE_PATH)
    admit(request, response, by=OIDC)
    return response


def _own_address(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("oidc-callback"))


@contextmanager
def _protocol_errors() -> Iterator[None]:
    """Turn errors of the provider and network into Refused. Their texts may contain secrets."""
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError

    try:
        yield
    except requests.RequestException as error:
        code, kind = "away", type(error).__name__
    except JoseError as error:
        code, kind = "clock" if getattr(error, "claim", "") in OF_TIME else "invalid", type(error).__name__
    except AuthlibBaseError as error:
        code, kind = "denied", type(error).__name__
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:  # undocumented shapes
        code, kind = "invalid", type(error).__name__
    else:
        return
    log.warning("single_sign_on_failed", code=code, error=kind)
    raise _refused(code)


def _client() -> Any:
    """Return Authlib's client, with only the known keys of the provider's metadata."""
    from authlib.integrations.django_client import DjangoIntegration, DjangoOAuth2App

    url = f"{settings.OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration"
    response = requests.get(url, timeout=TIMEOUT)
    response.raise_for_status()
    metadata = response.json()
    if metadata["issuer"] != settings.OIDC_ISSUER:
        raise ValueError("another issuer")
    endpoints = {name: metadata[name] for name in ENDPOINTS if name in metadata}
    if not all(address.startswith("https://") for address in endpoints.values()):
        raise ValueError("an address without TLS")
    methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return DjangoOAuth2App(
        DjangoIntegration(OIDC),
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET,
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT,
            "token_endpoint_auth_method": "client_secret_basic" if "client_secret_basic" in methods
            else "client_secret_post",
        },
        id_token_signing_alg_values_supported=list(ALGORITHMS),
        **endpoints,
    )  # fmt: skip


def _claims(request: HttpRequest, begun: dict[str, str]) -> dict[str, Any]:
    """Return the user's claims from the signed token and, if incomplete, the user endpoint."""
    client = _client()
    token = client.fetch_access_token(
        redirect_uri=_own_address(request),
        code=request.GET["code"],
        state=begun["state"],
        code_verifier=begun["code_verifier"],
    )
    expected = {
        "iss": {"essential": True, "value": settings.OIDC_ISSUER},
        "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
    }
    claims: dict[str, Any] = dict(
        client.parse_id_token({"access_token": "", **token}, begun["nonce"], claims_options=expected, leeway=LEEWAY)
    )
    required = {"email", *([settings.OIDC_GROUPS_CLAIM] if settings.OIDC_STAFF_GROUP else [])}
    if not required <= claims.keys() and "userinfo_endpoint" in client.server_metadata:
        userinfo = dict(client.userinfo(token=token))
        if userinfo["sub"] != claims["sub"]:
            raise ValueError("of another user")
        claims = userinfo | claims
    return claims


def _account(claims: dict[str, Any], *, address: str) -> User:
    """Return the account for the claims. Members of the staff group get one, without permissions."""
    email, is_verified = claims.get("email"), claims.get("email_verified") in (True, "true")
    if not (isinstance(email, str) and email.isascii() and is_verified and 3 <= len(email) <= LONGEST_NAME):
        raise _refused("email")
    groups = claims.get(settings.OIDC_GROUPS_CLAIM)
    if settings.OIDC_STAFF_GROUP and not (isinstance(groups, list) and settings.OIDC_STAFF_GROUP in groups):
        raise _refused("group")
    users = list(User.objects.filter(email__iexact=email)[:2])
    if not users and settings.OIDC_STAFF_GROUP and not User.objects.filter(username__iexact=email).exists():
        user = User.objects.create_user(email, email, is_staff=True)
        detail = {"user": email, "group": settings.OIDC_STAFF_GROUP}
        audit_log.record(actor=email, address=address, action="create user", outcome=audit_log.DONE, detail=detail)
        return user
    if len(users) != 1 or not (users[0].is_staff and users[0].is_active):
        raise _refused("account")
    return users[0]
