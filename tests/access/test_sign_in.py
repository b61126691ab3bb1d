"""Signing in: ten failures in a quarter of an hour, and the form is shut for a while; nothing else is."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.utils import timezone

from ops.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files", "staff")]

HERE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def sign_in(client):
    def attempt(name="alice", password="wrong", **where):
        return client.post("/admin/login/", {"username": name, "password": password}, **HERE | where)

    return attempt


@pytest.fixture
def right(sign_in):
    user = get_user_model().objects.get()
    user.set_password("right")
    user.save()

    def attempt(**where):
        return sign_in("alice", "right", **where)

    return attempt


def test_it_works(sign_in, right):
    assert right().status_code == 302
    row = AuditEntry.objects.get()
    assert (row.actor, row.address, row.action, row.outcome, row.detail) == (
        "alice", "203.0.113.9", "sign in", "done", {},
    )  # fmt: skip


def test_after_ten_failures_of_an_address_even_the_right_password_waits(sign_in, right):
    assert {sign_in(f"name{n}").status_code for n in range(10)} == {200}
    response = right()
    assert response.status_code == 429
    assert b"Signing in failed 10 times within 15 minutes" in response.content
    assert 1 <= int(response["Retry-After"]) <= 15 * 60 + 1
    assert response["Content-Type"].startswith("text/html")
    assert AuditEntry.objects.filter(action="sign in").count() == 10


@pytest.mark.parametrize("here", ["127.0.0.1", "::1"])
def test_the_machine_itself_is_an_address_like_any_other(sign_in, right, here):
    assert {sign_in(f"name{n}", REMOTE_ADDR=here).status_code for n in range(10)} == {200}
    assert AuditEntry.objects.filter(address=here).count() == 10
    assert right(REMOTE_ADDR=here).status_code == 429
    assert right().status_code == 302


def test_after_ten_failures_for_a_user_every_address_waits(sign_in, right):
    for n in range(10):
        sign_in(REMOTE_ADDR=f"203.0.113.{n + 20}")
    assert right(REMOTE_ADDR="198.51.100.1").status_code == 429
    assert sign_in("bob", REMOTE_ADDR="198.51.100.1").status_code == 200


def test_a_name_that_nobody_has_is_limited_alike_and_kept_nowhere(sign_in):
    codes = [sign_in("my-password", REMOTE_ADDR=f"203.0.113.{n + 20}").status_code for n in range(11)]
    assert codes == [200] * 10 + [429]
    assert not AuditEntry.objects.exclude(actor="").exists()
    assert "my-password" not in str(list(AuditEntry.objects.values()))


def test_nine_failures_and_a_success_do_no_harm(sign_in, right):
    for _ in range(9):
        sign_in()
    assert right().status_code == 302


def test_a_quarter_of_an_hour_later_it_opens_again(sign_in, right):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        for _ in range(10):
            sign_in()
        assert int(sign_in()["Retry-After"]) == 15 * 60 + 1
    with time_machine.travel(start + timedelta(minutes=14, seconds=59), tick=False):
        assert right().status_code == 429
    with time_machine.travel(start + timedelta(minutes=15, seconds=1), tick=False):
        assert right().status_code == 302


def test_knocking_at_a_shut_form_is_written_down_and_keeps_it_shut_no_longer(sign_in, right):
    start = timezone.now()
    with time_machine.travel(start, tick=False):
        for _ in range(10):
            sign_in()
    with time_machine.travel(start + timedelta(minutes=14), tick=False):
        assert {sign_in().status_code for _ in range(80)} == {429}
    shut = AuditEntry.objects.filter(action="sign in while shut")
    assert set(shut.values_list("actor", "address", "outcome")) == {("alice", "203.0.113.9", "refused")}
    assert shut.count() == 60  # of one client in a minute
    assert "wrong" not in str(list(AuditEntry.objects.values()))
    with time_machine.travel(start + timedelta(minutes=15, seconds=1), tick=False):
        assert right().status_code == 302


def test_the_limit_covers_the_form_alone(client, sign_in, secret):
    for _ in range(10):
        sign_in()
    assert client.get("/admin/login/", **HERE).status_code == 200
    headers = {"Authorization": f"Token {secret}"}
    assert client.get("/api/admin/jobs", headers=headers, **HERE).status_code == 200


def test_bad_tokens_do_not_shut_the_form(client, right):
    for _ in range(20):
        client.get("/api/admin/jobs", headers={"Authorization": "Token no"}, **HERE)
    assert right().status_code == 302


def test_the_page_in_front_of_the_admin_leads_to_this_form(client):
    assert client.get("/admin/")["Location"] == "/admin/login/?next=/admin/"


def test_the_page_says_how_to_create_the_first_account_until_there_is_one(client):
    get_user_model().objects.all().delete()
    assert b"createsuperuser" in client.get("/admin/login/").content
    get_user_model().objects.create_user("ann", password="only-for-this-test", is_staff=True)
    assert b"createsuperuser" not in client.get("/admin/login/").content
