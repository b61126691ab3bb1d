"""Clients: visitors, users, staff and superusers, with a token or a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from fluxtracker.api.throttling import Counters
from ops import audit_log
from ops.access import authentication


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Later tests count the queries of a process that has not asked for these tables before."""
    yield
    ContentType.objects.clear_cache()


@pytest.fixture(autouse=True)
def no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals of earlier tests do not count."""
    monkeypatch.setattr(audit_log, "flood", audit_log.Flood(Counters()))


@pytest.fixture
def user(django_user_model: Any) -> Any:
    """Bob has an account and is not staff."""
    return django_user_model.objects.create_user("bob", password="not-of-the-staff-1")


@pytest.fixture
def superuser(django_user_model: Any) -> Any:
    return django_user_model.objects.create_superuser("root", password="may-do-everything-1")


@pytest.fixture
def secret(staff: Any) -> str:
    """A token of Alice."""
    return authentication.create(username="alice", now=timezone.now()).secret


@pytest.fixture
def token_client(secret: str) -> Client:
    return Client(headers={"Authorization": f"Token {secret}"})


@pytest.fixture
def post(token_client: Client) -> Callable[..., Any]:
    """POST under /api/admin/ by token, without waiting unless told."""

    def send(path: str, body: Any = None, wait: float | None = 0, **options: Any) -> Any:
        query = "" if wait is None else f"?wait={wait}"
        return token_client.post(
            f"/api/admin/{path}{query}", {} if body is None else body, content_type="application/json", **options
        )

    return send


@pytest.fixture
def plain_static_files(settings: Any) -> None:
    """Pages without the built static files' hashed names."""
    backend = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": backend}
