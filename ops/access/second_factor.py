"""Manage the second factor of staff: six digits of an app or a recovery code with the password, or only a passkey.

The code is part of the sign-in form, so that wrong codes count as attempts like wrong passwords, and nothing reveals
which of them was wrong.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST
from django_otp import match_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

from fluxtracker.admin import user_of
from ops import audit_log
from ops.access import authentication, passkeys
from ops.access.authentication import has_app, has_second_factor, is_fresh, lacks_second_factor
from ops.access.login import Closed, Refused, Visitor, too_often
from ops.models import Passkey

ON, OFF, REFUSED = "second factor on", "second factor off", "second factor code"
PASSKEY_ON, PASSKEY_OFF = "passkey added", "passkey removed"
CODES = 10
CODE_BYTES = 8  # 64 bits, as 16 hexadecimal digits
KEPT_DIGITS = 16  # of a recovery code's digest
PENDING = "second_factor_key"  # in the session until a code proves that the app has it
LONGEST = 40


def is_right(user: User, code: str) -> bool:
    """Return whether the code is the app's, at most one step off, or an unused recovery code.

    Each code counts once. Clock drift is followed from code to code.
    """
    code = "".join(code[:LONGEST].lower().replace("-", "").split())
    is_digits = len(code) == 6 and code.isascii() and code.isdecimal()
    return bool(match_token(user, code if is_digits else _digest(code)))


def _digest(code: str) -> str:
    """Return the stored digest of a recovery code, cut to the column's 16 characters."""
    return authentication.digest(code)[:KEPT_DIGITS]


class SignInForm(AdminAuthenticationForm):
    """Asks for the code together with the password."""

    code = forms.CharField(
        required=False,
        max_length=LONGEST,
        label="Code",
        help_text="From your app, or a recovery code. Empty without a second factor.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
    )
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": "Enter the right name and password of a staff account, and the code of your second factor if "
        "you have one. Name and password tell capital from small letters.",
    }

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if has_second_factor(user) and not is_right(user, self.cleaned_data.get("code", "")):
            raise self.get_invalid_login_error()


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=LONGEST, widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"})
    )


@dataclass(frozen=True, slots=True)
class Pending:
    """Holds a key until a code proves that the app has it."""

    device: TOTPDevice

    @property
    def image(self) -> str:
        return str(segno.make(self.device.config_url, micro=False).svg_data_uri(scale=5, border=4, light="white"))

    @property
    def key(self) -> str:
        """Return the key for typing: base32 in groups of four."""
        text = self.device.config_url.partition("secret=")[2].partition("&")[0]
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


@sensitive_post_parameters("code")
@sensitive_variables("codes")
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show the user's factors; add the app with its first code; with a valid code, renew codes or remove it."""
    user = user_of(request)
    if request.method != "POST":
        return _page(request)
    is_new = not has_app(user) and not {"off", "renew"} & request.POST.keys()
    if is_new and not _may_add(request):
        return _again(request)
    form = CodeForm(request.POST)
    visitor = Visitor.of(request, user.get_username())
    try:
        attempt = visitor.begin(timezone.now())
    except Closed as closed:
        return too_often(request, visitor, closed.wait)
    device = _pending(request, user) if is_new else None
    if form.is_valid() and _proves(user, device, form.cleaned_data["code"]):
        attempt.delete()
        if "off" in request.POST:
            remove(user, by=user.get_username(), address=audit_log.address_of(request))
            messages.success(request, "Second factor is off.")
            return HttpResponseRedirect(reverse("admin:second-factor"))
        return _page(request, codes=_keep(request, user, device))
    if form.is_valid():
        visitor.refuse(REFUSED)
        form.add_error("code", "The code is wrong, or was used before. Check the clock of your device.")
    return _page(request, app_form=form) if is_new else _page(request, form=form)


@require_POST
@sensitive_variables("codes")
def add_passkey(request: HttpRequest) -> HttpResponse:
    """Add the passkey made by the browser, with recovery codes for the first one."""
    user = user_of(request)
    if not (passkeys.is_possible(request) and _may_add(request)):
        return _again(request)
    try:
        added = passkeys.add(request, user)
    except Refused as refused:
        messages.error(request, refused.words)
        return HttpResponseRedirect(reverse("admin:second-factor"))
    _audit(request, PASSKEY_ON, {"passkey": added.name})
    if not StaticToken.objects.filter(device__user=user).exists():
        return _page(request, codes=_keep(request, user, None))
    messages.success(request, "Passkey added.")
    return HttpResponseRedirect(reverse("admin:second-factor"))


