"""Sign in and change passwords: every attempt is counted in the database before it is checked, across processes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Self

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from fluxtracker import formatting
from fluxtracker.admin import user_of
from fluxtracker.api.throttling import client_of
from ops import audit_log
from ops.access import authentication
from ops.models import SignInAttempt

ACTION, CHANGE = "sign in", "change password"
CLOSED = "sign in while shut"
MOST_FAILURES = 10  # per client, per name, or per browser that has signed in before
WINDOW = timedelta(minutes=15)
DRIFT = timedelta(minutes=1)  # between the clocks of two hosts; attempts further ahead are ignored
COOKIE = "known_browser"
COOKIE_AGE = timedelta(days=90)
MARK = 16  # digits
BACKEND = "django.contrib.auth.backends.ModelBackend"


class Refused(Exception):
    """A failed sign-in without a password. `code` is for the audit log, `words` for the visitor."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code)
        self.code, self.words = code, words


class Closed(Exception):
    """Too many attempts have failed. `wait`: seconds until the next one is allowed."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many attempts; the next one in {wait} s")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Visitor:
    """Name and address of a sign-in attempt. `address` empty: over a Unix socket.

    `name` empty: known only afterwards, as with a passkey. Then only the client is limited.

    `browser` is set if it has signed in with that name before. Only its own failures block it: otherwise strangers
    could lock out users of that name or address.
    """

    name: str
    address: str
    browser: str = ""

    @classmethod
    def of(cls, request: HttpRequest, name: str) -> Self:
        seen = request.get_signed_cookie(COOKIE, "", salt=COOKIE, max_age=COOKIE_AGE) or ""
        browser = seen[MARK:] if seen[:MARK] == mark_of(name) else ""
        return cls(name, audit_log.address_of(request), browser)

    def begin(self, now: datetime) -> SignInAttempt:
        """Count an attempt as failed until it succeeds. Raise Closed after too many."""
        self._check(now)  # refused clients need not wait for the lock
        with transaction.atomic():
            _wait_for_others()
            self._check(now)
            SignInAttempt.objects.exclude(at__range=_recent(now)).delete()
            return SignInAttempt.objects.create(
                at=now, client=client_of(self.address), mark=mark_of(self.name), browser=self.browser
            )

    def _check(self, now: datetime) -> None:
        rows = SignInAttempt.objects.filter(at__range=_recent(now)).order_by("-at")
        counted = (
            [rows.filter(browser=self.browser)]
            if self.browser
            else [rows.filter(client=client_of(self.address)), rows.filter(mark=mark_of(self.name))]
        )[: 2 if self.name else 1]
        tenth = [list(attempts.values_list("at", flat=True)[MOST_FAILURES - 1 : MOST_FAILURES]) for attempts in counted]
        if ends := [attempts[0] + WINDOW for attempts in tenth if attempts]:
            raise Closed(max(int((max(ends) - now).total_seconds()) + 1, 1))

    def refuse(self, action: str) -> None:
        """Record a refusal, with the name only if it is a user's, as people type passwords into that field."""
        actor = self.name if "\0" not in self.name and User.objects.filter(username=self.name).exists() else ""
        audit_log.record_refusal(actor=actor, address=self.address, action=action, detail={"mark": mark_of(self.name)})

    def remember(self, response: HttpResponseBase) -> None:
        """Remember that the browser has signed in with this name."""
        response.set_signed_cookie(
            COOKIE, mark_of(self.name) + (self.browser or secrets.token_hex(MARK // 2)), salt=COOKIE,
            max_age=COOKIE_AGE, path="/admin/", httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
        )  # fmt: skip


def mark_of(name: str) -> str:
    """Return a digest of the name, case-insensitive, so that names are not stored."""
    return salted_hmac("ops.sign_in", name.casefold()).hexdigest()[:MARK]


def name_of(request: HttpRequest) -> str:
    """Return the name as the form looks it up: stripped and in Unicode NFKC."""
    field = AdminAuthenticationForm(request).fields["username"]
    return str(field.to_python(request.POST.get("username", "")))


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Show the admin's form to visitors who have not failed too often."""
    if request.method != "POST":
        return admin.site.login(request)
    visitor = Visitor.of(request, name_of(request))
    try:
        attempt = visitor.begin(timezone.now())
    except Closed as closed:
        return too_often(request, visitor, closed.wait)
    response = admin.site.login(request)
    if response.status_code == 302:
        attempt.delete()
        admit(request, response)
    elif response.status_code == 200:
        visitor.refuse(ACTION)
    return response


View = Callable[[HttpRequest], HttpResponseBase]


def counted(by: str, is_offered: Callable[[HttpRequest], bool]) -> Callable[[View], View]:
    """Count a sign-in without a password as a failed attempt of the client until it succeeds.

    A refusal redirects to the sign-in page, which says why. A method that is not offered has no page (404).
    """

    def limit(view: View) -> View:
        @never_cache
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponseBase:
            if not is_offered(request):
                raise Http404(f"{by}: not offered here")
            visitor = Visitor.of(request, "")
            try:
                attempt = visitor.begin(timezone.now())
            except Closed as closed:
                return too_often(request, visitor, closed.wait)
            try:
                response = view(request)
            except Refused as refused:
                detail = {"by": by, "why": refused.code}
                audit_log.record_refusal(actor="", address=visitor.address, action=ACTION, detail=detail)
                messages.error(request, refused.words)
                return HttpResponseRedirect(reverse("admin:login"))
            attempt.delete()
            return response

        return answer

    return limit


def admit(request: HttpRequest, response: HttpResponseBase, *, by: str = "") -> None:
    """Record the sign-in, also in the session and browser. `by` empty: a password."""
    name, address = user_of(request).get_username(), audit_log.address_of(request)
    detail = {"by": by} if by else {}
    audit_log.record(actor=name, address=address, action=ACTION, outcome=audit_log.DONE, detail=detail)
    request.session[authentication.SIGNED_IN] = {"by": by, "at": timezone.now().timestamp()}
    Visitor.of(request, name).remember(response)


def where_to(request: HttpRequest, address: str) -> str:
    """Return this site's URL to open after a sign-in: the given one, or the admin's first page."""
    is_ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if is_ours and address.startswith("/") else reverse("admin:index")


def too_often(request: HttpRequest, visitor: Visitor, wait: int) -> HttpResponse:
    visitor.refuse(CLOSED)
    context = {"minutes": -(-wait // 60), "most": MOST_FAILURES, "window": int(WINDOW.total_seconds() // 60)}
    response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(wait)
    add_never_cache_headers(response)
    return response


def _recent(now: datetime) -> tuple[datetime, datetime]:
    return now - WINDOW + timedelta(microseconds=1), now + DRIFT


def _wait_for_others() -> None:
    """Serialise attempts. On SQLite the transaction does that (IMMEDIATE)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {SignInAttempt._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")


class RevokeTokens(forms.Form):
    """Ask whether to revoke the API tokens together with the old password."""

    revoke_tokens = forms.BooleanField(
        required=False, label="Revoke all API tokens of this user",
        help_text="A new password ends all sessions. Tokens stay valid unless revoked.",
    )  # fmt: skip

    @staticmethod
    def revoke(request: HttpRequest, username: str) -> None:
        """Revoke the user's tokens if the form says so."""
        if request.POST.get("revoke_tokens"):
            by, address = user_of(request).get_username(), audit_log.address_of(request)
            done = authentication.revoke_all(username=username, now=timezone.now(), by=by, address=address)
            messages.success(request, f"{formatting.plural(done, 'API token')} revoked.")


class PasswordForm(RevokeTokens, AdminPasswordChangeForm):
    field_order = ("old_password", "new_password1", "new_password2", "revoke_tokens")


class PasswordView(PasswordChangeView):
    """Check the old password under the same limit as a sign-in."""

    form_class = PasswordForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        visitor = Visitor.of(request, user_of(request).get_username())
        try:
            attempt = visitor.begin(timezone.now())
        except Closed as closed:
            return too_often(request, visitor, closed.wait)
        form = self.get_form()
        if form.is_valid() or "old_password" not in form.errors:
            attempt.delete()
        else:
            visitor.refuse(CHANGE)
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        RevokeTokens.revoke(self.request, user_of(self.request).get_username())
        return response
