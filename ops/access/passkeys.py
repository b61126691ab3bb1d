"""Passkeys (WebAuthn) of staff: add and remove them, and sign in with one instead of a password and a code.

Each one verifies its holder (a finger, a face, a PIN), so it is two factors in one. Python-fido2 does the protocol, and
is imported when a passkey is added or used. Challenges are not stored: they come back signed with their time, and must
be newer than the last use of the passkey.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core import signing
from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from ops.access.login import BACKEND, Refused, admit, counted, where_to
from ops.models import Passkey

log = structlog.get_logger(__name__)

BY = "passkey"
SALT = "ops.passkey"
CHALLENGE_AGE = timedelta(minutes=15)
MOST = 20  # per user
AGAIN = "The passkey was not accepted. Try again."
EXPIRED = "The page has expired. Try again."


@dataclass(frozen=True, slots=True)
class Ceremony:
    """Data that a form passes to the browser (`options`, JSON), and gets back with the signature (`state`)."""

    options: str
    state: str


def is_possible(request: HttpRequest) -> bool:
    """Return whether browsers allow passkeys here: over HTTPS or on localhost, and not on an IP address."""
    host = _host(request)
    try:
        ip_address(host)
    except ValueError:
        return request.is_secure() or host == "localhost" or host.endswith(".localhost")
    return False


def for_sign_in(request: HttpRequest) -> Ceremony:
    options, state = _server(request).authenticate_begin(user_verification="required")
    return _ceremony(options, state, user=None)


def for_new(request: HttpRequest, user: User) -> Ceremony:
    """Begin adding a passkey of the user, on a device without one."""
    options, state = _server(request).register_begin(
        {"id": _handle(user), "name": user.get_username(), "displayName": user.get_username()},
        [_credential(each) for each in user.passkeys.all()],
        resident_key_requirement="required",
        user_verification="required",
    )
    return _ceremony(options, state, user=user)


def add(request: HttpRequest, user: User) -> Passkey:
    """Store the passkey made by the browser. Refused if it is not as requested."""
    state, at = _state(request, user)
    if user.passkeys.count() >= MOST:
        raise Refused("most", f"No more than {MOST} passkeys can be added.")
    answer = _answer(request)
    try:
        data = _server(request).register_complete(state, answer)
        credential, count = data.credential_data, data.counter
    except Exception as error:  # anything that parsing the visitor's bytes can raise
        raise _unusable(error) from error
    digest = sha256(credential.credential_id).hexdigest()
    name = " ".join(request.POST.get("name", "").split())[:60] or "Passkey"
    passkey, is_new = Passkey.objects.get_or_create(
        digest=digest,
        defaults={
            "user": user, "name": name, "credential": b64encode(credential).decode(), "sign_count": count,
            "created_at": timezone.now(), "last_used_at": at,
        },
    )  # fmt: skip
    if not is_new:
        raise Refused("known", "This passkey was already added.")
    return passkey


@require_POST
@counted(BY, is_possible)
def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Sign in the owner of the passkey that signed the challenge."""
    user = _prove(request)
    login(request, user, backend=BACKEND)
    response = HttpResponseRedirect(where_to(request, request.POST.get("next", "")))
    admit(request, response, by=BY)
    return response


def _prove(request: HttpRequest) -> User:
    """Return the active staff user whose passkey signed, and note its use."""
    from fido2.webauthn import AuthenticationResponse

    state, at = _state(request, None)
    answer = _answer(request)
    try:
        signed = AuthenticationResponse.from_dict(answer)
        digest = sha256(signed.raw_id).hexdigest()
        passkey = Passkey.objects.select_related("user").filter(digest=digest).first()
        if passkey is None:
            raise Refused("unknown", "This passkey is not known here. Remove it from your device, or add it again.")
        _server(request).authenticate_complete(state, [_credential(passkey)], answer)
        handle, count = signed.response.user_handle, signed.response.authenticator_data.counter
    except Refused:
        raise
    except Exception as error:  # as above
        raise _unusable(error) from error
    user = passkey.user
    if handle != _handle(user) or not (user.is_active and user.is_staff):
        raise Refused("account", "This passkey belongs to no active staff account.")
    grows = Q(sign_count__lt=count) if count else Q(sign_count=0)  # otherwise it is a copy of the device
    unused = Passkey.objects.filter(grows, pk=passkey.pk, last_used_at__lt=at)
    if not unused.update(sign_count=count, last_used_at=max(timezone.now(), at)):
        raise Refused("used", AGAIN)
    return user


def _server(request: HttpRequest) -> Any:
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialRpEntity

    origin = f"{request.scheme}://{request.get_host()}"
    site = PublicKeyCredentialRpEntity(name="Fluxtracker", id=_host(request))
    return Fido2Server(site, verify_origin=lambda given: given == origin)


def _host(request: HttpRequest) -> str:
    return urlsplit(f"//{request.get_host()}").hostname or ""


def _handle(user: User) -> bytes:
    return str(user.pk).encode()


def _credential(passkey: Passkey) -> Any:
    from fido2.webauthn import AttestedCredentialData

    return AttestedCredentialData(b64decode(passkey.credential))


def _ceremony(options: Any, state: dict[str, Any], *, user: User | None) -> Ceremony:
    kept = state | {"at": timezone.now().timestamp(), "user": user and user.pk}
    return Ceremony(json.dumps(dict(options)["publicKey"]), signing.dumps(kept, salt=SALT))


def _state(request: HttpRequest, user: User | None) -> tuple[dict[str, Any], datetime]:
    """Return the state and time of the user's ceremony."""
    try:
        state: dict[str, Any] = signing.loads(request.POST.get("state", ""), salt=SALT, max_age=CHALLENGE_AGE)
    except signing.BadSignature as error:
        raise Refused("expired", EXPIRED) from error
    if state["user"] != (user and user.pk):
        raise Refused("expired", EXPIRED)
    return state, datetime.fromtimestamp(state["at"], UTC)


def _answer(request: HttpRequest) -> dict[str, Any]:
    try:
        answer = json.loads(request.POST.get("credential", ""))
    except (ValueError, RecursionError) as error:
        raise _unusable(error) from error
    return answer if isinstance(answer, dict) else {}


def _unusable(error: Exception) -> Refused:
    log.info("passkey_refused", error=type(error).__name__)
    return Refused("invalid", AGAIN)
