from __future__ import annotations

import sqlite3

import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.test import Client

from fluxtracker.database import is_unmigrated
from ops import health

pytestmark = pytest.mark.django_db


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(health, "database_status", fail)


def no_such_table() -> OperationalError:
    """As SQLite and Django raise it."""
    with pytest.raises(OperationalError) as raised, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    return raised.value


@pytest.mark.sqlite
def test_sqlite_has_its_code_for_a_missing_table() -> None:
    assert is_unmigrated(no_such_table())
    locked = OperationalError("database is locked")
    locked.__cause__ = sqlite3.OperationalError("database is locked")
    assert not is_unmigrated(locked)


MISSING = sqlite3.OperationalError("no such table: revenue_payment")
MISSING.sqlite_errorname = "SQLITE_ERROR"
UNMIGRATED = OperationalError("no such table: revenue_payment")
UNMIGRATED.__cause__ = MISSING


@pytest.mark.parametrize("error", [UNMIGRATED, ProgrammingError('relation "x" does not exist')])
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
    assert "Something went wrong" in body
    assert "secret detail" not in body
    assert "Traceback" not in body


def test_an_unknown_address_shows_a_page_with_ways_on(client: Client) -> None:
    response = client.get("/nowhere")
    body = response.content.decode()
    assert response.status_code == 404
    assert "There is no page at this address." in body
    assert 'href="/api/docs/"' in body
    assert 'content="noindex"' in body