@require_POST
def remove_passkey(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a passkey, and the recovery codes with the last factor."""
    user = user_of(request)
    if not is_fresh(request):
        return _again(request)
    passkey = get_object_or_404(Passkey, user=user, pk=pk)
    with transaction.atomic():
        passkey.delete()
        if not has_second_factor(user):
            StaticDevice.objects.filter(user=user).delete()
    _audit(request, PASSKEY_OFF, {"passkey": passkey.name})
    messages.success(request, "Passkey removed.")
    return HttpResponseRedirect(reverse("admin:second-factor"))


def _page(
    request: HttpRequest, *, form: CodeForm | None = None, app_form: CodeForm | None = None, codes: Sequence[str] = ()
) -> HttpResponse:
    user = user_of(request)
    may_add, is_possible, has_one = _may_add(request), passkeys.is_possible(request), has_app(user)
    context = {
        **admin.site.each_context(request),
        "title": "Second factor",
        "codes": codes,
        "form": form or CodeForm(),
        "app_form": app_form or CodeForm(auto_id="app_%s"),
        "is_on": has_second_factor(user),
        "has_app": has_one,
        "may_add": may_add,
        "pending": None if codes or has_one or not may_add else Pending(_pending(request, user)),
        "passkeys": user.passkeys.all(),
        "new_passkey": passkeys.for_new(request, user) if is_possible and may_add and not codes else None,
        "left": StaticToken.objects.filter(device__user=user).count(),
        "is_required": lacks_second_factor(request),
    }
    response = TemplateResponse(request, "admin/second_factor.html", context)
    add_never_cache_headers(response)
    return response


def _may_add(request: HttpRequest) -> bool:
    """Return whether a factor may be added: the first one, or after a recent sign-in."""
    return not has_second_factor(user_of(request)) or is_fresh(request)


def _again(request: HttpRequest) -> HttpResponse:
    messages.error(request, "Sign out and in again first: this changes who can sign in.")
    return HttpResponseRedirect(reverse("admin:second-factor"))


def _audit(request: HttpRequest, action: str, detail: dict[str, Any]) -> None:
    name, address = user_of(request).get_username(), audit_log.address_of(request)
    audit_log.record(actor=name, address=address, action=action, outcome=audit_log.DONE, detail=detail)


def _pending(request: HttpRequest, user: User) -> TOTPDevice:
    """Return an unsaved device with the key of this session."""
    key = request.session.setdefault(PENDING, default_key())
    return TOTPDevice(user=user, name="app", key=key, confirmed=True)


def _proves(user: User, pending: TOTPDevice | None, code: str) -> bool:
    """Return whether the code is valid, and store the pending device if the code is its own."""
    if pending is None:
        return is_right(user, code)
    with transaction.atomic():
        pending.save()
        if pending.verify_token("".join(code.split())):
            return True
        transaction.set_rollback(True)
    return False


def _keep(request: HttpRequest, user: User, device: TOTPDevice | None) -> list[str]:
    """Replace the recovery codes by new ones, which are shown only once."""
    codes = [secrets.token_hex(CODE_BYTES) for _ in range(CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        kept = StaticDevice.objects.create(user=user, name="recovery")
        StaticToken.objects.bulk_create([StaticToken(device=kept, token=_digest(code)) for code in codes])
    request.session.pop(PENDING, None)
    _audit(request, ON, {"recoveryCodes": CODES, "isNew": device is not None})
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def remove(user: User, *, by: str, address: str | None = None) -> bool:
    """Delete the user's app, passkeys and recovery codes. Return False if there were none."""
    with transaction.atomic():
        devices = (TOTPDevice, StaticDevice, Passkey)
        factors = [device for kind in devices for device in kind.objects.filter(user=user)]
        for device in factors:
            device.delete()
    if factors:
        detail = {"user": user.get_username()}
        audit_log.record(actor=by, address=address, action=OFF, outcome=audit_log.DONE, detail=detail)
    return bool(factors)
