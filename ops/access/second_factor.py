"""A second factor for staff who want one: six digits of an app, or a recovery code, besides the password.

The code is a part of the sign-in form, so that the limit of attempts counts wrong codes as it does wrong passwords,
and nothing tells which of them was wrong.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django_otp import match_token
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

from fluxtracker.admin import user_of
from ops import audit_log
from ops.access import authentication
from ops.access.authentication import has_second_factor, lacks_second_factor
from ops.access.login import Closed, Visitor, too_often

ON, OFF, REFUSED = "second factor on", "second factor off", "second factor code"
CODES = 10
CODE_BYTES = 8  # 64 bits, as 16 hexadecimal digits
KEPT_DIGITS = 16  # of a recovery code's digest
PENDING = "second_factor_key"  # in the session, until a code proves that the app has it
LONGEST = 40


def is_right(user: User, code: str) -> bool:
    """Return whether the code is the app's, of one step before or after at most, or an unused recovery code.

    Each code counts once. A clock that drifts is followed from code to code.
    """
    code = "".join(code[:LONGEST].lower().replace("-", "").split())
    is_digits = len(code) == 6 and code.isascii() and code.isdecimal()
    return bool(match_token(user, code if is_digits else _digest(code)))


def _digest(code: str) -> str:
    """Return what is kept of a recovery code: the column has room for 16 characters."""
    return authentication.digest(code)[:KEPT_DIGITS]


class SignInForm(AdminAuthenticationForm):
    """Ask for the code together with the password."""

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
    """Hold a key until a code proves that the app has it."""

    device: TOTPDevice

    @property
    def image(self) -> str:
        return str(segno.make(self.device.config_url, micro=False).svg_data_uri(scale=5, border=4, light="white"))

    @property
    def key(self) -> str:
        """Return the key as people type it: base32 in groups of four."""
        text = self.device.config_url.partition("secret=")[2].partition("&")[0]
        return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


@sensitive_post_parameters("code")
@sensitive_variables("codes")
def second_factor(request: HttpRequest) -> HttpResponse:
    """Show whether the user has a second factor; switch it on or off, or make new recovery codes, with a code."""
    user, codes = user_of(request), list[str]()
    is_on = has_second_factor(user)
    device = None if is_on else _pending(request, user)
    form = CodeForm(request.POST or None)
    if request.method == "POST":
        visitor = Visitor.of(request, user.get_username())
        try:
            attempt = visitor.begin(timezone.now())
        except Closed as closed:
            return too_often(request, visitor, closed.wait)
        if form.is_valid() and _proves(user, device, form.cleaned_data["code"]):
            attempt.delete()
            if is_on and "off" in request.POST:
                remove(user, by=user.get_username(), address=audit_log.address_of(request))
                messages.success(request, "Second factor is off.")
                return HttpResponseRedirect(reverse("admin:second-factor"))
            codes = _keep(request, user, device)
            is_on, device = True, None
        elif form.is_valid():
            visitor.refuse(REFUSED)
            form.add_error("code", "The code is wrong, or was used before. Check the clock of your device.")
    left = StaticToken.objects.filter(device__user=user).count()
    context = {
        **admin.site.each_context(request), "title": "Second factor", "form": form, "codes": codes, "is_on": is_on,
        "pending": device and Pending(device), "left": left, "is_required": lacks_second_factor(request),
    }  # fmt: skip
    response = TemplateResponse(request, "admin/second_factor.html", context)
    add_never_cache_headers(response)
    return response


def _pending(request: HttpRequest, user: User) -> TOTPDevice:
    """Return a device that is not stored, with the key of this session."""
    key = request.session.setdefault(PENDING, default_key())
    return TOTPDevice(user=user, name="app", key=key, confirmed=True)


def _proves(user: User, pending: TOTPDevice | None, code: str) -> bool:
    """Return whether the code is right; the pending device is stored if it is its own."""
    if pending is None:
        return is_right(user, code)
    with transaction.atomic():
        pending.save()
        if pending.verify_token("".join(code.split())):
            return True
        transaction.set_rollback(True)
    return False


def _keep(request: HttpRequest, user: User, device: TOTPDevice | None) -> list[str]:
    """Replace the recovery codes by new ones, which are shown now and never again."""
    codes = [secrets.token_hex(CODE_BYTES) for _ in range(CODES)]
    with transaction.atomic():
        StaticDevice.objects.filter(user=user).delete()
        kept = StaticDevice.objects.create(user=user, name="recovery")
        StaticToken.objects.bulk_create([StaticToken(device=kept, token=_digest(code)) for code in codes])
    request.session.pop(PENDING, None)
    detail = {"recoveryCodes": CODES, "isNew": device is not None}
    name, address = user.get_username(), audit_log.address_of(request)
    audit_log.record(actor=name, address=address, action=ON, outcome=audit_log.DONE, detail=detail)
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def remove(user: User, *, by: str, address: str | None = None) -> bool:
    """Delete the user's second factor and recovery codes. Return False when there was none."""
    with transaction.atomic():
        found = [*TOTPDevice.objects.filter(user=user), *StaticDevice.objects.filter(user=user)]
        for device in found:
            device.delete()
    if found:
        detail = {"user": user.get_username()}
        audit_log.record(actor=by, address=address, action=OFF, outcome=audit_log.DONE, detail=detail)
    return bool(found)
