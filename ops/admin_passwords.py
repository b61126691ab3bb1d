"""The page on which staff changes its own password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fluxtracker import figures
from fluxtracker.admin import user_of
from ops import audit, sign_in, tokens


class RevokeTokens(forms.Form):
    """Asks whether the API tokens go with the old password."""

    revoke_tokens = forms.BooleanField(
        required=False, label="Revoke all API tokens of this user",
        help_text="A new password ends the sessions of a user. Tokens go on working unless they are revoked.",
    )  # fmt: skip

    @staticmethod
    def is_wanted(request: HttpRequest) -> bool:
        return bool(request.POST.get("revoke_tokens"))


class PasswordForm(RevokeTokens, AdminPasswordChangeForm):
    field_order = ("old_password", "new_password1", "new_password2", "revoke_tokens")


class PasswordView(PasswordChangeView):
    """The old password is tried here as on the sign-in page: the same limit holds."""

    form_class = PasswordForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        visitor = sign_in.Visitor.of(request, user_of(request).get_username())
        try:
            attempt = visitor.begin(timezone.now())
        except sign_in.Closed as closed:
            return sign_in.too_often(request, visitor, closed.wait)
        form = self.get_form()
        if form.is_valid() or "old_password" not in form.errors:
            attempt.delete()
        else:
            visitor.refuse(sign_in.CHANGE)
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        if RevokeTokens.is_wanted(self.request):
            name = user_of(self.request).get_username()
            done = tokens.revoke_all(username=name, now=timezone.now(), by=name, address=audit.address_of(self.request))
            messages.success(self.request, f"{figures.plural(done, 'API token')} revoked.")
        return response
