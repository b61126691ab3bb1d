"""What a failure leaves where everybody, or every reader of a log, sees it: no SQL, no path, no value."""

import json

import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from fluxtracker.database import database_words
from fluxtracker.upstream.http.client import Cancelled
from ops import health
from ops.jobs import runs
from ops.jobs.task_helpers import run_quietly
from ops.models import Alert, TaskRun, TaskState
from tests.system.conftest import in_process

__all__ = ["in_process"]

SECRET = ("SELECT", "LINE", "secret")


def ask_for_what_is_not_there(*, trigger):
    with runs.run("work", trigger=trigger), connection.cursor() as cursor:
        cursor.execute("SELECT secret_column FROM no_such_table WHERE name = %s", ["secret-value"])


@pytest.fixture
def failed_three_times(monkeypatch):
    """A task whose statement is wrong; answers what was logged."""
    monkeypatch.setattr("ops.jobs.task_helpers.ask_for_check", lambda: None)
    with capture_logs() as logs:
        for _ in range(3):
            run_quietly(ask_for_what_is_not_there)
    return logs


def told_to_everybody():
    return json.dumps(
        [
            *TaskState.objects.values_list("last_error"),
            *TaskRun.objects.values_list("error"),
            *Alert.objects.values_list("message"),
            health.report(timezone.now()),
        ]
    )


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_an_error_of_the_database_is_told_without_its_statement(failed_three_times):
    told = told_to_everybody()
    assert Alert.objects.get().key == "task:work"
    assert "the database failed" in Alert.objects.get().message
    assert not [word for word in (*SECRET, "no_such_table") if word in told]


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_the_log_says_more_and_quotes_no_statement(failed_three_times):
    lines = json.dumps(failed_three_times)
    assert "no_such_table" in lines
    assert not [word for word in SECRET if word in lines]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(13, "Permission denied", "/root/secret"), "unexpected error (PermissionError)"),
        (ValueError("secret"), "unexpected error (ValueError)"),
        (KeyboardInterrupt("secret"), "it was stopped from outside (KeyboardInterrupt)"),
        (runs.NotDone("too early", {}), "too early"),
        (Cancelled("not wanted any more"), "not wanted any more"),
    ],
)
def test_only_errors_that_are_meant_for_people_keep_their_words(error, words):
    with pytest.raises(type(error)), runs.run("work", trigger="command"):
        raise error
    kept = TaskRun.objects.get().error
    assert kept.startswith(words)
    assert "secret" not in kept


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/revenue/daily", "/api/health/ready"])
def test_an_api_without_its_database_logs_no_statement(path, monkeypatch):
    def fail(*args, **options):
        raise ProgrammingError(
            'relation "revenue_payment" does not exist\nLINE 1: SELECT secret FROM "revenue_payment"'
        )

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", fail)
    with capture_logs() as logs:
        assert Client().get(path).status_code == 503
    (line,) = [entry for entry in logs if entry["event"] == "database_unavailable"]
    assert line["error"] == 'relation "revenue_payment" does not exist'


@pytest.mark.django_db
def test_a_command_tells_it_without_the_statement(in_process, monkeypatch):
    def fail(**options):
        raise ProgrammingError('relation "x" does not exist\nLINE 1: SELECT secret FROM "x"\n               ^')

    monkeypatch.setattr("revenue.ledger.prune", fail)
    outcome = in_process("prune")
    assert outcome.code == 1
    assert 'database: relation "x" does not exist (has `manage.py migrate` been run?)' in outcome.err
    assert "SELECT" not in outcome.err


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("database is locked", "database is locked"),
        ("", "OperationalError"),
        (
            'duplicate key value violates unique constraint "alert_once"\nDETAIL:  Key (key)=(secret) already exists.',
            'duplicate key value violates unique constraint "alert_once"',
        ),
        (
            'invalid input syntax for type bigint: "the secret"\nLINE 1: SELECT',
            'invalid input syntax for type bigint: "..."',
        ),
        ('bad thing LINE 1: SELECT "a" FROM "b"', "bad thing"),
        (
            'connection to server on socket "/run/.s.PGSQL.5432" failed: No such file or directory\n\tIs it running?',
            'connection to server on socket "..." failed: No such file or directory',
        ),
        (
            'connection to server at "127.0.0.1", port 1 failed: Connection refused',
            'connection to server at "127.0.0.1", port 1 failed: Connection refused',
        ),
    ],
)
def test_of_a_databases_words_only_the_kind_is_left(said, words):
    assert database_words(OperationalError(said)) == words
    assert runs.one_line(OperationalError(said)) == words
