"""Tokens: made once, kept hashed, good until they expire or are revoked."""

import io
import json
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from ops.access import authentication
from ops.models import ApiToken, AuditEntry, Job

pytestmark = pytest.mark.django_db


def command(*words):
    out = io.StringIO()
    call_command("create_api_token", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def ask(client, token, keyword="Token"):
    return client.get("/api/admin/jobs", headers={"Authorization": f"{keyword} {token}"})


def test_the_command_makes_a_token_that_opens_the_door(client, staff):
    made = command("alice", "--name", "deploy")
    assert (made["user"], made["name"], made["expires"]) == ("alice", "deploy", None)
    assert ask(client, made["token"]).status_code == 200
    assert ask(client, made["token"], "token").status_code == 200


def test_the_token_is_kept_nowhere(staff):
    made = command("alice")
    row = ApiToken.objects.get()
    assert made["token"] not in json.dumps([str(value) for value in vars(row).values()])
    assert made["token"].startswith(row.prefix)
    assert len(row.prefix) == 8
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.detail["token"]) == ("command", "create token", row.prefix)
    assert made["token"] not in str(entry.detail)


def test_one_of_a_user_who_is_not_staff_opens_nothing_and_says_so(client, user, capsys):
    token = command("bob")["token"]
    assert "not staff" in capsys.readouterr().err
    assert ask(client, token).status_code == 403
    type(user).objects.update(is_staff=True)
    assert ask(client, token).status_code == 200


@pytest.mark.parametrize(("name", "words"), [("nobody", "there is no user 'nobody'"), ("bob", "is not active")])
def test_a_user_who_cannot_use_one_is_refused_in_one_line(user, name, words):
    type(user).objects.update(is_active=False)
    with pytest.raises(CommandError, match=words) as refusal:
        command(name)
    assert refusal.value.returncode == 1
    assert "\n" not in str(refusal.value)
    assert not ApiToken.objects.exists()


def test_a_name_that_is_too_long_is_wrong_usage(staff):
    with pytest.raises(CommandError, match="at most 60") as refusal:
        command("alice", "--name", "x" * 61)
    assert refusal.value.returncode == 2


def test_for_people_it_stands_on_a_line_of_its_own(staff, client):
    out = io.StringIO()
    call_command("create_api_token", "alice", stdout=out)
    told, token = out.getvalue().splitlines()
    assert told == "user alice, name -, expires -"
    assert client.get("/api/admin/jobs", headers={"Authorization": f"Token {token}"}).status_code == 200


def test_it_expires_when_it_was_said_to(client, staff):
    token = command("alice", "--days", "7")["token"]
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23)):
        assert ask(client, token).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        response = ask(client, token)
    assert (response.status_code, response.json()["error"]) == (
        401,
        "this token has expired; `manage.py create_api_token USER` creates one",
    )


def test_a_revoked_token_opens_nothing_and_its_job_goes_on(client, secret, sent, post):
    number = post("revenue-sync").json()["job"]
    row = ApiToken.objects.get()
    assert authentication.revoke(token=row, now=timezone.now(), by="root", address="203.0.113.9")
    assert not authentication.revoke(token=row, now=timezone.now(), by="root")
    response = ask(client, secret)
    assert (response.status_code, response.json()["error"]) == (
        401,
        "this token was revoked; `manage.py create_api_token USER` creates one",
    )
    assert response["WWW-Authenticate"] == "Token"
    assert post("prune").status_code == 401
    assert Job.objects.get(pk=number).state == "queued"
    assert AuditEntry.objects.filter(action="revoke token", actor="root").count() == 1


@pytest.mark.parametrize("who", [{"is_staff": False}, {"is_active": False}])
def test_a_user_who_is_no_longer_staff_is_kept_out(client, staff, secret, who):
    type(staff).objects.update(**who)
    assert ask(client, secret).status_code == (403 if "is_staff" in who else 401)


@pytest.mark.parametrize("token", ["", "x y", "0" * 40, "x" * 5000, "é", "\x00"])
def test_what_is_no_token_opens_nothing(client, staff, secret, token):
    assert ask(client, token).status_code == 401


def test_another_kind_of_authorization_counts_as_none(client, secret):
    assert ask(client, secret, "Bearer").status_code == 401


def test_a_bad_token_is_not_helped_by_a_session(client, staff):
    client.force_login(staff)
    assert client.get("/api/admin/jobs").status_code == 200
    assert ask(client, "0" * 40).status_code == 401


def test_its_last_use_is_kept_to_the_minute(client, secret):
    start = timezone.now()
    for seconds, kept in ((0, 0), (59, 0), (61, 61)):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            ask(client, secret)
        assert ApiToken.objects.get().last_used_at == start + timedelta(seconds=kept)


def test_a_database_that_cannot_note_the_use_does_not_cost_the_request(client, secret, monkeypatch):
    def locked(*args, **values):
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.db.models.QuerySet.update", locked)
    assert ask(client, secret).status_code == 200


def test_reads_that_anybody_may_do_need_no_token(client):
    assert ask(client, "nonsense").status_code == 401
    assert client.get("/api/health/live", headers={"Authorization": "Token nonsense"}).status_code == 200


def revoke(*words):
    out = io.StringIO()
    call_command("revoke_api_tokens", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_a_command_revokes_all_of_a_user(client, staff, superuser):
    made = [command("alice")["token"] for _ in range(2)]
    other = command("root")["token"]
    assert revoke("alice") == {"revoked": 2}
    assert revoke("alice") == {"revoked": 0}
    assert [ask(client, token).status_code for token in [*made, other]] == [401, 401, 200]
    assert AuditEntry.objects.filter(action="revoke token", actor="command").count() == 2
    with pytest.raises(CommandError, match="there is no user 'nobody'") as refusal:
        revoke("nobody")
    assert refusal.value.returncode == 1
