"""Tokens, the audit log and alerts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from ops.access import authentication
from ops.alerts import services
from ops.jobs.runs import NotDone
from ops.models import Alert, ApiToken, AuditEntry
from tests.dashboard.rows import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plain_static_files")]

ADD = "/admin/ops/apitoken/add/"
TOKENS = "/admin/ops/apitoken/"


@pytest.fixture
def stefan(db: None) -> User:
    """Stefan is staff and may see, make and revoke tokens."""
    user = User.objects.create_user("stefan", password="only-for-this-test", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__endswith="_apitoken"))
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def make(client: Client, **given: Any) -> Any:
    return client.post(ADD, {"user": "olivia", "name": "grafana", "days": ""} | given)


def secret(response: Any) -> str:
    found = re.search(r'id="secret">([0-9a-f]+)<', response.content.decode())
    assert found
    return found[1]


def test_a_new_token_is_shown_once_and_works(olivia: Client, client: Client) -> None:
    made = make(olivia, days="30")
    token = secret(made)
    row = ApiToken.objects.get()
    assert (row.user.username, row.name, row.expires_at) == ("olivia", "grafana", NOW + timedelta(days=30))
    assert "no-store" in made["Cache-Control"]
    assert client.get("/api/admin/jobs", headers={"Authorization": f"Token {token}"}).status_code == 200
    for page in (TOKENS, f"{TOKENS}{row.pk}/change/", ADD):
        body = olivia.get(page).content.decode()
        assert token not in body
        assert row.digest not in body


def test_the_audit_log_tells_who_made_it_and_not_what_it_is(olivia: Client) -> None:
    token = secret(make(olivia))
    entry = AuditEntry.objects.get(action="create token")
    assert (entry.actor, entry.detail["user"]) == ("olivia", "olivia")
    body = olivia.get("/admin/ops/auditentry/").content.decode()
    assert "create token" in body
    assert token not in body


@pytest.mark.parametrize(
    ("given", "words"), [({"days": "0"}, "greater than or equal to 1"), ({"user": "rita"}, "rita")]
)
def test_a_wrong_wish_makes_no_token(olivia: Client, given: dict[str, str], words: str) -> None:
    User.objects.create_user("rita")  # not staff
    answer = make(olivia, **given)
    assert words in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_only_a_superuser_makes_tokens_for_others(olivia: Client, stefan: User) -> None:
    client = signed_in(stefan)
    make(client)
    assert not ApiToken.objects.exists()
    make(client, user="stefan")
    make(olivia, user="stefan")
    assert {row.user.username for row in ApiToken.objects.all()} == {"stefan"}


def test_other_peoples_tokens_are_a_superusers_to_see_and_revoke(stefan: User) -> None:
    User.objects.create_superuser("olivia")
    row = authentication.create(username="olivia", now=NOW).row
    client = signed_in(stefan)
    assert row.prefix not in client.get(TOKENS).content.decode()
    assert client.get(f"{TOKENS}{row.pk}/change/").status_code == 302
    assert client.post(f"{TOKENS}{row.pk}/revoke/").status_code == 404
    client.post(TOKENS, {"action": "revoke_chosen", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.revoked_at is None


def test_who_may_only_look_makes_and_revokes_none(victor: Client) -> None:
    row = authentication.create(username="victor", now=NOW).row
    assert victor.get(ADD).status_code == 403
    assert victor.post(f"{TOKENS}{row.pk}/revoke/").status_code == 403
    assert "Revoke token" not in victor.get(f"{TOKENS}{row.pk}/change/").content.decode()
    assert ApiToken.objects.get().revoked_at is None


def test_a_revoked_token_opens_nothing(olivia: Client, client: Client) -> None:
    token = secret(make(olivia))
    row = ApiToken.objects.get()
    answer = olivia.post(f"{TOKENS}{row.pk}/revoke/", follow=True)
    assert "1 token revoked." in answer.content.decode()
    assert "revoked" in olivia.get(TOKENS).content.decode()
    assert client.get("/api/admin/jobs", headers={"Authorization": f"Token {token}"}).status_code == 401
    assert "Nothing to revoke" in olivia.post(f"{TOKENS}{row.pk}/revoke/", follow=True).content.decode()


def test_several_are_revoked_at_once(olivia: Client) -> None:
    rows = [authentication.create(username="olivia", now=NOW).row for _ in range(3)]
    chosen = {"action": "revoke_chosen", "_selected_action": [row.pk for row in rows[:2]]}
    assert "2 tokens revoked." in olivia.post(TOKENS, chosen, follow=True).content.decode()
    assert ApiToken.objects.filter(revoked_at=None).get() == rows[2]


def test_the_list_tells_how_a_token_stands(olivia: Client) -> None:
    authentication.create(username="olivia", now=NOW - timedelta(days=9), days=3)
    assert "expired" in olivia.get(TOKENS).content.decode()


def test_nobody_edits_a_token_or_the_audit_log(olivia: Client) -> None:
    row = authentication.create(username="olivia", now=NOW).row
    assert olivia.post(f"{TOKENS}{row.pk}/change/", {"name": "x"}).status_code == 403
    entry = AuditEntry.objects.first()
    assert entry
    for page in ("change", "delete"):
        assert olivia.post(f"/admin/ops/auditentry/{entry.pk}/{page}/", {"post": "yes"}).status_code == 403


def test_the_audit_log_is_searched_and_filtered(olivia: Client) -> None:
    made = {"at": NOW, "outcome": "refused"}
    one = AuditEntry.objects.create(actor="rita", address="192.0.2.7", action="sign in", **made)
    AuditEntry.objects.create(actor="tim", address="192.0.2.8", action="sign in", at=NOW, outcome="done")
    for query in ({"q": "192.0.2.7"}, {"q": "rita"}, {"outcome": "refused", "q": "sign in"}):
        rows = olivia.get("/admin/ops/auditentry/", query).context_data["cl"].result_list
        assert list(rows) == [one], query


# Alerts


def test_open_alerts_can_be_told_from_closed_ones(olivia: Client) -> None:
    open_one = Alert.objects.create(key="a", message="It is so.", raised_at=NOW, seen_at=NOW)
    over = Alert.objects.create(key="b", message="It was so.", raised_at=NOW, seen_at=NOW, closed_at=NOW)
    for state, row in (("open", open_one), ("closed", over)):
        rows = olivia.get("/admin/ops/alert/", {"state": state}).context_data["cl"].result_list
        assert list(rows) == [row]


def test_a_test_alert_says_where_it_went(olivia: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "send_test", lambda **_: {"email": "sent", "webhook": None})
    answer = olivia.post("/admin/ops/alert/test/", follow=True).content.decode()
    assert "A test was sent by email." in answer
    assert AuditEntry.objects.filter(actor="olivia", action="admin:ops_alert_test").exists()


def test_a_test_alert_that_fails_says_why(olivia: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise NotDone("webhook: the host is a private address", {})

    monkeypatch.setattr(services, "send_test", fail)
    answer = olivia.post("/admin/ops/alert/test/", follow=True).content.decode()
    assert "The test was not sent everywhere: webhook: the host is a private address." in answer


def test_without_a_way_to_tell_a_test_says_what_to_set(olivia: Client) -> None:
    answer = olivia.post("/admin/ops/alert/test/", follow=True).content.decode()
    assert "ALERT_WEBHOOK_URL" in answer


def test_looking_sends_no_test(olivia: Client) -> None:
    assert olivia.get("/admin/ops/alert/test/").status_code == 405
