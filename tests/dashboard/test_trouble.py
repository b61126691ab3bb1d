from __future__ import annotations

import pytest
from django.db import OperationalError, ProgrammingError
from django.test import Client

from dashboard import views
from ops import health

pytestmark = pytest.mark.django_db


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def read(request: object, now: object) -> None:
        raise error

    monkeypatch.setattr(views, "read", read)


@pytest.mark.parametrize(
    "error", [OperationalError("no such table: revenue_payment"), ProgrammingError('relation "x" does not exist')]
)
def test_a_database_without_tables_says_what_to_run(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_with(monkeypatch, error)
    response = client.get("/")
    assert response.status_code == 503
    assert "python manage.py migrate" in response.content.decode()
    assert str(error) not in response.content.decode()


def test_missing_migrations_are_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_missing_migrations", lambda: 2)
    response = client.get("/")
    assert response.status_code == 503
    assert "The database is not set up yet" in response.content.decode()


def test_a_database_that_is_away_is_told_in_words(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, OperationalError("connection to server at 10.0.0.7 failed: password"))
    response = client.get("/")
    body = response.content.decode()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"
    assert "The database does not answer" in body
    assert "10.0.0.7" not in body


def test_an_unforeseen_failure_shows_a_page_without_its_details(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, RuntimeError("a secret detail"))
    response = Client(raise_request_exception=False).get("/")
    body = response.content.decode()
    assert response.status_code == 500
    assert "Something failed here" in body
    assert "secret detail" not in body
    assert "Traceback" not in body


def test_an_unknown_address_shows_a_page_with_ways_on(client: Client) -> None:
    response = client.get("/nowhere")
    body = response.content.decode()
    assert response.status_code == 404
    assert "There is no page at this address." in body
    assert 'href="/api/docs/"' in body
    assert 'content="noindex"' in body
