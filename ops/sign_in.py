"""Signing in to the admin: failures are counted in the audit log, so over all processes and restarts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac

from ops import audit, refusals
from ops.models import AuditEntry

ACTION = "sign in"
SHUT = "sign in while shut"  # not a failure: the form must open again
MOST_FAILURES = 10  # of one address or of one user name
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries to sign in as whom, from where. `address` empty: over a Unix socket."""

    name: str
    address: str

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        return cls(request.POST.get("username", "").strip()[:150], audit.address_of(request))

    @property
    def mark(self) -> str:
        """Tells names apart without keeping them: people type passwords into that field."""
        return salted_hmac("ops.sign_in", self.name).hexdigest()[:16]

    def seconds_to_wait(self, now: datetime) -> int | None:
        """None: go on."""
        failures = AuditEntry.objects.filter(action=ACTION, outcome=audit.REFUSED, at__gt=now - WINDOW)
        waits = [
            _wait(list(rows.order_by("-at").values_list("at", flat=True)[:MOST_FAILURES]), now)
            for rows in (failures.filter(address=self.address), failures.filter(detail__mark=self.mark))
        ]
        return max((wait for wait in waits if wait is not None), default=None)

    @property
    def actor(self) -> str:
        """Only names of users are written down."""
        return self.name if User.objects.filter(username=self.name).exists() else ""

    def note(self, *, succeeded: bool) -> None:
        audit.record(
            actor=self.actor,
            address=self.address,
            action=ACTION,
            outcome=audit.DONE if succeeded else audit.REFUSED,
            detail={} if succeeded else {"mark": self.mark},
        )


def _wait(newest: list[datetime], now: datetime) -> int | None:
    """Seconds until the oldest of the last ten failures no longer counts."""
    if len(newest) < MOST_FAILURES:
        return None
    return max(int((newest[-1] + WINDOW - now).total_seconds()) + 1, 1)


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """The admin's own form, for who has not failed too often."""
    if request.method != "POST":
        return admin.site.login(request)
    attempt = Attempt.of(request)
    wait = attempt.seconds_to_wait(timezone.now())
    if wait is not None:
        refusals.record(actor=attempt.actor, address=attempt.address, action=SHUT, detail={"mark": attempt.mark})
        return _too_often(request, wait)
    response = admin.site.login(request)
    if response.status_code in (200, 302):
        attempt.note(succeeded=response.status_code == 302)
    return response


def _too_often(request: HttpRequest, wait: int) -> HttpResponse:
    context = {"minutes": -(-wait // 60), "most": MOST_FAILURES, "window": int(WINDOW.total_seconds() // 60)}
    response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(wait)
    add_never_cache_headers(response)
    return response
